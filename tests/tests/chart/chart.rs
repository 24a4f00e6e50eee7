//! Renders the chart with Helm, and finds objects in the result.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use tributary_tests::kubernetes::{checkout, helm};

/// The namespace that the chart is rendered for.
pub const NAMESPACE: &str = "chart-tests";

/// The names of all sets of values, sorted.
pub fn value_sets() -> Vec<String> {
    let folder = checkout().join("charts/tributary/ci");
    let files = std::fs::read_dir(folder).expect("sets of values").map(|entry| entry.expect("an entry").path());
    let mut value_sets: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    value_sets.sort();
    assert!(value_sets.len() >= 8, "{value_sets:?}");
    value_sets
}

/// The file of a set of values.
pub fn values_file(set: &str) -> PathBuf {
    checkout().join(format!("charts/tributary/ci/{set}.yaml"))
}

/// Renders the chart with a set of values and more arguments.
pub fn render(set: &str, more: &[&str]) -> String {
    let file = values_file(set);
    let arguments = [
        "template",
        "tributary",
        "charts/tributary",
        "--namespace",
        NAMESPACE,
        "--values",
        file.to_str().expect("UTF-8"),
    ];
    helm(&[&arguments, more].concat()).unwrap_or_else(|error| panic!("{set}: {error}"))
}

/// Parses the rendered objects.
pub fn objects(rendered: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(rendered);
    let values = documents.map(|document| Value::deserialize(document).expect("YAML"));
    values.filter(|value| !value.is_null()).collect()
}

/// The object of this kind and name.
pub fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// A value of a ConfigMap.
pub fn data<'a>(objects: &'a [Value], map: &str, key: &str) -> &'a str {
    object(objects, "ConfigMap", map)["data"][key].as_str().unwrap_or_else(|| panic!("{map} has no {key}"))
}
