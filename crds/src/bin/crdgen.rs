//! Prints the CustomResourceDefinition as YAML or, with the argument `reference`, the page `docs/reference.md`.
//! `just crd` writes both files.

fn main() -> Result<(), serde_yaml::Error> {
    if std::env::args().nth(1).as_deref() == Some("reference") {
        print!("{}", tributary_crds::reference::reference());
    } else {
        print!("{}", tributary_crds::custom_resource_definition_yaml()?);
    }
    Ok(())
}
