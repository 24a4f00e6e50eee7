//! Parses one event: checks, validates and stamps its text into the JSON that is stored. Pure.

use std::slice;

use super::envelope::Envelope;
use super::event_type::EventType;
use super::field::Field;
use super::message_id::MessageId;
use super::object::MAX_DEPTH;
use super::rejection::{Code, Rejection};
use super::stamp::{RequestContext, Stamped, stamp};
use super::validate::{self, TypeFrom};
use super::value::{Value, WHITESPACE};
use super::{Event, Limits};
use tributary_crds::function::SegmentType;

/// Parses the event in `json`. `noted` is as for [`Envelope::read`].
///
/// # Errors
/// The first rule that the event breaks.
pub(super) fn event<'a>(
    json: &'a str,
    noted: &mut slice::Iter<'_, Value<'a>>,
    type_from: &TypeFrom,
    request: &RequestContext<'_>,
    limits: &Limits,
) -> Result<Event, Rejection> {
    let length = json.trim_matches(WHITESPACE).len();
    if length > limits.event_bytes {
        let message = format!("the event has {length} bytes, over {}", limits.event_bytes);
        return Err(Rejection::new(Code::EventTooLarge, message));
    }
    let envelope = Envelope::read(json, noted)?;
    if Value::new(json).is_deeper_than(MAX_DEPTH) {
        let message = format!("the event is nested over {MAX_DEPTH} levels");
        return Err(Rejection::new(Code::InvalidJson, message));
    }
    let known = &envelope.known;
    let event_type = match type_from {
        TypeFrom::Path(event_type) => event_type.clone(),
        TypeFrom::Event(rule) => validate::event_type(known, *rule)?,
    };
    let message_id = MessageId::of(known.get(Field::MessageId), request.received_at)?;
    validate::check(known, &event_type)?;

    let stamped = stamp(&envelope, &event_type, &message_id, request)?;
    let Stamped { body, occurred_at, timestamp, has_unreadable_time } = stamped;
    let event = known.get(Field::Event).filter(|_| event_type == EventType::Segment(SegmentType::Track));
    Ok(Event {
        has_unreadable_time,
        message_id_sent: !matches!(message_id, MessageId::Generated(_)),
        timestamp_sent: timestamp.is_some(),
        message_id: message_id.into_string(),
        event: event.and_then(|name| Some(name.lossy_text()?.into_owned())),
        user_id: validate::user_id(known),
        event_type,
        timestamp: timestamp.unwrap_or(request.received_at),
        occurred_at,
        body,
    })
}

#[cfg(test)]
mod tests {
    use crate::event::{Code, Event, EventType, Limits, Rejection, single};

    fn parse(json: &str, kind: &str) -> Result<Event, Rejection> {
        let limits = Limits { event_bytes: 1_000, ..Limits::default() };
        let event_type = EventType::parse(kind).unwrap();
        let found = single(json.as_bytes(), event_type, "2026-11-23T12:00:00Z".parse().unwrap(), &limits);
        found.parse()?.into_single()
    }

    #[test]
    fn the_paths_type_takes_precedence() {
        let json = r#"{"type":"track","userId":"u","event":"e"}"#;
        for kind in ["track", "page", "delete"] {
            let event = parse(json, kind).unwrap();
            assert_eq!(event.event_type.as_str(), kind);
            let start = format!(r#"{{"type":"{kind}","userId":"u","event":"e","messageId":""#);
            assert!(event.body.starts_with(start.as_bytes()), "{:?}", event.body);
        }
    }

    #[test]
    fn fields_for_keys_and_filters_are_parsed() {
        let event = parse(r#"{"userId":7,"messageId":"m\u0031","event":"Order\u0020Placed"}"#, "track").unwrap();
        assert_eq!(event.message_id, "m1");
        assert_eq!(event.event.as_deref(), Some("Order Placed"));
        assert_eq!(event.user_id.as_deref(), Some("7"));
        assert!(event.message_id_sent && !event.timestamp_sent);
        let body = String::from_utf8(event.body.to_vec()).unwrap();
        assert!(body.contains(r#""messageId":"m\u0031","event":"Order\u0020Placed""#), "{body}");

        let event = parse(r#"{"anonymousId":"a","messageId":"","event":"e"}"#, "page").unwrap();
        assert_eq!((event.event, event.user_id, event.message_id_sent), (None, None, false));
        let timed = parse(r#"{"userId":7,"timestamp":"2026-01-01T00:00:00Z"}"#, "page").unwrap();
        assert!(timed.timestamp_sent && !timed.message_id_sent && !timed.has_unreadable_time);
        assert!(!event.has_unreadable_time, "it has no timestamp");
        for unreadable in [r#""timestamp":"yesterday""#, r#""originalTimestamp":17"#, r#""timestamp":"""#] {
            let event = parse(&format!(r#"{{"userId":7,{unreadable}}}"#), "page").unwrap();
            assert!(event.has_unreadable_time && !event.timestamp_sent, "{unreadable}");
        }
        let late = parse(r#"{"userId":7,"timestamp":"2026-01-01","sentAt":"soon"}"#, "page").unwrap();
        assert!(late.has_unreadable_time && late.timestamp_sent, "its clock can't be corrected");
        let made = format!(r#""messageId":"{}","event""#, event.message_id);
        let body = String::from_utf8(event.body.to_vec()).unwrap();
        assert!(body.contains(&made), "{body}");
    }

    #[test]
    fn the_length_of_an_event_is_limited_without_the_space_around_it() {
        let of_length = |length: usize| format!(" \n{{\"userId\":\"{}\"}} \t\r", "é".repeat((length - 13) / 2));
        assert!(parse(&of_length(999), "page").is_ok());
        let error = parse(&of_length(1_001), "page").unwrap_err();
        assert_eq!(error.code, Code::EventTooLarge);
        assert_eq!(error.message, "the event has 1001 bytes, over 1000");
    }

    #[test]
    fn the_nesting_of_an_event_is_limited() {
        let nested = |depth: usize| format!(r#"{{"userId":1,"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(126), "page").is_ok());
        let error = parse(&nested(127), "page").unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (Code::InvalidJson, "the event is nested over 127 levels"));
    }

    #[test]
    fn a_refusal_names_the_first_rule_that_is_broken() {
        let table = [
            ("", Code::InvalidJson),
            ("[]", Code::InvalidJson),
            (r#"{"userId":1,"userId":2}"#, Code::DuplicateKey),
            (r#"{"messageId":true}"#, Code::MessageIdNotString),
            (r#"{"context":1}"#, Code::ContextNotObject),
            (r#"{"event":1}"#, Code::NoUserAnonId),
            (r#"{"userId":1,"properties":1}"#, Code::EventNotDefined),
            (r#"{"userId":1,"event":"e","properties":1}"#, Code::PropertiesNotObject),
        ];
        for (json, code) in table {
            assert_eq!(parse(json, "track").unwrap_err().code, code, "{json}");
        }
    }

    #[test]
    fn debug_output_omits_the_events_members() {
        let event = parse(r#"{"userId":"secret","event":"secret"}"#, "track").unwrap();
        assert!(!format!("{event:?}").contains("secret"));
    }
}
