//! Sends N events to HOST with RudderStack's library for Rust: the first half in a request each, the others in batches.
//!
//! The library sets no `messageId`, so the number of each event is in its `context`.

use std::env;
use std::process::ExitCode;

use chrono::{DateTime, TimeDelta, Utc};
use rudderanalytics::client::RudderAnalytics;
use rudderanalytics::message::{Alias, Batch, BatchMessage, Group, Identify, Message, Page, Screen, Track};
use serde_json::{Value, json};

/// Events per batch.
const BATCH_EVENTS: usize = 50;
/// When the first event happened: 2026-01-01.
const FIRST_SECOND: i64 = 1_767_225_600;
/// Nanoseconds between two events: no whole number of milliseconds.
const APART_NANOSECONDS: i64 = 37_000_123;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let [_, host, count] = &arguments[..] else { return usage() };
    let Ok(count) = count.parse::<usize>() else { return usage() };
    let client = RudderAnalytics::load("tests".to_owned(), host.clone());
    let single = (0..count / 2).map(|i| message(event(i)));
    let numbers: Vec<usize> = (count / 2..count).collect();
    let batches = numbers.chunks(BATCH_EVENTS).map(|numbers| {
        let batch = numbers.iter().map(|i| event(*i)).collect();
        Message::Batch(Batch { batch, context: Some(json!({"app": {"name": "tests"}})), ..Batch::default() })
    });
    for message in single.chain(batches) {
        if let Err(error) = client.send(&message) {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: tributary-client-rust HOST N");
    ExitCode::from(64)
}

/// The event as a request of its own.
fn message(event: BatchMessage) -> Message {
    match event {
        BatchMessage::Track(event) => Message::Track(event),
        BatchMessage::Identify(event) => Message::Identify(event),
        BatchMessage::Page(event) => Message::Page(event),
        BatchMessage::Screen(event) => Message::Screen(event),
        BatchMessage::Group(event) => Message::Group(event),
        BatchMessage::Alias(event) => Message::Alias(event),
    }
}

fn event(i: usize) -> BatchMessage {
    let user_id = (i % 3 != 0).then(|| format!("user {} é", i % 101));
    let anonymous_id = (i % 3 == 0).then(|| format!("browser-{}", i % 97));
    let context =
        Some(json!({"number": i, "ip": "203.0.113.7", "page": {"path": format!("/p/{i}"), "referrer": null}}));
    let integrations = (i % 2 == 0).then(|| json!({"All": true}));
    // The library sets the times of the other events.
    let original_timestamp = (i % 10 != 0).then(|| timestamp(i));
    match i % 6 {
        0 => BatchMessage::Track(Track {
            user_id,
            anonymous_id,
            event: format!("Order {} – “paid”", i % 7),
            properties: Some(properties(i)),
            original_timestamp,
            context,
            integrations,
        }),
        1 => BatchMessage::Identify(Identify {
            user_id,
            anonymous_id,
            traits: Some(properties(i)),
            original_timestamp,
            context,
            integrations,
        }),
        2 => BatchMessage::Page(Page {
            user_id,
            anonymous_id,
            name: "Größe".to_owned(),
            properties: Some(properties(i)),
            original_timestamp,
            context,
            integrations,
        }),
        3 => BatchMessage::Screen(Screen {
            user_id,
            anonymous_id,
            name: "Home".to_owned(),
            properties: Some(properties(i)),
            original_timestamp,
            context,
            integrations,
        }),
        4 => BatchMessage::Group(Group {
            user_id,
            anonymous_id,
            group_id: format!("group-{}", i % 11),
            traits: Some(properties(i)),
            original_timestamp,
            context,
            integrations,
        }),
        _ => BatchMessage::Alias(Alias {
            user_id: format!("user-{i}"),
            previous_id: format!("browser-{i}"),
            traits: None,
            original_timestamp,
            context,
            integrations,
        }),
    }
}

/// When event number `i` happened, with nanoseconds.
fn timestamp(i: usize) -> DateTime<Utc> {
    let first = DateTime::from_timestamp_secs(FIRST_SECOND).expect("a valid time");
    first + TimeDelta::nanoseconds(APART_NANOSECONDS * i as i64)
}

fn properties(i: usize) -> Value {
    json!({
        "number": i,
        "price": i as f64 / 7.0,
        "large": u64::MAX,
        "huge": f64::MAX,
        "tiny": f64::from_bits(1),
        "nothing": null,
        "empty": ["", {}, []],
        "list": [1, "two", null, [3.5, {"four": 4}], false],
        "nested": {"a": {"b": {"c": {"d": [{"e": format!("level {i}")}]}}}},
        "text": "ünïcödé 🚀 日本語 עברית e\u{301} \u{2028} \0 \\ \" </script>",
        "key with \"quotes\" and 🗝": true,
        "long": "x".repeat(i % 700),
    })
}
