//! Finds the write key in a body, and removes it from an event that is kept as it was sent. Pure.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

use super::envelope::read_frame;
use super::field::Field;
use super::object::for_each_member;
use super::value::body_text;

/// The name of the member.
const NAME: &[u8] = b"writeKey";

/// The write key in a body that is one event or a batch, for a caller that has to check it before the events are
/// parsed.
pub(crate) fn write_key(body: &[u8]) -> Option<String> {
    let frame = read_frame(body_text(body).ok()?, 0).ok()?;
    frame.known.get(Field::WriteKey)?.text().map(Cow::into_owned)
}

/// What an event contains between the name of a write key and its value, at most: in JSON in any number of strings
/// within strings, in a form, and in JavaScript.
const MAX_SEPARATOR_BYTES: usize = 32;

/// A text without its write keys, of which nothing remains between the quotes. They are found by their name: in JSON, also
/// in strings within strings, in forms, and in text that is nearly JSON. The result is never longer.
pub(crate) fn without_write_key(event: &[u8]) -> Cow<'_, [u8]> {
    if !may_have_write_key(event) {
        return Cow::Borrowed(event);
    }
    let mut values: Vec<_> = by_name(event).chain(of_escaped_members(event)).collect();
    if values.is_empty() {
        return Cow::Borrowed(event);
    }
    values.sort_unstable_by_key(|value| value.start);
    let (mut without, mut rest_at) = (Vec::with_capacity(event.len()), 0);
    for Range { start, end } in values {
        without.extend_from_slice(event.get(rest_at..start).unwrap_or_default());
        rest_at = rest_at.max(end);
    }
    without.extend_from_slice(&event[rest_at..]);
    Cow::Owned(without)
}

/// Whether the event may have a write key, so that [`without_write_key`] copies it.
pub(crate) fn may_have_write_key(event: &[u8]) -> bool {
    [NAME, b"\\u"].iter().any(|part| memmem::find(event, part).is_some())
}

/// The values after the name of a write key: in quotes, or after an equals sign.
fn by_name(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    memmem::find_iter(text, NAME).filter_map(|at| {
        let rest = &text[at + NAME.len()..];
        let is_separator = |byte: &&u8| byte.is_ascii_whitespace() || b"\"'\\:=[".contains(byte);
        let separator = rest.iter().take(MAX_SEPARATOR_BYTES).take_while(is_separator).count();
        let value = &rest[separator..];
        let length = match *rest[..separator].last()? {
            // After an empty string, the next member follows.
            _ if value.first().is_some_and(|byte| b",}]".contains(byte)) => 0,
            quote @ (b'"' | b'\'') => {
                let length = value.iter().take_while(|byte| byte.is_ascii_graphic() && **byte != quote).count();
                // Within a string, the closing quote is escaped.
                let is_closed = value.get(length) == Some(&quote);
                let escapes = value[..length].iter().rev().take_while(|byte| is_closed && **byte == b'\\').count();
                length - escapes
            }
            b'=' => value.iter().take_while(|byte| byte.is_ascii_graphic() && !b"\"'\\&;".contains(byte)).count(),
            _ => 0,
        };
        let start = at + NAME.len() + separator;
        (length > 0).then_some(start..start + length)
    })
}

/// The values of an object's members whose name has escapes, without their quotes.
fn of_escaped_members(event: &[u8]) -> Vec<Range<usize>> {
    let mut values = Vec::new();
    let Ok(text) = str::from_utf8(event) else { return values };
    let found = for_each_member(text, |key, value| {
        if key.is_escaped() && value.is_string() && Field::of(key) == Some(Field::WriteKey) {
            // The value is a part of the event's text.
            let at = value.raw().as_ptr().addr() - text.as_ptr().addr();
            values.push(at + 1..at + value.raw().len() - 1);
        }
    });
    if found.is_ok() { values } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn write_keys_are_removed_wherever_they_are_found() {
        let table = [
            (r#"{"writeKey" : "secret" ,"é":1}"#, r#"{"writeKey" : "" ,"é":1}"#),
            (r#" {"a":{"writeKey":"in"},"write\u004bey":"k"}"#, r#" {"a":{"writeKey":""},"write\u004bey":""}"#),
            (r#"{"writeKey":"a","x":2,"writeKey":"b"}"#, r#"{"writeKey":"","x":2,"writeKey":""}"#),
            (r#"{"writeKey":["k"]}"#, r#"{"writeKey":[""]}"#),
            (r#""{\"writeKey\":\"k\",\"event\":\"x\"}""#, r#""{\"writeKey\":\"\",\"event\":\"x\"}""#),
            (r#"{"writeKey":"k""#, r#"{"writeKey":"""#),
            (r#"{"writeKey" : "k","a":01,"writeKey":"l"#, r#"{"writeKey" : "","a":01,"writeKey":""#),
            ("event=x&writeKey=k&a=b", "event=x&writeKey=&a=b"),
            ("{'writeKey':'k'} {writeKey:\"k\"}", "{'writeKey':''} {writeKey:\"\"}"),
            (r#"{"writeKey":"a\/b+c==","x":1}"#, r#"{"writeKey":"","x":1}"#),
            (r#""{\"writeKey\":\"a\\\/b\",\"x\":1}""#, r#""{\"writeKey\":\"\",\"x\":1}""#),
            (
                r#"the event is "{\"writeKey\": \"K3y-secr…, not an object"#,
                r#"the event is "{\"writeKey\": \"…, not an object"#,
            ),
            // Nothing is a key.
            (r#"{"a": 1.0}"#, r#"{"a": 1.0}"#),
            (r#"{"writeKey":5,"writeKey":null,"writeKey":"","#, r#"{"writeKey":5,"writeKey":null,"writeKey":"","#),
            ("", ""),
            ("7", "7"),
            ("the writeKey is secret", "the writeKey is secret"),
        ];
        for (event, expected) in table {
            assert_eq!(str::from_utf8(&without_write_key(event.as_bytes())), Ok(expected), "{event}");
            assert!(event == expected || may_have_write_key(event.as_bytes()), "{event}");
        }
        assert_eq!(&*without_write_key(b"\xff{\"writeKey\":\"k\"}"), b"\xff{\"writeKey\":\"\"}");
    }

    proptest! {
        #[test]
        fn an_event_becomes_no_longer_and_loses_its_key(
            parts in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "\"writeKey\"", ":", " ", "\"secret\"", "\"", ",", "\"a\"", "1", "[", "]", "\\", "\"writ\\u0065Key\"",
            ]), 0..14),
        ) {
            let event = parts.concat();
            let without = without_write_key(event.as_bytes());
            prop_assert!(without.len() <= event.len());
            if serde_json::from_str::<Map<String, Value>>(&event).is_ok() {
                let kept: Map<String, Value> = serde_json::from_slice(&without).unwrap();
                prop_assert_ne!(kept.get("writeKey").and_then(Value::as_str), Some("secret"));
            }
        }
    }
}
