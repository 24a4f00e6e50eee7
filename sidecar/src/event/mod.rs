//! From a request's body to events that are ready to be stored. Pure: no I/O,
//! and the time is the caller's.
//!
//! What happens to one event, in this order:
//! 1. its text is measured, then read once, as an object whose values stay text
//!    (`object`), so that numbers keep their digits and unknown members stay;
//! 2. the members of the envelope are found; one sent twice is an error, since
//!    two readers could then see two different events (`envelope`);
//! 3. the type is the path's, or in a batch the event's own, one of six (in a webhook any word);
//! 4. the discard rules of Segment's spec are applied, under its names where it
//!    has one (`validate`); a missing `messageId` is made (`message_id`);
//! 5. the members that only the server knows are stamped in place, or appended,
//!    and a batch's `context` and `integrations` merged in (`stamp`, `merge`).
//!
//! A bad event of a batch is rejected alone; a batch whose frame is wrong is
//! rejected whole. `null` is the same as absent to every rule. Between members
//! white space is dropped, inside values it stays.

mod batch;
mod envelope;
mod event_type;
mod field;
mod merge;
mod message_id;
mod object;
mod parse;
#[cfg(test)]
mod property_tests;
mod rejection;
mod stamp;
mod time;
mod unparsed;
mod validate;
mod value;
mod webhook;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;

pub use batch::batch;
pub use event_type::EventType;
pub use rejection::{Code, Rejected, Rejection};
pub use unparsed::{ParsedEvents, UnparsedEvents};
pub use webhook::webhook;

pub(crate) use webhook::first_of_array;

use field::Field;
use stamp::RequestContext;
use validate::TypeFrom;
use value::Value;

/// Bytes that an event takes in addition to its texts: its fields, what the server adds to it, and what the
/// allocator rounds up.
const EVENT_OVERHEAD_BYTES: usize = 768;

/// One accepted, stamped event, ready to be stored.
pub struct Event {
    /// What it is.
    pub event_type: EventType,
    /// The client's `messageId`, at most 100 characters, else one made here.
    pub message_id: String,
    /// A track event's name; half a surrogate pair in it is read as U+FFFD.
    pub event: Option<String>,
    /// The `userId`, a number as its digits; none if empty.
    pub user_id: Option<String>,
    /// The client's `timestamp` as sent, before correction, so that a retry gets
    /// the same key; `receivedAt` where it is absent or unreadable. Its year is
    /// between 0 and 9999.
    pub timestamp: Timestamp,
    /// Whether the client sent the `messageId`.
    pub message_id_sent: bool,
    /// Whether `timestamp` is the client's.
    pub timestamp_sent: bool,
    /// The JSON object to store.
    pub body: Bytes,
}

impl Event {
    /// The bytes of memory that it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let names = [self.event.as_deref(), self.user_id.as_deref(), Some(self.message_id.as_str())];
        let names: usize = names.into_iter().flatten().map(str::len).sum();
        self.body.len() + names + EVENT_OVERHEAD_BYTES
    }
}

/// Without what a user sent, which has no place in a log.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("event_type", &self.event_type)
            .field("message_id", &self.message_id)
            .field("timestamp", &self.timestamp)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// How much is taken. The caller caps the body itself while it reads it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one event as sent. A batch's `context` and `integrations` may be
    /// as long, each.
    pub event_bytes: usize,
    /// Events of one batch.
    pub batch_events: usize,
    /// Events of one webhook's array.
    pub webhook_events: usize,
    /// Bytes of one request's stored events together: a batch's `context` is copied
    /// into every event, so a small body could otherwise become gigabytes.
    pub batch_stored_bytes: usize,
}

/// Segment's limits (its HTTP tracking API and its webhook destination), and 16 MiB
/// to store: 6 KiB for each event of a full batch.
impl Default for Limits {
    fn default() -> Self {
        Self { event_bytes: 32 << 10, batch_events: 2_500, webhook_events: 4_000, batch_stored_bytes: 16 << 20 }
    }
}

/// Finds the event of a body that is one event. `event_type` is the path's and wins over a
/// `type` in the body.
///
/// # Errors
/// The body is not text.
pub fn single<'a>(
    body: &'a [u8],
    event_type: EventType,
    received_at: Timestamp,
    limits: &Limits,
) -> Result<UnparsedEvents<'a>, Rejection> {
    let text = Value::new(value::body_text(body)?);
    Ok(UnparsedEvents::alone(text, TypeFrom::Path(event_type), RequestContext::new(received_at), limits))
}

/// The write key in a body that is one event or a batch, for a caller that has to find it before the
/// events are taken.
pub(crate) fn write_key(body: &[u8]) -> Option<String> {
    let frame = envelope::read_frame(value::body_text(body).ok()?).ok()?;
    frame.get(Field::WriteKey)?.text().map(Cow::into_owned)
}
