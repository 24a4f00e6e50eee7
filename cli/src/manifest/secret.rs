//! Parses a Secret of the manifest, and keeps its values out of debug output and errors.

use std::collections::BTreeMap;
use std::fmt;
use std::str::Utf8Error;

use serde_yaml::Value;
use zeroize::Zeroizing;

use super::InvalidSecret;
use crate::base64;
use crate::yaml::{Object, Unquoted};

/// The top-level fields of a Secret; any other is an error.
const SECRET_FIELDS: [&str; 7] = ["apiVersion", "kind", "metadata", "type", "immutable", "data", "stringData"];

/// A Secret. Its values are zeroed on drop, and neither `Debug` nor an error shows them.
pub struct Secret {
    /// `metadata.name`, which is required.
    pub name: String,
    /// `metadata.namespace`; `default` if that is missing.
    pub namespace: String,
    values: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

impl Secret {
    /// Reads `data` and `stringData`; `stringData` overrides, as on the API server.
    pub(super) fn read(name: String, namespace: String, object: &Object) -> Result<Self, InvalidSecret> {
        let document = &object.value;
        let invalid = |problem| InvalidSecret { name: name.clone(), namespace: namespace.clone(), problem };
        if let Some((path, unquoted)) = object.unquoted.iter().find(|(path, _)| wants_text(path)) {
            return Err(invalid(format!("{path}: {}", unquoted.correction())));
        }
        if document["apiVersion"].as_str() != Some("v1") {
            return Err(invalid("apiVersion is not v1".to_owned()));
        }
        let fields = document.as_mapping().into_iter().flatten();
        if let Some(unknown) =
            fields.filter_map(|(field, _)| field.as_str()).find(|field| !SECRET_FIELDS.contains(field))
        {
            return Err(invalid(format!("unknown field \"{unknown}\"")));
        }
        let mut values = BTreeMap::new();
        for (field, decode) in [("data", base64::decode as fn(&str) -> Option<Vec<u8>>), ("stringData", copy)] {
            match &document[field] {
                Value::Null => {}
                Value::Mapping(entries) => {
                    for (key, value) in entries {
                        let key = key.as_str().unwrap_or_default();
                        let path = format!("{field}.{key}");
                        let value = match value {
                            // The API server takes it for an empty value.
                            Value::Null => "",
                            value => value.as_str().ok_or_else(|| invalid(not_text(object, &path)))?,
                        };
                        let value = decode(value).ok_or_else(|| {
                            invalid(format!("{path} is not base64: encode it, or move it to stringData"))
                        })?;
                        values.insert(key.to_owned(), Zeroizing::new(value));
                    }
                }
                _ => return Err(invalid(format!("{field} is not a mapping of keys to strings"))),
            }
        }
        Ok(Self { name, namespace, values })
    }

    /// The value of `key`; `None` if the Secret lacks the key.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key).map(|value| value.as_slice())
    }

    /// The value of `key` as text, an error if it is not UTF-8; `None` if the Secret lacks the key.
    pub fn text(&self, key: &str) -> Option<Result<&str, Utf8Error>> {
        self.value(key).map(std::str::from_utf8)
    }

    /// Copies of the Secret's keys and values, sorted by key.
    pub fn entries(&self) -> impl Iterator<Item = (String, Zeroizing<Vec<u8>>)> {
        self.values.iter().map(|(key, value)| (key.clone(), value.clone()))
    }

    /// The Secret's keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.keys().collect();
        f.debug_struct("Secret").field("name", &self.name).field("keys", &keys).finish_non_exhaustive()
    }
}

/// Whether a field outside the data takes text, as far as people write it.
fn wants_text(path: &str) -> bool {
    matches!(path, "type" | "metadata.name" | "metadata.namespace")
        || path.starts_with("metadata.labels.")
        || path.starts_with("metadata.annotations.")
}

/// The problem of a value that is not text. It does not show the value.
fn not_text(object: &Object, path: &str) -> String {
    match object.unquoted.get(path).map(Unquoted::correction_of_secret) {
        Some(correction) => format!("{path}: {correction}"),
        None => format!("{path} is not a string: put it in quotes"),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "must have the same signature as base64::decode")]
fn copy(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn read(data: &str) -> Result<Secret, InvalidSecret> {
        let documents = yaml::documents(&format!("apiVersion: v1\nkind: Secret\n{data}")).unwrap();
        Secret::read("lake".to_owned(), "default".to_owned(), &documents[0].1)
    }

    #[test]
    fn string_data_overrides_data() {
        let secret = read("data: {a: aHVudGVyMg==, b: aHVudGVyMw==}\nstringData: {b: new}").unwrap();
        assert_eq!(secret.text("a"), Some(Ok("hunter2")));
        assert_eq!(secret.text("b"), Some(Ok("new")));
        assert_eq!(secret.text("c"), None);
    }

    #[test]
    fn neither_debug_output_nor_errors_contain_values() {
        let secret = read("stringData: {id: hunter2}").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret { name: \"lake\", keys: [\"id\"], .. }");
        for (data, message) in [
            ("data: {id: hunter2!}", "data.id is not base64"),
            ("stringData: {id: [hunter2]}", "stringData.id is not a string"),
            ("stringData: hunter2", "stringData is not a mapping"),
            ("dato: {id: hunter2}", "unknown field \"dato\""),
        ] {
            let error = read(data).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }
}
