//! Prints what is generated from the types: the CustomResourceDefinition as YAML, or with `reference`
//! the page about the resource. `just crd` writes both.

fn main() -> Result<(), serde_yaml::Error> {
    if std::env::args().nth(1).as_deref() == Some("reference") {
        print!("{}", tributary_crds::reference::reference());
    } else {
        print!("{}", tributary_crds::custom_resource_definition_yaml()?);
    }
    Ok(())
}
