//! The external ID: read from a Secret, never part of the resource, never printed.

use std::fmt;

use regex_lite::Regex;
use zeroize::Zeroizing;

use super::shape::Rule::Must;
use super::shape::{Shape, text_value};

/// The external IDs that STS accepts, apart from their length.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const PATTERN: &str = "^[A-Za-z0-9_+=,.@:/-]+$";
const MIN_CHARS: usize = 2;
const MAX_CHARS: usize = 1224;
/// The same for messages.
const ACCEPTED: &str = "an external ID has 2 to 1,224 characters: letters, digits and _+=,.@:/-";

/// An external ID: 2 to 1,224 characters of `[\w+=,.@:/-]`. `Debug` and errors never show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalId(Zeroizing<String>);

/// Why STS would not accept a value as an external ID. The message never shows the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExternalId {
    /// It is too short or too long: it has this many characters.
    #[error("it has {0} character{s}; {ACCEPTED}", s = if *.0 == 1 { "" } else { "s" })]
    Length(usize),
    /// It is not UTF-8.
    #[error("it is not text in UTF-8; {ACCEPTED}")]
    NotText,
    /// STS refuses the character at this position, counted from 1.
    #[error("character {0} of it is not one that an external ID may have; {ACCEPTED}")]
    Character(usize),
}

impl ExternalId {
    /// Parses a Secret's value, without one trailing newline, which editors and `echo` add.
    ///
    /// # Errors
    /// If the rest is not an external ID.
    pub fn from_secret(value: &str) -> Result<Self, InvalidExternalId> {
        let value = value.strip_suffix('\n').map_or(value, |v| v.strip_suffix('\r').unwrap_or(v));
        let length = value.chars().count();
        if !(MIN_CHARS..=MAX_CHARS).contains(&length) {
            return Err(InvalidExternalId::Length(length));
        }
        let legal = Regex::new(PATTERN).expect("a constant pattern, compiled by this file's tests");
        let wrong = value.chars().position(|c| !legal.is_match(c.encode_utf8(&mut [0; 4])));
        match wrong {
            Some(position) => Err(InvalidExternalId::Character(position + 1)),
            None => Ok(Self(Zeroizing::new(value.to_owned()))),
        }
    }

    /// The ID itself. Send it to STS and nowhere else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalId(***)")
    }
}

text_value!(
    /// The prefix that a platform requires of every external ID in a namespace. It is not secret.
    ExternalIdPrefix,
    Shape {
        field: "externalIdPrefix",
        example: "team-a/",
        length: (1, 1000),
        rules: &[Must(PATTERN, "has a character that no external ID has")],
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_newline_is_not_part_of_it() {
        for text in ["abc-123", "abc-123\n", "abc-123\r\n"] {
            assert_eq!(ExternalId::from_secret(text).unwrap().reveal(), "abc-123");
        }
        assert_eq!(ExternalId::from_secret("abc\n\n").unwrap_err(), InvalidExternalId::Character(4));
    }

    #[test]
    fn an_invalid_external_id_is_refused_without_being_shown() {
        assert_eq!(ExternalId::from_secret("a").unwrap_err(), InvalidExternalId::Length(1));
        assert_eq!(ExternalId::from_secret("").unwrap_err(), InvalidExternalId::Length(0));
        assert!(ExternalId::from_secret(&"a".repeat(1224)).is_ok());
        assert_eq!(ExternalId::from_secret(&"a".repeat(1225)).unwrap_err(), InvalidExternalId::Length(1225));
        let message = |text: &str| ExternalId::from_secret(text).unwrap_err().to_string();
        let accepted = "an external ID has 2 to 1,224 characters: letters, digits and _+=,.@:/-";
        assert_eq!(message("a"), format!("it has 1 character; {accepted}"));
        assert_eq!(message(""), format!("it has 0 characters; {accepted}"));
        let refused = ExternalId::from_secret("hunter2 hunter2").unwrap_err();
        assert!(!refused.to_string().contains("hunter2"));
        assert!(!format!("{:?}", ExternalId::from_secret("hunter2")).contains("hunter2"));
    }
}
