//! Parses a Secret of the manifest, and keeps its values out of debug output and errors.

use std::collections::BTreeMap;
use std::fmt;
use std::str::Utf8Error;

use k8s_openapi::ByteString;
use serde_yaml::Value;
use zeroize::Zeroizing;

use super::ManifestError;

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
    pub(super) fn read(name: String, namespace: String, document: &Value) -> Result<Self, ManifestError> {
        let invalid = |problem: String| ManifestError::InvalidSecret { name: name.clone(), problem };
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
        for (field, decode) in [("data", decode_base64 as fn(&str) -> Option<Vec<u8>>), ("stringData", copy)] {
            match &document[field] {
                Value::Null => {}
                Value::Mapping(entries) => {
                    for (key, value) in entries {
                        let key =
                            key.as_str().ok_or_else(|| invalid(format!("{field} has a key that is not a string")))?;
                        let value = value
                            .as_str()
                            .ok_or_else(|| invalid(format!("{field}.{key} is not a string: put it in quotes")))?;
                        let value = decode(value).ok_or_else(|| {
                            invalid(format!("{field}.{key} is not base64: encode it, or move it to stringData"))
                        })?;
                        values.insert(key.to_owned(), Zeroizing::new(value));
                    }
                }
                _ => return Err(invalid(format!("{field} is not a mapping of keys to strings"))),
            }
        }
        Ok(Self { name, namespace, values })
    }

    /// The value of `key` as text, an error if it is not UTF-8; `None` if the Secret lacks the key.
    pub fn text(&self, key: &str) -> Option<Result<&str, Utf8Error>> {
        self.values.get(key).map(|value| std::str::from_utf8(value))
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

/// Decodes base64. Line breaks are ignored, as by the API server (Go's encoding/base64).
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    serde_json::from_value(text.into()).ok().map(|ByteString(bytes)| bytes)
}

#[allow(clippy::unnecessary_wraps, reason = "must have the same signature as decode_base64")]
fn copy(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str) -> Result<Secret, ManifestError> {
        let document = serde_yaml::from_str(&format!("apiVersion: v1\nkind: Secret\n{data}")).unwrap();
        Secret::read("lake".to_owned(), "default".to_owned(), &document)
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
