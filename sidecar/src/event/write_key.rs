//! Finds the write key in a body, and removes it from an event that is kept as it was sent. Pure.

use std::borrow::Cow;
use std::ops::Range;

use super::envelope::read_frame;
use super::field::Field;
use super::object::for_each_member;
use super::parse::WHITESPACE;
use super::value::body_text;

/// The write key in a body that is one event or a batch, for a caller that has to check it before the events are
/// parsed.
pub(crate) fn write_key(body: &[u8]) -> Option<String> {
    let frame = read_frame(body_text(body).ok()?).ok()?;
    frame.get(Field::WriteKey)?.text().map(Cow::into_owned)
}

/// The text of an event with an empty string instead of its write key. It is never longer.
pub(crate) fn without_write_key(event: &str) -> Cow<'_, str> {
    let mut values = Vec::new();
    let found = for_each_member(event, |key, value| {
        if value.is_string() && Field::of(key) == Some(Field::WriteKey) {
            // The value is a part of the event's text.
            let at = value.raw().as_ptr().addr() - event.as_ptr().addr();
            values.push(at..at + value.raw().len());
        }
    });
    if found.is_err() {
        values = in_invalid_json(event);
    }
    if values.is_empty() {
        return Cow::Borrowed(event);
    }
    let (mut without, mut rest_at) = (String::with_capacity(event.len()), 0);
    for value in values {
        without.push_str(&event[rest_at..value.start]);
        without.push_str("\"\"");
        rest_at = value.end;
    }
    without.push_str(&event[rest_at..]);
    Cow::Owned(without)
}

/// The ranges of the strings that follow `"writeKey":` in a text that is not a JSON object, up to the end of the text if
/// one has no end.
fn in_invalid_json(text: &str) -> Vec<Range<usize>> {
    let mut values = Vec::new();
    for (at, key) in text.match_indices(Field::WriteKey.quoted()) {
        let rest = text[at + key.len()..].trim_start_matches(WHITESPACE);
        let Some(value) = rest.strip_prefix(':').map(|rest| rest.trim_start_matches(WHITESPACE)) else { continue };
        let Some(content) = value.strip_prefix('"') else { continue };
        let start = text.len() - value.len();
        // A valid write key has no character that JSON escapes.
        let end = content.find('"').map_or(text.len(), |length| start + length + 2);
        // A key without a closing quote is longer than the empty string, unless it is empty.
        if end - start >= 2 && values.last().is_none_or(|last: &Range<usize>| last.end <= start) {
            values.push(start..end);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_values_of_write_keys_are_removed() {
        let table = [
            (r#"{"writeKey" : "secret" ,"é":1}"#, r#"{"writeKey" : "" ,"é":1}"#),
            (r#" {"a":{"writeKey":"in"},"write\u004bey":"k"}"#, r#" {"a":{"writeKey":"in"},"write\u004bey":""}"#),
            (r#"{"writeKey":"a","x":2,"writeKey":"b"}"#, r#"{"writeKey":"","x":2,"writeKey":""}"#),
            (r#"{"writeKey":["k"]}"#, r#"{"writeKey":["k"]}"#),
            (r#"{"a": 1.0}"#, r#"{"a": 1.0}"#),
            ("", ""),
            ("7", "7"),
            // Not JSON.
            (r#"{"writeKey":"k""#, r#"{"writeKey":"""#),
            (r#"{"writeKey" : "k","a":01,"writeKey":"l"#, r#"{"writeKey" : "","a":01,"writeKey":"""#),
            (r#"{"writeKey":k,"writeKey":"","#, r#"{"writeKey":k,"writeKey":"","#),
            (r#"["writeKey","k"]"#, r#"["writeKey","k"]"#),
            (r#"{"writeKey":""#, r#"{"writeKey":""#),
        ];
        for (event, expected) in table {
            assert_eq!(without_write_key(event), expected);
        }
    }

    proptest! {
        #[test]
        fn an_event_becomes_no_longer_and_loses_its_key(
            parts in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "\"writeKey\"", ":", " ", "\"secret\"", "\"", ",", "\"a\"", "1", "[", "]", "\\", "\"writ\\u0065Key\"",
            ]), 0..14),
        ) {
            let event = parts.concat();
            let without = without_write_key(&event);
            prop_assert!(without.len() <= event.len());
            if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&event).is_ok() {
                let kept: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&without).unwrap();
                prop_assert_ne!(kept.get("writeKey").and_then(serde_json::Value::as_str), Some("secret"));
            }
        }
    }
}
