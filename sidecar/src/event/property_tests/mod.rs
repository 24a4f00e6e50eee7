//! Tests properties of every event with generated ones: nested, with odd keys and escapes, and with numbers that no
//! machine type can represent.

mod events;
mod json;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::time::quoted;
use super::value::Value;
use super::{Event, EventType, Limits, ParsedEvents, UnparsedEvents, batch, single};
use events::{any_event, any_json, any_key};
use json::{Json, Members, get, written};

const RECEIVED: &str = "2026-11-23T12:00:00.123Z";

const STAMPED: [&str; 7] = ["messageId", "type", "timestamp", "originalTimestamp", "sentAt", "receivedAt", "version"];

/// Members whose empty arrays stand for empty objects.
const OBJECTS: [&str; 4] = ["context", "integrations", "properties", "traits"];

fn limits() -> Limits {
    Limits { event_bytes: 1 << 20, ..Limits::default() }
}

fn parse(json: &[u8], kind: &str) -> Option<Event> {
    let event_type = EventType::parse(kind).unwrap();
    let found = single(json, event_type, RECEIVED.parse().unwrap(), &limits());
    found.parse().ok()?.into_single().ok()
}

fn parse_batch(json: &[u8]) -> Option<ParsedEvents<'_>> {
    batch(json, RECEIVED.parse().unwrap(), &limits()).and_then(UnparsedEvents::parse).ok()
}

/// The stored members. Also checks that they are one line, and that a stricter parser accepts the JSON.
fn stored(event: &Event) -> Members {
    serde_json::from_slice::<serde::de::IgnoredAny>(&event.body).unwrap();
    let line = str::from_utf8(&event.body).unwrap().strip_suffix('\n').unwrap();
    assert!(!line.contains(['\n', '\r']), "{line:?}");
    match Json::read(Value::new(line)) {
        Json::Object(members) => members,
        other => panic!("{other:?}"),
    }
}

/// The sent members as they should be stored; `shared` is the batch's `context`.
fn kept(sent: &Members, shared: Option<&Members>) -> Members {
    let mut kept = sent.clone();
    kept.retain(|(key, _)| key != "writeKey" && !STAMPED.contains(&key.as_str()));
    for (key, value) in &mut kept {
        if OBJECTS.contains(&key.as_str()) && *value == Json::Array(Vec::new()) {
            *value = Json::Object(Vec::new());
        }
    }
    let Some(shared) = shared else { return kept };
    let mut context = shared.clone();
    if let Some(Json::Object(own)) = get(sent, "context") {
        context.retain(|(key, _)| own.iter().all(|(taken, _)| taken != key));
        context = [own.clone(), context].concat();
    }
    match kept.iter_mut().find(|(key, _)| key == "context") {
        Some((_, value)) => *value = Json::Object(context),
        None => kept.push(("context".to_owned(), Json::Object(context))),
    }
    kept
}

fn check(sent: &Members, event: &Event, shared: Option<&Members>) {
    let stored = stored(event);
    let mut rest = stored.clone();
    rest.retain(|(key, _)| !STAMPED.contains(&key.as_str()));
    assert_eq!(rest, kept(sent, shared));

    let keys = |members: &Members| members.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let mut sent_keys = keys(sent);
    sent_keys.retain(|key| key != "writeKey");
    assert_eq!(keys(&stored)[..sent_keys.len()], sent_keys);
    for key in STAMPED {
        assert_eq!(stored.iter().filter(|(name, _)| name == key).count(), 1, "{key}");
    }

    let received = Json::Text(RECEIVED.to_owned());
    assert_eq!(get(&stored, "messageId"), Some(&Json::Text(event.message_id.clone())));
    match get(sent, "messageId") {
        Some(Json::Text(id)) if !id.is_empty() => assert_eq!(*id, event.message_id),
        Some(Json::Word(number)) if number != "null" => assert_eq!(*number, event.message_id),
        _ => assert_eq!(event.message_id.len(), 36),
    }
    assert_eq!(get(&stored, "type"), Some(&Json::Text(event.event_type.as_str().to_owned())));
    assert_eq!(get(&stored, "receivedAt"), Some(&received));
    let original = get(sent, "timestamp").or(get(sent, "originalTimestamp"));
    assert_eq!(get(&stored, "originalTimestamp"), Some(original.unwrap_or(&received)));
    assert_eq!(get(&stored, "sentAt"), Some(get(sent, "sentAt").unwrap_or(&received)));
    let version = get(&stored, "version").unwrap();
    match get(sent, "version") {
        Some(Json::Word(word)) if word != "true" => assert_eq!(*version, Json::Word(word.clone())),
        _ => assert_eq!(*version, Json::Word("2".to_owned())),
    }
    match get(&stored, "timestamp").unwrap() {
        Json::Text(text) => assert_eq!(format!("\"{text}\""), quoted(event.occurred_at)),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn a_stored_event_has_the_sent_members_and_the_stamps(sent in any_event(), style: u64) {
        let json = written(&Json::Object(sent.clone()), style);
        let event = parse(json.as_bytes(), "track").unwrap();
        check(&sent, &event, None);
    }

    #[test]
    fn a_stored_event_of_a_batch_also_has_the_shared_members(sent in vec(any_event(), 1..4), shared in vec((any_key(), any_json()), 0..4), style: u64) {
        let mut sent = sent;
        for event in &mut sent {
            event.retain(|(key, _)| key != "type");
            event.push(("type".to_owned(), Json::Text("track".to_owned())));
        }
        let items = Json::Array(sent.iter().cloned().map(Json::Object).collect());
        let frame = vec![("batch".to_owned(), items), ("context".to_owned(), Json::Object(shared.clone()))];
        let body = written(&Json::Object(frame), style);
        let batch = parse_batch(body.as_bytes()).unwrap();
        prop_assert_eq!(batch.events.len(), sent.len());
        for (sent, event) in sent.iter().zip(&batch.events) {
            check(sent, event, Some(&shared));
        }
    }

    #[test]
    fn a_stored_event_can_be_sent_again(sent in any_event(), style: u64) {
        let first = parse(written(&Json::Object(sent), style).as_bytes(), "track").unwrap();
        let second = parse(&first.body, "track").unwrap();
        prop_assert_eq!(&second.message_id, &first.message_id);
        check(&stored(&first), &second, None);
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&bytes, "track").is_none());
        prop_assert!(parse_batch(&bytes).is_none());
    }

    #[test]
    fn damaged_json_is_refused_or_stored_as_json(
        sent in any_event(),
        style: u64,
        damage in vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), prop::sample::select(&b"{}[]\",:\\0"[..])], 0..3), 1..4),
    ) {
        let event = written(&Json::Object(sent), style);
        for frame in [event.clone(), format!("{{\"batch\":[{event},{event}],\"context\":{{}}}}")] {
            let mut json = frame.into_bytes();
            for (at, byte, how) in &damage {
                let at = at.index(json.len());
                match how {
                    0 => json[at] = *byte,
                    1 => json.insert(at, *byte),
                    _ => json.truncate(at.max(1)),
                }
            }
            if let Some(event) = parse(&json, "page") {
                serde_json::from_slice::<&RawValue>(&event.body).unwrap();
            }
            for event in parse_batch(&json).into_iter().flat_map(|batch| batch.events) {
                serde_json::from_slice::<&RawValue>(&event.body).unwrap();
            }
        }
    }
}

#[test]
fn made_ids_differ_within_a_batch() {
    let items = vec![r#"{"type":"page","userId":1}"#; 2_500].join(",");
    let body = format!("{{\"batch\":[{items}]}}");
    let batch = parse_batch(body.as_bytes()).unwrap();
    let ids: BTreeSet<_> = batch.events.iter().map(|event| &event.message_id).collect();
    assert_eq!(ids.len(), 2_500);
}
