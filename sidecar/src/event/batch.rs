//! Finds the events in a batch request: `{"batch": [event, …], "context"?, "integrations"?, "sentAt"?, …}`. Each is then parsed,
//! and rejected alone if it is invalid, by [`UnparsedEvents::parse`].

use jiff::Timestamp;

use super::envelope::{Frame, Items, Known, read_frame};
use super::field::Field;
use super::merge::Shared;
use super::rejection::{Code, Rejection};
use super::stamp::RequestContext;
use super::unparsed::UnparsedEvents;
use super::validate::TypeRule;
use super::value::body_text;
use super::{Limits, validate};

/// Finds the events in a body that is a batch. Each event has its own `type`, one of the six.
///
/// # Errors
/// The batch is rejected as a whole: its frame is not a JSON object with an array `batch`, its `context` or
/// `integrations` is not an object, or the array is empty or a limit exceeded.
pub fn batch<'a>(body: &'a [u8], received_at: Timestamp, limits: &Limits) -> Result<UnparsedEvents<'a>, Rejection> {
    of_frame(read_frame(body_text(body)?, limits.batch_events)?, received_at, limits)
}

/// Finds the events in a batch whose frame is read already.
///
/// # Errors
/// As [`batch`], except that the frame is a JSON object.
pub(super) fn of_frame<'a>(
    frame: Frame<'a>,
    received_at: Timestamp,
    limits: &Limits,
) -> Result<UnparsedEvents<'a>, Rejection> {
    let Frame { known: frame, items } = frame;
    let Some(items) = items else {
        let message = match frame.get(Field::Batch) {
            Some(value) => format!("batch is {value}, not an array of events"),
            None => "batch is missing: it must be an array of events".to_owned(),
        };
        return Err(Rejection::new(Code::InvalidBatch, message));
    };
    let items = checked("batch", items, limits.batch_events)?;
    let request = RequestContext {
        // Another value can't be a time, and would be copied into every event.
        sent_at: frame.get(Field::SentAt).filter(|value| value.is_string() || value.is_number()),
        context: shared(&frame, Field::Context, Code::ContextNotObject, limits)?,
        integrations: shared(&frame, Field::Integrations, Code::IntegrationsNotObject, limits)?,
        ..RequestContext::new(received_at)
    };

    Ok(UnparsedEvents::several(items, TypeRule::Six, request, limits))
}

fn shared<'a>(frame: &Known<'a>, field: Field, code: Code, limits: &Limits) -> Result<Option<Shared<'a>>, Rejection> {
    validate::object(frame, field, code)?;
    let read = |value| Shared::read(field.as_str(), value, limits.event_bytes);
    frame.get(field).map(read).transpose()
}

/// The items of an array, of which there must be 1 to `max`; `name` is the array's name in messages.
pub(super) fn checked<'a>(name: &str, items: Items<'a>, max: usize) -> Result<Items<'a>, Rejection> {
    match items.count {
        0 => Err(Rejection::new(Code::EmptyBatch, format!("{name} is an empty array"))),
        count if count > max => {
            let message = format!("{name} has {count} events, over {max}");
            Err(Rejection::new(Code::TooManyEvents, message))
        }
        _ => Ok(items),
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Limits, batch};
    use crate::event::{ParsedEvents, UnparsedEvents};

    const GOOD: &str = r#"{"type":"track","userId":1,"event":"e","messageId":"m"}"#;

    fn limits() -> Limits {
        Limits { event_bytes: 400, batch_events: 5, batch_stored_bytes: 2_000, ..Limits::default() }
    }

    /// The text is leaked, so that a test can keep what refers to it.
    fn parse(json: &str) -> Result<ParsedEvents<'static>, (Code, String)> {
        let json = &*json.to_owned().leak();
        let received_at = "2026-11-23T12:00:00Z".parse().unwrap();
        let found = batch(json.as_bytes(), received_at, &limits());
        found.and_then(UnparsedEvents::parse).map_err(|error| (error.code, error.message))
    }

    /// The only event of the batch, as stored.
    fn stored(json: &str) -> String {
        let batch = parse(json).unwrap();
        assert_eq!((batch.events.len(), batch.rejected.len()), (1, 0));
        let body = String::from_utf8(batch.events[0].body.to_vec()).unwrap();
        body.strip_suffix('\n').unwrap().to_owned()
    }

    #[test]
    fn a_batch_with_an_invalid_frame_is_refused_as_a_whole() {
        let many = format!(r#"{{"batch":[{}]}}"#, [GOOD; 6].join(","));
        let table = [
            ("", Code::InvalidJson, "the body is not JSON: EOF while parsing a value at line 1 column 0"),
            ("[1]", Code::InvalidJson, "the body is JSON but not an object at line 1 column 0"),
            (r#"{"batch":[{]}"#, Code::InvalidJson, "the body is not JSON: key must be a string at line 1 column 12"),
            ("{}", Code::InvalidBatch, "batch is missing: it must be an array of events"),
            (r#"{"batch":null}"#, Code::InvalidBatch, "batch is missing: it must be an array of events"),
            (r#"{"batch":{"a":1}}"#, Code::InvalidBatch, "batch is an object, not an array of events"),
            (r#"{"batch":"[]"}"#, Code::InvalidBatch, "batch is \"[]\", not an array of events"),
            (r#"{"batch":7}"#, Code::InvalidBatch, "batch is 7, not an array of events"),
            (r#"{"batch":[ ]}"#, Code::EmptyBatch, "batch is an empty array"),
            (&many, Code::TooManyEvents, "batch has 6 events, over 5"),
            (r#"{"batch":[1],"context":[1]}"#, Code::ContextNotObject, "context is an array, not an object"),
            (r#"{"batch":[1],"integrations":1}"#, Code::IntegrationsNotObject, "integrations is 1, not an object"),
            (
                r#"{"batch":[],"b\u0061tch":[1]}"#,
                Code::DuplicateKey,
                "batch occurs more than once, with different values",
            ),
            (
                r#"{"batch":[],"sentAt":1,"sentAt":2}"#,
                Code::DuplicateKey,
                "sentAt occurs more than once, with different values",
            ),
        ];
        for (json, code, message) in table {
            assert_eq!(parse(json).unwrap_err(), (code, message.to_owned()), "{json}");
        }
    }

    #[test]
    fn a_bad_event_is_rejected_alone() {
        let long = format!(r#"{{"type":"page","userId":"{}"}}"#, "u".repeat(400));
        let table = [
            ("7", "event_not_object: the event is 7, not an object"),
            (r#"["a"]"#, "event_not_object: the event is an array, not an object"),
            ("null", "event_not_object: the event is null, not an object"),
            (long.as_str(), "event_too_large: the event has 427 bytes, over 400"),
            (
                r#"{"userId":1}"#,
                "invalid_type: type is missing: it must be track, identify, page, screen, group or alias",
            ),
            (r#"{"type":"page"}"#, "no_user_anon_id: userId and anonymousId are both missing"),
            (r#"{"type":"page","type":"track"}"#, "duplicate_key: type occurs more than once, with different values"),
        ];
        for (item, expected) in table {
            let batch = parse(&format!(r#"{{"batch":[{GOOD}, {item} ,{GOOD}]}}"#)).unwrap();
            assert_eq!(batch.events.len(), 2, "{item}");
            assert_eq!(batch.rejected.len(), 1, "{item}");
            let rejected = &batch.rejected[0];
            assert_eq!(rejected.index, Some(1));
            assert_eq!(format!("{}: {}", rejected.rejection.code.as_str(), rejected.rejection), expected);

            let batch = parse(&format!(r#"{{"batch":[{item}]}}"#)).unwrap();
            assert_eq!((batch.events.len(), batch.rejected.len()), (0, 1));
        }
    }

    #[test]
    fn events_keep_their_order_and_types() {
        let page = GOOD.replace("track", "page");
        let batch = parse(&format!(" {{\"writeKey\":\"k\",\"batch\":[{GOOD},{page}]}}\n")).unwrap();
        let types: Vec<_> = batch.events.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(types, ["track", "page"]);
        assert!(batch.events.iter().all(|event| !event.body.windows(8).any(|part| part == b"writeKey")));
    }

    #[test]
    fn the_batchs_members_reach_its_events() {
        let frame = |item: &str, more: &str| stored(&format!(r#"{{{more},"batch":[{item}]}}"#));
        let own = r#"{"type":"page","context":{"ip":"1","a":1},"userId":1,"integrations":null}"#;
        let body = frame(own, r#""integrations":{"All": false},"context":{"ip":"2","b":2.0}"#);
        let start = r#"{"type":"page","context":{"ip":"1","a":1,"b":2.0},"userId":1,"integrations":{"All": false},"messageId":"#;
        assert!(body.starts_with(start), "{body}");
        let body = frame(GOOD, r#""context":{"b":2},"integrations":null"#);
        assert!(body.ends_with(r#","version":2,"context":{"b":2}}"#), "{body}");

        let sent = r#""sentAt":"2026-11-23T11:00:00Z""#;
        let timed = r#"{"type":"page","userId":1,"timestamp":"2026-11-23T10:59:00Z","x":1}"#;
        assert!(frame(timed, sent).contains(r#""timestamp":"2026-11-23T11:59:00.000Z""#));
        assert!(frame(timed, sent).contains(sent));
        let body = frame(&timed.replace(r#""x":1"#, r#""sentAt":"2026-11-23T11:00:30Z""#), sent);
        assert!(body.contains(r#""timestamp":"2026-11-23T11:58:30.000Z""#), "{body}");
        assert!(!body.contains(sent), "{body}");
        assert!(frame(timed, r#""sentAt":1795431600000"#).contains(r#""timestamp":"2026-11-23T11:59:00.000Z""#));
        let body = frame(r#"{"type":"page","userId":1,"context":[],"integrations":[]}"#, r#""context":{"b":2}"#);
        assert!(body.contains(r#""context":{"b":2},"integrations":{},"#), "{body}");
        let body = frame(timed, r#""sentAt":[1],"timestamp":"x","userId":2"#);
        assert!(body.contains(r#""sentAt":"2026-11-23T12:00:00.000Z""#), "{body}");
    }

    #[test]
    fn the_stored_size_of_a_batch_is_limited() {
        let frame = |shared: usize, items: usize| {
            let batch = [GOOD; 5][..items].join(",");
            format!(r#"{{"context":{{"a":"{}"}},"batch":[{batch}]}}"#, "x".repeat(shared - 8))
        };
        assert_eq!(parse(&frame(400, 2)).unwrap().events.len(), 2);
        let message = "the events are longer than 2000 bytes together, as they would be stored, with the batch's context and integrations in each; send fewer events per request, or a smaller context".to_owned();
        assert_eq!(parse(&frame(400, 5)).unwrap_err(), (Code::BatchTooLarge, message));
        let message = "context of the batch has 401 bytes, over 400".to_owned();
        assert_eq!(parse(&frame(401, 1)).unwrap_err(), (Code::BatchTooLarge, message));
    }
}
