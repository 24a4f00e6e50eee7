//! Finds the events in the bodies of Segment's webhook destinations: one event, or an array of events. Segment has
//! stamped their times already, so these are kept. A batch of a library is also accepted.
//! <https://segment.com/docs/connections/destinations/catalog/actions-webhook/>

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::batch;
use super::envelope::{Frame, Items, read_frame};
use super::field::Field;
use super::rejection::{Code, Rejection};
use super::scanner::Scanner;
use super::stamp::RequestContext;
use super::unparsed::UnparsedEvents;
use super::validate::{TypeFrom, TypeRule};
use super::value::{WHITESPACE, body_text};
use super::{Limits, object};

/// Finds the events in a body that is one event or an array of events. Each has its own `type`, any word. A body that is
/// a batch is read as [`batch::batch`] does.
///
/// # Errors
/// The array is rejected as a whole: it is not UTF-8, not JSON, is empty or exceeds a limit.
pub fn webhook<'a>(body: &'a [u8], received_at: Timestamp, limits: &Limits) -> Result<UnparsedEvents<'a>, Rejection> {
    let request = RequestContext { keeps_times: true, ..RequestContext::new(received_at) };
    let alone =
        |text, request| Ok(UnparsedEvents::alone(body, text, TypeFrom::Event(TypeRule::AnyWord), request, limits));
    let text = match body_text(body) {
        Ok(text) => text.trim_matches(WHITESPACE),
        Err(rejection) if body.trim_ascii_start().starts_with(b"[") => return Err(rejection),
        Err(rejection) => return alone(Err(rejection), request),
    };
    if !text.starts_with('[') {
        if let Some(frame) = frame_of_batch(text, limits) {
            return batch::of_frame(frame, received_at, limits);
        }
        return alone(Ok(text), request);
    }
    let mut scanner = Scanner::new(text);
    let items = Items::scan(&mut scanner, limits.webhook_events).filter(|_| scanner.end().is_some());
    let items = batch::checked("the body", items.ok_or_else(|| not_json(text))?, limits.webhook_events)?;
    Ok(UnparsedEvents::several(items, TypeRule::AnyWord, request, limits))
}

/// The frame of a body that is a batch: Segment's library for React Native sends them to `/` if it has a proxy. An event
/// may have a member named `batch` too, but a batch has no type.
fn frame_of_batch<'a>(text: &'a str, limits: &Limits) -> Option<Frame<'a>> {
    // Searched first, so that nearly no event is read twice.
    if !text.contains("\"batch\"") {
        return None;
    }
    let frame = read_frame(text, limits.batch_events).ok()?;
    (frame.known.get(Field::Type).is_none() && frame.items.is_some()).then_some(frame)
}

/// The rejection of an array that is not JSON.
fn not_json(text: &str) -> Rejection {
    let fault = serde_json::from_str::<&RawValue>(text).err();
    // The scanner and serde_json accept the same texts, as a test of the scanner shows.
    let fault = fault.map_or_else(|| "it can't be read".to_owned(), |error| error.to_string());
    Rejection::new(Code::InvalidJson, format!("{}{fault}", object::NOT_JSON))
}

/// The text of an array's first item exactly as sent, which a webhook's signature covers. The rest of the body is not
/// read: the signature does not cover it.
pub(crate) fn first_of_array(body: &[u8]) -> Option<&[u8]> {
    let text = body.utf8_chunks().next()?.valid();
    Scanner::new(text).first_item().map(|item| item.raw().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ParsedEvents;

    /// The text is leaked, so that a test can keep what refers to it.
    fn parse(json: &str) -> Result<ParsedEvents<'static>, (Code, String)> {
        let json = &*json.to_owned().leak();
        let limits = Limits { webhook_events: 3, ..Limits::default() };
        let received_at = "2026-11-23T12:00:00Z".parse().unwrap();
        let found = webhook(json.as_bytes(), received_at, &limits);
        let parsed = found.and_then(UnparsedEvents::parse).and_then(|parsed| match &parsed.rejected[..] {
            [rejected] if rejected.index.is_none() => Err(rejected.rejection.clone()),
            _ => Ok(parsed),
        });
        parsed.map_err(|error| (error.code, error.message))
    }

    fn stored(json: &str) -> String {
        let batch = parse(json).unwrap();
        assert_eq!((batch.events.len(), batch.rejected.len()), (1, 0));
        let body = String::from_utf8(batch.events[0].body.to_vec()).unwrap();
        body.strip_suffix('\n').unwrap().to_owned()
    }

    #[test]
    fn existing_times_are_kept() {
        let times = r#""receivedAt":"2020-01-01T00:00:03.000Z","sentAt":"2020-01-01T00:00:02Z","originalTimestamp":"1999-01-01","timestamp":"2020-01-01T00:00:01Z""#;
        let body = stored(&format!(r#"{{"type":"delete","userId":"u","messageId":"m",{times},"version":2}}"#));
        assert_eq!(body, format!(r#"{{"type":"delete","userId":"u","messageId":"m",{times},"version":2}}"#));
        let now = r#""2026-11-23T12:00:00.000Z""#;
        let body = stored(r#"[{"type":"page","userId":"u","messageId":"m","sentAt":null,"timestamp":"2020-01-01"}]"#);
        let expected = format!(
            r#"{{"type":"page","userId":"u","messageId":"m","sentAt":{now},"timestamp":"2020-01-01","originalTimestamp":"2020-01-01","receivedAt":{now},"version":2}}"#
        );
        assert_eq!(body, expected);
    }

    #[test]
    fn the_keys_time_is_the_events_timestamp() {
        let json = r#"{"type":"page","userId":"u","timestamp":"2020-01-01T00:00:01Z","sentAt":"2024-01-01T00:00:00Z"}"#;
        let event = parse(json).unwrap().events.remove(0);
        assert_eq!(event.timestamp, "2020-01-01T00:00:01Z".parse().unwrap());
        assert_eq!(event.occurred_at, event.timestamp);
        let unreadable = parse(&json.replace("2020-01-01T", "then ")).unwrap().events.remove(0);
        assert_eq!(unreadable.occurred_at, "2026-11-23T12:00:00Z".parse().unwrap());
    }

    #[test]
    fn invalid_events_of_an_array_are_rejected_alone() {
        let good = r#"{"type":"delete","userId":1}"#;
        let batch = parse(&format!(" [{good},7,{good}]\n")).unwrap();
        assert_eq!((batch.events.len(), batch.rejected.len()), (2, 1));
        assert_eq!(batch.rejected[0].index, Some(1));
        for (json, code, message) in [
            ("[]".to_owned(), Code::EmptyBatch, "the body is an empty array"),
            (format!("[{}]", [good; 4].join(",")), Code::TooManyEvents, "the body has 4 events, over 3"),
            ("[{}".to_owned(), Code::InvalidJson, "the body is not JSON: EOF while parsing a list at line 1 column 3"),
            ("[] []".to_owned(), Code::InvalidJson, "the body is not JSON: trailing characters at line 1 column 4"),
            (String::new(), Code::InvalidJson, "the body is not JSON: EOF while parsing a value at line 1 column 0"),
            ("7".to_owned(), Code::InvalidJson, "the body is JSON but not an object at line 1 column 1"),
        ] {
            assert_eq!(parse(&json).unwrap_err(), (code, message.to_owned()), "{json}");
        }
    }

    #[test]
    fn a_librarys_batch_is_read_as_a_batch() {
        let body = stored(
            r#"{"batch":[{"type":"page","userId":"u","timestamp":"2026-11-23T10:59:00Z"}],"sentAt":"2026-11-23T11:00:00Z"}"#,
        );
        assert!(body.contains(r#""timestamp":"2026-11-23T11:59:00.000Z""#), "the client's clock is corrected: {body}");
        let event = stored(r#"{"type":"page","userId":"u","batch":[]}"#);
        assert!(event.starts_with(r#"{"type":"page","userId":"u","batch":[],"#), "{event}");
        let (code, _) = parse(r#"{"batch":[{"type":"delete","userId":"u"}],"writeKey":"k"}"#)
            .map(|batch| batch.rejected[0].rejection.code)
            .map_or_else(|error| error, |code| (code, String::new()));
        assert_eq!(code, Code::InvalidType, "a batch has the six types");
        assert_eq!(parse(r#"{"batch":7}"#).unwrap_err().0, Code::InvalidType);
    }

    #[test]
    fn the_first_item_of_an_array_is_found_as_sent() {
        assert_eq!(first_of_array(b" [ {\"a\" : 1} , 2]"), Some(&b"{\"a\" : 1}"[..]));
        assert_eq!(first_of_array(b"[{\"a\":\"\xc3\xa9\"},\xff"), Some("{\"a\":\"é\"}".as_bytes()));
        for none in [&b"[]"[..], b"{}", b"[1", b"", b"[}]", b"\xff", b"[{\"a\":\"\xff\"}]"] {
            assert_eq!(first_of_array(none), None, "{none:?}");
        }
    }
}
