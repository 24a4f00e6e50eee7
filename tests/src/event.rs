//! Builds the events that tests send.

use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

/// The `timestamp` of all these events.
pub const EVENT_TIME: &str = "2026-11-23T10:00:00.000Z";
/// [`EVENT_TIME`] in milliseconds since the epoch.
pub const EVENT_TIME_MILLIS: u64 = 1_795_428_000_000;

/// The `i`th track event; the same for the same `i`.
pub fn track(i: usize) -> Value {
    json!({
        "type": "track",
        "messageId": message_id(i),
        "userId": format!("user-{}", i % 10),
        "event": "Order Placed",
        "timestamp": EVENT_TIME,
        "properties": {"number": i},
    })
}

/// The `messageId` of the `i`th track event.
pub fn message_id(i: usize) -> String {
    format!("event-{i:06}")
}

/// The object key of the `i`th track event with the default key template.
pub fn track_key(i: usize) -> String {
    format!("track/{EVENT_TIME_MILLIS}-{}.json", message_id(i))
}

/// A custom event type: only letters, as types must be; 676 different ones.
pub fn type_name(i: usize) -> String {
    let letter = |i: usize| char::from(b'a' + (i % 26) as u8);
    format!("t{}{}", letter(i / 26), letter(i))
}

/// The body of a batch request with these track events.
pub fn batch(range: Range<usize>) -> Value {
    json!({"batch": range.map(track).collect::<Vec<_>>()})
}

/// The `X-Signature` header that Segment sends: HMAC-SHA1 of the body, or of an array's first event.
///
/// # Panics
/// Never: HMAC accepts keys of any length.
pub fn signature(secret: &str, covered: &str) -> String {
    let mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("any key");
    hex::encode(mac.chain_update(covered).finalize().into_bytes())
}
