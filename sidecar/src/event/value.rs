//! Holds a JSON value as the text that was sent, and parses only the needed parts of it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{self, Visitor};

use super::rejection::{Code, Rejection};

/// The white space of JSON (RFC 8259, section 2).
pub(super) const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Maximum characters of a client's value that a message quotes.
const MAX_QUOTED_CHARS: usize = 48;

/// The JSON text of one value: valid and without white space around it, except for a body that is a single event,
/// which is not checked yet.
#[derive(Clone, Copy)]
pub(super) struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    pub(super) fn new(json: &'a str) -> Self {
        Self(json)
    }

    pub(super) fn raw(self) -> &'a str {
        self.0
    }

    // The first byte of a value determines its kind.

    pub(super) fn is_null(self) -> bool {
        self.0.starts_with('n')
    }

    pub(super) fn is_string(self) -> bool {
        self.0.starts_with('"')
    }

    pub(super) fn is_number(self) -> bool {
        self.0.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
    }

    pub(super) fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    pub(super) fn is_array(self) -> bool {
        self.0.starts_with('[')
    }

    /// Whether it is an array without items.
    pub(super) fn is_empty_array(self) -> bool {
        self.0.strip_prefix('[').is_some_and(|rest| rest.trim_start_matches(WHITESPACE) == "]")
    }

    pub(super) fn is_escaped(self) -> bool {
        self.0.contains('\\')
    }

    /// The decoded string; `None` for any other value, and for a string with an unpaired surrogate, which is valid
    /// JSON but not valid Unicode.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if self.is_escaped() { serde_json::from_str(self.0).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
    }

    /// The decoded string, with U+FFFD in place of unpaired surrogates: clients that truncate names cut emoji in
    /// two.
    pub(super) fn lossy_text(self) -> Option<Cow<'a, str>> {
        self.text().or_else(|| {
            let mut json = serde_json::Deserializer::from_str(self.0);
            json.deserialize_bytes(Lossy).ok().map(Cow::Owned)
        })
    }

    /// Whether arrays and objects are nested more than `limit` levels deep.
    pub(super) fn is_deeper_than(self, limit: usize) -> bool {
        // Checked first, since it is fast and nearly every event has fewer brackets than the limit.
        self.opening_brackets() > limit && self.depth() > limit
    }

    /// The number of `[` and `{`, those in strings included.
    fn opening_brackets(self) -> usize {
        // The two differ in one bit. With counts of one byte, the compiler makes vector instructions of this.
        let in_chunk = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>();
        self.0.as_bytes().chunks(usize::from(u8::MAX)).map(|chunk| usize::from(in_chunk(chunk))).sum()
    }

    fn depth(self) -> usize {
        let (mut deepest, mut depth) = (0_usize, 0_usize);
        let (mut in_string, mut escaped) = (false, false);
        for byte in self.0.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = !in_string,
                b'[' | b'{' if !in_string => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        deepest
    }
}

/// The value for a message: scalars as sent, cut after [`MAX_QUOTED_CHARS`]; arrays and objects by their kind only.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_QUOTED_CHARS) {
            _ if self.is_array() => f.write_str("an array"),
            _ if self.is_object() => f.write_str("an object"),
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}

/// Takes the bytes that serde_json decodes a string to, unpaired surrogates included.
struct Lossy;

impl Visitor<'_> for Lossy {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// The body as text, without a byte order mark, which RFC 8259, section 8.1, allows parsers to ignore.
pub(super) fn body_text(body: &[u8]) -> Result<&str, Rejection> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    str::from_utf8(body).map_err(|error| {
        let message = format!("the body is not UTF-8 at byte {}", error.valid_up_to());
        Rejection::new(Code::InvalidJson, message)
    })
}

#[cfg(test)]
mod tests {
    use super::{Value, body_text};

    #[test]
    fn strings_are_decoded() {
        let table = [
            (r#""""#, Some(""), Some("")),
            (r#""a é 😀""#, Some("a é 😀"), Some("a é 😀")),
            (r#""\"\\\/\n\u00e9""#, Some("\"\\/\né"), Some("\"\\/\né")),
            (r#""\ud83d\ude00""#, Some("😀"), Some("😀")),
            (r#""a\ud83d""#, None, Some("a\u{fffd}\u{fffd}\u{fffd}")),
            ("1", None, None),
            ("null", None, None),
            ("[\"a\"]", None, None),
        ];
        for (json, text, lossy) in table {
            assert_eq!(Value::new(json).text().as_deref(), text, "{json}");
            assert_eq!(Value::new(json).lossy_text().as_deref(), lossy, "{json}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let table = [("1", 0), ("[]", 1), (r#"[{"a":[1]},[]]"#, 3), (r#"["[[[[","\"[[[\\",{}]"#, 2)];
        for (json, depth) in table {
            let value = Value::new(json);
            assert_eq!(value.depth(), depth, "{json}");
            assert!(!value.is_deeper_than(depth), "{json}");
            assert_eq!(value.is_deeper_than(depth.saturating_sub(1)), depth > 0, "{json}");
        }
    }

    #[test]
    fn messages_quote_at_most_48_characters() {
        assert_eq!(Value::new("42").to_string(), "42");
        assert_eq!(Value::new("[1]").to_string(), "an array");
        assert_eq!(Value::new("{}").to_string(), "an object");
        let long = format!("\"{}\"", "é".repeat(60));
        assert_eq!(Value::new(&long).to_string(), format!("\"{}…", "é".repeat(47)));
    }

    #[test]
    fn a_body_is_utf_8_with_or_without_a_mark() {
        assert_eq!(body_text(b"\xef\xbb\xbf{}").unwrap(), "{}");
        assert_eq!(body_text(b"{}").unwrap(), "{}");
        let error = body_text(b"{\"a\xff\"}").unwrap_err();
        assert_eq!(error.message, "the body is not UTF-8 at byte 3");
    }
}
