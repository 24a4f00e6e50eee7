//! Events to send.

use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

/// When all these events happened, by their client.
pub const HAPPENED: &str = "2026-11-23T10:00:00.000Z";
/// The same in milliseconds.
pub const HAPPENED_MILLIS: u64 = 1_795_428_000_000;

/// The `i`th track event: the same one each time.
pub fn track(i: usize) -> Value {
    json!({
        "type": "track",
        "messageId": message_id(i),
        "userId": format!("user-{}", i % 10),
        "event": "Order Placed",
        "timestamp": HAPPENED,
        "properties": {"number": i},
    })
}

/// Its `messageId`.
pub fn message_id(i: usize) -> String {
    format!("event-{i:06}")
}

/// The key that it is stored under by default.
pub fn track_key(i: usize) -> String {
    format!("track/{HAPPENED_MILLIS}-{}.json", message_id(i))
}

/// The name of a type of which Segment knows nothing: letters only, as types are; 676 different ones.
pub fn type_name(i: usize) -> String {
    let letter = |i: usize| char::from(b'a' + (i % 26) as u8);
    format!("t{}{}", letter(i / 26), letter(i))
}

/// A batch of track events.
pub fn batch(range: Range<usize>) -> Value {
    json!({"batch": range.map(track).collect::<Vec<_>>()})
}

/// The X-Signature that Segment sends with a body, or with an array's first event.
///
/// # Panics
/// Never: any key will do.
pub fn signature(secret: &str, covered: &str) -> String {
    let mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("any key");
    hex::encode(mac.chain_update(covered).finalize().into_bytes())
}
