//! The cases of `tests/cases`, as documents.

use serde::Deserialize;
use serde_yaml::Value;

/// A change of the base document, and the expected verdict.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    #[serde(default)]
    with: serde_yaml::Mapping,
    #[serde(default)]
    without: Vec<String>,
    verdict: String,
}

/// The function that every case changes.
pub fn base() -> Value {
    serde_yaml::from_str(include_str!("../cases/base.yaml")).unwrap()
}

/// Every case: its name, its document, and `accept` or a part of the refusal.
#[allow(dead_code, reason = "each test binary compiles this file, and some use only a part of it")]
pub fn cases() -> Vec<(String, Value, String)> {
    let files = [
        include_str!("../cases/document.yaml"),
        include_str!("../cases/identity.yaml"),
        include_str!("../cases/storage.yaml"),
        include_str!("../cases/events.yaml"),
        include_str!("../cases/serving.yaml"),
    ];
    let parsed = files.iter().flat_map(|file| serde_yaml::from_str::<Vec<Case>>(file).unwrap());
    parsed
        .map(|case| {
            let mut document = base();
            for (path, value) in case.with {
                set(&mut document, path.as_str().unwrap(), value);
            }
            for path in &case.without {
                let (parent, field) = path.rsplit_once('.').unwrap_or(("", path));
                at(&mut document, parent).as_mapping_mut().unwrap().shift_remove(field).unwrap();
            }
            (case.case, document, case.verdict)
        })
        .collect()
}

/// Sets the value at `path`.
pub fn set(document: &mut Value, path: &str, value: Value) {
    let (parent, field) = path.rsplit_once('.').unwrap_or(("", path));
    at(document, parent).as_mapping_mut().unwrap().insert(field.into(), value);
}

/// The value at `path`; missing mappings are created.
fn at<'a>(document: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('.').filter(|field| !field.is_empty()).fold(document, |value, field| {
        let fields = value.as_mapping_mut().unwrap();
        fields.entry(field.into()).or_insert_with(|| Value::Mapping(serde_yaml::Mapping::new()))
    })
}
