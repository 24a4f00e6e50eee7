//! Prints the CustomResourceDefinition as YAML: `just crd` writes it to `crds/destinationfunctions.yaml`.

fn main() -> Result<(), serde_yaml::Error> {
    print!("{}", tributary_crds::custom_resource_definition_yaml()?);
    Ok(())
}
