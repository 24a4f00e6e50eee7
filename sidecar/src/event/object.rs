//! Iterates over the members of a JSON object, in order, with keys and values as they were sent.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::rejection::{Code, Rejection};
use super::scanner::Scanner;
use super::value::Value;

/// Maximum nesting, the object itself included. Most parsers have a limit; serde_json's, 127 levels, is a common one,
/// but is not checked for values that are skipped.
pub(super) const MAX_DEPTH: usize = 127;

/// The start of the message for text that is not JSON.
pub(super) const NOT_JSON: &str = "the body is not JSON: ";

/// Calls `each` for every member of the object `json`, with the key, a string with its quotes and escapes, and the
/// value.
///
/// # Errors
/// `json` is not an object. Members before the fault have been visited.
pub(super) fn for_each_member<'a>(json: &'a str, mut each: impl FnMut(Value<'a>, Value<'a>)) -> Result<(), Rejection> {
    let mut scanner = Scanner::new(json);
    let scanned = scanner.object(|key, scanner| {
        each(key, scanner.value()?);
        Some(())
    });
    scanned.and_then(|()| scanner.end()).ok_or_else(|| not_an_object(json))
}

/// The rejection of text that is not an object.
pub(super) fn not_an_object(json: &str) -> Rejection {
    let mut reader = serde_json::Deserializer::from_str(json);
    let fault = reader.deserialize_map(Members).and_then(|()| reader.end()).err();
    let message = match fault {
        // serde_json's data errors quote the data, however long, so the message is written here.
        Some(error) if error.is_data() => {
            let (line, column) = (error.line(), error.column());
            format!("the body is JSON but not an object at line {line} column {column}")
        }
        Some(error) => format!("{NOT_JSON}{error}"),
        // The scanner and serde_json accept the same texts, as a test shows.
        None => format!("{NOT_JSON}it can't be read"),
    };
    Rejection::new(Code::InvalidJson, message)
}

/// Reads an object for its faults only.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<&RawValue, &RawValue>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::for_each_member;

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
}
