//! Validates the names in a resource's metadata, which the API server validates for every kind.

use regex_lite::Regex;
use serde_yaml::Value;

use super::limits::shown;
use super::walk::Walk;

/// The pattern of an RFC 1123 label.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
const LABEL_PATTERN: &str = "[a-z0-9]([a-z0-9-]*[a-z0-9])?";
/// The pattern of a label's value, and of a key after its prefix.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
const LABEL_VALUE_PATTERN: &str = "[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?";

/// Validates the name, the namespace, the labels and the keys of annotations.
pub(super) fn names(document: &Value, walk: &mut Walk) {
    let metadata = &document["metadata"];
    if let Some(name) = metadata["name"].as_str().filter(|name| !is_subdomain(name)) {
        walk.name_refused(
            "metadata.name",
            format!("\"{name}\": a lowercase RFC 1123 subdomain has 1 to 253 letters, digits, '-' or '.'; write it like orders"),
        );
    }
    if let Some(namespace) = metadata["namespace"].as_str().filter(|namespace| !is_label(namespace)) {
        walk.rule_broken(
            "metadata.namespace",
            format!(
                "\"{namespace}\": a lowercase RFC 1123 label has 1 to 63 letters, digits or '-'; write it like lake"
            ),
        );
    }
    for field in ["labels", "annotations"] {
        for (key, value) in metadata[field].as_mapping().into_iter().flatten() {
            let path = format!("metadata.{field}");
            if !key.as_str().is_some_and(is_qualified) {
                walk.rule_broken(&path, format!("{}: a key is name or example.com/name, with at most 63 letters, digits, '-', '_' or '.' in the name", shown(key)));
            }
            if field == "labels" && !value.as_str().is_some_and(is_label_value) {
                walk.rule_broken(&path, format!("{}: a valid label has at most 63 letters, digits, '-', '_' or '.', and begins and ends with a letter or digit", shown(value)));
            }
        }
    }
}

fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && matches(name, &format!("^{LABEL_PATTERN}([.]{LABEL_PATTERN})*$"))
}

fn is_label(name: &str) -> bool {
    name.len() <= 63 && matches(name, &format!("^{LABEL_PATTERN}$"))
}

fn is_label_value(value: &str) -> bool {
    value.is_empty() || value.len() <= 63 && matches(value, &format!("^{LABEL_VALUE_PATTERN}$"))
}

fn is_qualified(key: &str) -> bool {
    let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    domain.is_none_or(|domain| is_subdomain(&domain.to_lowercase())) && !name.is_empty() && is_label_value(name)
}

fn matches(text: &str, pattern: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}
