//! The type of an event: one of the six of Segment's spec, or another word.

/// Maximum characters of a type.
const MAX: usize = 32;

/// One of the six types of Segment's spec, or another word of 1 to 32 characters `a` to `z` (a webhook destination
/// also sends `delete`).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum EventType {
    /// An action of a user.
    Track,
    /// Who a user is, with traits.
    Identify,
    /// A view of a web page.
    Page,
    /// A view of an app's screen.
    Screen,
    /// A group that a user belongs to, such as a company.
    Group,
    /// Two IDs of the same user.
    Alias,
    /// Any other type; one that was received is valid by [`EventType::parse`].
    Other(Box<str>),
}

impl EventType {
    /// Parses a type from a path or an event; `None` if it is not 1 to 32 characters `a` to `z`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::known(text).or_else(|| {
            let legal = (1..=MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase());
            legal.then(|| Self::Other(text.into()))
        })
    }

    /// Parses one of the six types; `None` for any other.
    pub(super) fn known(text: &str) -> Option<Self> {
        Some(match text {
            "track" => Self::Track,
            "identify" => Self::Identify,
            "page" => Self::Page,
            "screen" => Self::Screen,
            "group" => Self::Group,
            "alias" => Self::Alias,
            _ => return None,
        })
    }

    /// The type as it is spelled in events and keys.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Track => "track",
            Self::Identify => "identify",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Group => "group",
            Self::Alias => "alias",
            Self::Other(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EventType;

    #[test]
    fn a_type_is_one_of_six_or_another_short_lowercase_word() {
        for text in ["track", "identify", "page", "screen", "group", "alias"] {
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
