//! The structure of a document, as a serde deserializer of YAML or JSON reports it.
//!
//! Of YAML, only the structure and the tags are right: the deserializer resolves scalars by other rules than kubectl.
//! [`super::node`] reads them once more.

use std::fmt;

use serde::de::{Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::scalar::Scalar;

/// A node of a document.
#[derive(Debug, PartialEq)]
pub enum Draft {
    /// The node of a document that contains nothing.
    Nothing,
    Scalar {
        value: Scalar,
        tag: Option<String>,
    },
    Sequence(Vec<Draft>),
    /// The entries in their order, duplicates included.
    Mapping(Vec<(Draft, Draft)>),
}

impl From<Scalar> for Draft {
    fn from(value: Scalar) -> Self {
        Self::Scalar { value, tag: None }
    }
}

impl<'de> Deserialize<'de> for Draft {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DraftVisitor)
    }
}

struct DraftVisitor;

impl<'de> Visitor<'de> for DraftVisitor {
    type Value = Draft;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_none<E>(self) -> Result<Draft, E> {
        Ok(Draft::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Draft, E> {
        Ok(Scalar::Null.into())
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Draft, E> {
        Ok(Scalar::Bool(truth).into())
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Draft, E> {
        Ok(Scalar::Integer(integer.into()).into())
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Draft, E> {
        Ok(Scalar::Integer(integer.into()).into())
    }

    fn visit_i128<E>(self, integer: i128) -> Result<Draft, E> {
        Ok(Scalar::Text(integer.to_string()).into())
    }

    fn visit_u128<E>(self, integer: u128) -> Result<Draft, E> {
        Ok(Scalar::Text(integer.to_string()).into())
    }

    fn visit_f64<E>(self, float: f64) -> Result<Draft, E> {
        Ok(Scalar::Float(float).into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Draft, E> {
        Ok(Scalar::Text(text.to_owned()).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Draft, A::Error> {
        let mut drafts = Vec::new();
        while let Some(item) = items.next_element()? {
            drafts.push(item);
        }
        Ok(Draft::Sequence(drafts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Draft, A::Error> {
        let mut drafts = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            drafts.push(entry);
        }
        Ok(Draft::Mapping(drafts))
    }

    /// A node with a tag. Tags of collections have no effect.
    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Draft, A::Error> {
        let (name, content) = access.variant()?;
        let mut draft = content.newtype_variant()?;
        if let Draft::Scalar { tag, .. } = &mut draft {
            *tag = Some(name);
        }
        Ok(draft)
    }
}
