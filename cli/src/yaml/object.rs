//! Converts the nodes of a document to the JSON that kubectl sends, as a YAML value. Pure.
//!
//! This is what go-yaml 2 and then sigs.k8s.io/yaml do: keys become text, merge keys are applied in the order of the
//! entries, and of a duplicate key the last value counts.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::{Mapping, Value};

use super::node::{MERGE_KEY, Node};
use super::scalar::Scalar;
use super::{Place, YamlError};

/// A scalar without quotes that is not text.
#[derive(Clone, Debug, PartialEq)]
pub struct Unquoted {
    place: Place,
    /// The key of the scalar; `None` if it is an item of a list.
    key: Option<String>,
    /// The text in the file.
    text: String,
    value: Scalar,
}

impl Unquoted {
    /// The place, and the line with quotes around the text.
    pub fn correction(&self) -> String {
        let Self { place, text, .. } = self;
        let value = match &self.value {
            Scalar::Integer(_) | Scalar::Float(_) => format!("the number {}", self.value_in_json()),
            _ => self.value_in_json(),
        };
        format!("{place}: kubectl reads {text} as {value}; put quotes around it: {}", self.quoted(text))
    }

    /// As [`Self::correction`], but without the value, which is secret.
    pub fn correction_of_secret(&self) -> String {
        let kind = match &self.value {
            Scalar::Bool(_) => "true or false",
            _ => "a number",
        };
        format!("{}: kubectl reads it as {kind}, not as text; put quotes around it: {}", self.place, self.quoted("…"))
    }

    fn quoted(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| format!("\"{text}\""), |key| format!("{key}: \"{text}\""))
    }

    fn value_in_json(&self) -> String {
        self.value.to_json().and_then(|value| serde_json::to_string(&value).ok()).unwrap_or_default()
    }
}

/// A document as kubectl sends it.
#[derive(Debug, Default)]
pub struct Object {
    pub value: Value,
    /// The scalars that may lack quotes, by their path, such as `spec.s3.tags.team` or `spec.events.names[0]`.
    pub unquoted: BTreeMap<String, Unquoted>,
    /// What kubectl accepts silently although it is probably a mistake, one line each.
    pub notes: BTreeSet<String>,
}

impl Object {
    /// Converts a document.
    ///
    /// # Errors
    /// If it has no form in JSON.
    pub fn new(root: &Node) -> Result<Self, YamlError> {
        let mut object = Self::default();
        object.value = object.convert(root, "", None)?;
        Ok(object)
    }

    /// The objects of a list, which kubectl handles one by one; only this object if it is not a list.
    pub fn flatten(self) -> Vec<Self> {
        let Some(Value::Sequence(items)) = self.value.get("items") else { return vec![self] };
        let kind = self.value["kind"].as_str().unwrap_or_default();
        let item_kind = kind.strip_suffix("List").unwrap_or(kind);
        let item = |(index, item): (usize, &Value)| {
            let mut value = item.clone();
            if let Value::Mapping(fields) = &mut value
                && !fields.contains_key("kind")
                && !fields.contains_key("apiVersion")
            {
                fields.insert("kind".into(), item_kind.into());
                fields.insert("apiVersion".into(), self.value["apiVersion"].clone());
            }
            let path = format!("items[{index}].");
            let unquoted = self.unquoted.iter().filter_map(|(at, unquoted)| Some((at.strip_prefix(&path)?, unquoted)));
            let unquoted = unquoted.map(|(path, unquoted)| (path.to_owned(), unquoted.clone())).collect();
            Self { value, unquoted, notes: if index == 0 { self.notes.clone() } else { BTreeSet::new() } }
        };
        items.iter().enumerate().map(item).collect()
    }

    fn convert(&mut self, node: &Node, path: &str, key: Option<&str>) -> Result<Value, YamlError> {
        match node {
            Node::Scalar { value, place, unquoted } => {
                self.unquoted.remove(path);
                if let (Some(text), Some(place)) = (unquoted, place)
                    && matches!(value, Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Float(_))
                {
                    let unquoted = Unquoted {
                        place: *place,
                        key: key.map(str::to_owned),
                        text: text.clone(),
                        value: value.clone(),
                    };
                    self.unquoted.insert(path.to_owned(), unquoted);
                }
                value.to_json().ok_or_else(|| {
                    YamlError::new(*place, "kubectl refuses .nan and .inf", "put quotes around it if it is text")
                })
            }
            Node::Sequence(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(index, item)| self.convert(item, &format!("{path}[{index}]"), None));
                items.collect::<Result<_, _>>().map(Value::Sequence)
            }
            Node::Mapping(entries) => {
                let mut fields = Mapping::new();
                self.fill(&mut fields, entries, path)?;
                Ok(Value::Mapping(fields))
            }
        }
    }

    /// Sets the entries of a mapping, in their order.
    fn fill(&mut self, fields: &mut Mapping, entries: &[(Node, Node)], path: &str) -> Result<(), YamlError> {
        let mut names = BTreeSet::new();
        for (key, value) in entries {
            if key.unquoted() == Some(MERGE_KEY) {
                self.merge(fields, value, path)?;
                continue;
            }
            let name = self.name(key)?;
            if !names.insert(name.clone()) {
                let place = key.place().map(|place| format!("{place}: ")).unwrap_or_default();
                self.notes.insert(format!(
                    "{place}the key {name} appears twice in its mapping, and kubectl uses only the last value; remove one"
                ));
            }
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let value = self.convert(value, &path, Some(key.unquoted().unwrap_or(&name)))?;
            fields.insert(name.into(), value);
        }
        Ok(())
    }

    /// Applies a merge key. Unlike in the specification of YAML, it replaces entries before it.
    fn merge(&mut self, fields: &mut Mapping, merged: &Node, path: &str) -> Result<(), YamlError> {
        match merged {
            Node::Mapping(entries) => self.fill(fields, entries, path),
            // The first ones have precedence.
            Node::Sequence(items) => items.iter().rev().try_for_each(|item| match item {
                Node::Mapping(entries) => self.fill(fields, entries, path),
                other => Err(not_mergeable(other)),
            }),
            other => Err(not_mergeable(other)),
        }
    }

    /// The text of a key.
    fn name(&mut self, key: &Node) -> Result<String, YamlError> {
        let name = match key {
            Node::Scalar { value, .. } => value.to_key(),
            Node::Sequence(_) | Node::Mapping(_) => None,
        };
        let name = name.ok_or_else(|| {
            YamlError::new(key.place(), "kubectl refuses a key that is not text", "put quotes around the key")
        })?;
        if let (Some(text), Some(place)) = (key.unquoted(), key.place())
            && text != name
        {
            self.notes.insert(format!(
                "{place}: kubectl reads the key {text} as \"{name}\"; to keep it, put quotes around it: \"{text}\""
            ));
        }
        Ok(name)
    }
}

fn not_mergeable(node: &Node) -> YamlError {
    YamlError::new(
        node.place(),
        "a merge key (<<) without a mapping",
        "give it an alias of a mapping, or a list of these",
    )
}
