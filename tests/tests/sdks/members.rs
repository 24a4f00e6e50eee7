//! JSON objects whose values are compared as text: `1.0` and `1.00` differ.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The members of a JSON object.
#[derive(Clone, Debug, PartialEq)]
pub struct Members<'a> {
    /// Each value as its text.
    pub values: BTreeMap<String, &'a str>,
    /// The names that occur more than once, each time with the same value.
    pub repeated: Vec<String>,
}

impl<'a> Members<'a> {
    /// Parses an object.
    pub fn parse(json: &'a str) -> Self {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
    }

    pub fn get(&self, name: &str) -> &'a str {
        self.values.get(name).unwrap_or_else(|| panic!("{name} is missing: {self:?}"))
    }

    pub fn text(&self, name: &str) -> String {
        serde_json::from_str(self.get(name)).unwrap_or_else(|error| panic!("{name} is not a string: {error}"))
    }
}

/// Parses a JSON string with a time.
pub fn time(json: &str) -> Timestamp {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json} is not a time: {error}"))
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members { values: BTreeMap::new(), repeated: Vec::new() };
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            match members.values.insert(name.clone(), value.get()) {
                Some(earlier) if earlier != value.get() => {
                    return Err(A::Error::custom(format!("{name} is there twice, with different values")));
                }
                Some(_) => members.repeated.push(name),
                None => {}
            }
        }
        Ok(members)
    }
}
