//! Iterates over the members of a JSON object, in order, with keys and values as they were sent.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::rejection::{Code, Rejection};
use super::value::Value;

/// Maximum nesting, the object itself included. Most parsers have a limit; serde_json's, 127 levels, is a common one,
/// but is not checked for values that are skipped.
pub(super) const MAX_DEPTH: usize = 127;

/// The start of the message for text that is not JSON.
pub(super) const NOT_JSON: &str = "the body is not JSON: ";

/// Calls `each` for every member of the object `json`, with the key, a string with its quotes and escapes, and the
/// value.
pub(super) fn for_each_member<'a>(json: &'a str, each: impl FnMut(Value<'a>, Value<'a>)) -> Result<(), Rejection> {
    let mut reader = serde_json::Deserializer::from_str(json);
    reader.deserialize_map(Members(each)).and_then(|()| reader.end()).map_err(|error| invalid(&error))
}

fn invalid(error: &serde_json::Error) -> Rejection {
    // serde_json's data errors quote the data, however long, so the message is written here.
    let message = if error.is_data() {
        let (line, column) = (error.line(), error.column());
        format!("the body is JSON but not an object at line {line} column {column}")
    } else {
        format!("{NOT_JSON}{error}")
    };
    Rejection::new(Code::InvalidJson, message)
}

struct Members<F>(F);

impl<'de, F: FnMut(Value<'de>, Value<'de>)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            (self.0)(Value::new(key.get()), Value::new(value.get()));
        }
        Ok(())
    }
}

/// The members of an object whose text is known to be valid JSON, as an item of a batch is: in the order and the form of
/// [`for_each_member`], in half of its time. Of another text, it may return anything, but it always ends.
pub(super) struct ValidMembers<'a> {
    text: &'a str,
    /// The index after the last member.
    at: usize,
}

impl<'a> ValidMembers<'a> {
    pub(super) fn of(json: &'a str) -> Self {
        Self { text: json, at: 0 }
    }

    /// The index of the first byte at or after `at` that is not white space.
    fn skip_whitespace(&self, at: usize) -> usize {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        at + rest.iter().take_while(|byte| is_whitespace(**byte)).count()
    }

    /// The index after the value that begins at `at`.
    fn value_end(&self, at: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        match bytes.get(at)? {
            b'"' => string_end(bytes, at),
            b'{' | b'[' => {
                let (mut depth, mut at) = (0_usize, at);
                loop {
                    match bytes.get(at)? {
                        b'"' => {
                            at = string_end(bytes, at)?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' if depth <= 1 => return Some(at + 1),
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    at += 1;
                }
            }
            _ => {
                let is_part = |byte: &&u8| !is_whitespace(**byte) && !matches!(byte, b',' | b'}' | b']');
                Some(at + bytes.get(at..)?.iter().take_while(is_part).count())
            }
        }
    }
}

impl<'a> Iterator for ValidMembers<'a> {
    /// The key, a string with its quotes and escapes, and the value.
    type Item = (Value<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        let start = self.skip_whitespace(self.at);
        let key = match bytes.get(start)? {
            b'{' | b',' => self.skip_whitespace(start + 1),
            _ => return None,
        };
        // An empty object ends here.
        if bytes.get(key) != Some(&b'"') {
            return None;
        }
        let key_end = string_end(bytes, key)?;
        let colon = self.skip_whitespace(key_end);
        let value = self.skip_whitespace(colon + 1);
        self.at = self.value_end(value)?;
        Some((Value::new(self.text.get(key..key_end)?), Value::new(self.text.get(value..self.at)?)))
    }
}

fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The index after the string that begins with the quote at `at`.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        // An escaped character, which may be a quote.
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ValidMembers, for_each_member};

    #[test]
    fn members_are_visited_in_order_and_as_sent() {
        let json = " {\"b\" : 1.50 , \"\\u0061\":[ 1,\n2 ],\"b\":\"\\ud800\"}\n";
        let mut seen = Vec::new();
        for_each_member(json, |key, value| seen.push((key.raw(), value.raw()))).unwrap();
        let expected = [("\"b\"", "1.50"), ("\"\\u0061\"", "[ 1,\n2 ]"), ("\"b\"", "\"\\ud800\"")];
        assert_eq!(seen, expected);
    }

    #[test]
    fn text_that_is_not_an_object_is_refused_with_its_position() {
        let table = [
            ("", "the body is not JSON: EOF while parsing a value at line 1 column 0"),
            ("{\"a\":\n01}", "the body is not JSON: invalid number at line 2 column 2"),
            ("{} {}", "the body is not JSON: trailing characters at line 1 column 4"),
            ("{1:2}", "the body is not JSON: key must be a string at line 1 column 2"),
            ("\"secret\"", "the body is JSON but not an object at line 1 column 8"),
            ("[{}]", "the body is JSON but not an object at line 1 column 0"),
            ("null", "the body is JSON but not an object at line 1 column 4"),
        ];
        for (json, message) in table {
            let error = for_each_member(json, |_, _| {}).unwrap_err();
            assert_eq!(error.message, message, "{json}");
        }
    }

    #[test]
    fn members_of_valid_text_are_the_same() {
        let table = [
            "{}",
            " { } ",
            "{\"a\":1}",
            "{\"a\" : [ {\"]\":\"}\"}, \"\\\"\" ] , \"b\\\\\":-1.5e+3 , \"\":null\n}",
            "{\"a\":{\"a\":{}},\"b\":[[],[]],\"c\":true,\"d\":\"\\\\\"}\t",
        ];
        for json in table {
            let mut expected = Vec::new();
            for_each_member(json, |key, value| expected.push((key.raw(), value.raw()))).unwrap();
            let found: Vec<_> = ValidMembers::of(json).map(|(key, value)| (key.raw(), value.raw())).collect();
            assert_eq!(found, expected, "{json}");
        }
    }

    proptest! {
        /// Mostly invalid texts, a few valid ones: those have the same members, and each ends without a panic.
        #[test]
        fn members_of_any_text_end_and_of_valid_text_are_the_same(
            parts in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", " ", "\n", "\"", "\\", "\"a\"", "\"é\\\"\"", "\"a\":", "1", "-0.5", "null", "{}",
                "\"a\":[1,{\"b\":\"]\"}]", "\"b\" : true",
            ]), 0..12),
            braces: bool,
        ) {
            let inner = parts.concat();
            let json = if braces { format!("{{{inner}}}") } else { inner };
            let found: Vec<_> = ValidMembers::of(&json).map(|(key, value)| (key.raw(), value.raw())).collect();
            let mut expected = Vec::new();
            if for_each_member(&json, |key, value| expected.push((key.raw(), value.raw()))).is_ok() {
                prop_assert_eq!(found, expected, "{}", json);
            }
        }
    }
}
