//! The type of an event: one of the six of Segment's spec, or another word.

use std::sync::Arc;

use tributary_crds::function::SegmentType;

/// Maximum characters of a type.
const MAX_TYPE_CHARS: usize = 32;

/// A type of Segment's spec, or another one of 1 to 32 characters
/// `a` to `z` (a webhook destination also sends `delete`).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum EventType {
    /// One of the six of Segment's spec.
    Segment(SegmentType),
    /// Any other type.
    Other(Arc<str>),
}

impl EventType {
    /// Parses a type from a path or an event; `None` if it is not 1 to 32 characters `a` to `z`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::known(text).or_else(|| {
            let legal =
                (1..=MAX_TYPE_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase());
            legal.then(|| Self::Other(text.into()))
        })
    }

    /// Reads one of the six types of Segment's spec.
    pub(super) fn known(text: &str) -> Option<Self> {
        SegmentType::parse(text).map(Self::Segment)
    }

    /// The type as events and keys spell it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Segment(segment) => segment.as_str(),
            Self::Other(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_one_of_six_or_another_short_lowercase_word() {
        for text in SegmentType::ALL.map(SegmentType::as_str) {
            let parsed = EventType::parse(text).unwrap();
            assert_eq!(parsed.as_str(), text);
            assert_eq!(EventType::known(text), Some(parsed));
        }
        let longest = "z".repeat(32);
        for text in ["delete", "a", longest.as_str()] {
            assert_eq!(EventType::parse(text), Some(EventType::Other(text.into())));
            assert_eq!(EventType::known(text), None);
        }
        for text in ["", "Track", "a b", "v1", "é", &"z".repeat(33)] {
            assert_eq!(EventType::parse(text), None, "{text}");
        }
    }
}
