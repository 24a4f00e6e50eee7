//! Parses the events in a request's body, validates them and stamps them for storage. Pure: no I/O, and the caller
//! passes the time.
//!
//! The steps for one event, in this order:
//! 1. its length is checked, then its text is read once, as an object whose values stay text (`object`): numbers
//!    keep their digits, and unknown members are kept;
//! 2. the members of the envelope are found; one that occurs twice with different values is an error, since two readers
//!    could then see two different events (`envelope`);
//! 3. the type comes from the path, or in a batch from the event itself, as one of six (in a webhook as any word);
//! 4. a missing `messageId` is generated (`message_id`), and the discard rules of Segment's spec are applied, under
//!    its names where it has one (`validate`);
//! 5. the members that only the server knows are set in place, or appended, and a batch's `context` and
//!    `integrations` merged in (`stamp`, `merge`).
//!
//! An invalid event of a batch is rejected alone; a batch with an invalid frame is rejected as a whole. Every rule
//! treats `null` as absent. White space between members is dropped, inside values it is kept, except line breaks: a
//! stored event is one line.

mod batch;
mod client_time;
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
mod rfc_3339;
mod scanner;
mod stamp;
mod time;
mod unparsed;
mod validate;
mod value;
mod webhook;
mod write_key;

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;

pub use batch::batch;
pub use event_type::EventType;
pub use rejection::{Code, Rejected, Rejection};
pub use unparsed::{ParsedEvents, UnparsedEvents};
pub use webhook::webhook;

pub(crate) use webhook::first_of_array;
pub(crate) use write_key::{may_have_write_key, without_write_key, write_key};

use stamp::RequestContext;
use validate::TypeFrom;

/// Bytes per event in addition to its texts: its fields, the members that the server adds, and the allocator's rounding.
const EVENT_OVERHEAD_BYTES: usize = 768;

/// One accepted, stamped event, ready to be stored.
pub struct Event {
    /// The type from the path, or else from the event itself.
    pub event_type: EventType,
    /// The client's `messageId`, at most 100 characters, else a generated one.
    pub message_id: String,
    /// A track event's name, with U+FFFD in place of unpaired surrogates; `None` for other types.
    pub event: Option<String>,
    /// The `userId`, a number as its JSON text; `None` if it is absent or empty, or of another type.
    pub user_id: Option<String>,
    /// The client's `timestamp` (or `originalTimestamp`) as sent, before correction for its clock, so that a retry
    /// gets the same key; `receivedAt` if it is absent or unreadable. Its year is between 0 and 9999.
    pub timestamp: Timestamp,
    /// The time in the stored `timestamp`: the client's, corrected for its clock, or `receivedAt`. Its year is between 0
    /// and 9999.
    pub occurred_at: Timestamp,
    /// Whether the client sent the `messageId`; false if it was generated.
    pub message_id_sent: bool,
    /// Whether `timestamp` comes from the client; false if it is `receivedAt`.
    pub timestamp_sent: bool,
    /// Whether the client sent a `timestamp` or a `sentAt` that can't be read.
    pub has_unreadable_time: bool,
    /// The line to store: the JSON object with all stamps, without line breaks, and a newline.
    pub body: Bytes,
}

impl Event {
    /// Bytes of memory that the event uses, for its reservation.
    pub(crate) fn memory_bytes(&self) -> usize {
        let names = [self.event.as_deref(), self.user_id.as_deref(), Some(self.message_id.as_str())];
        let names: usize = names.into_iter().flatten().map(str::len).sum();
        self.body.len() + names + EVENT_OVERHEAD_BYTES
    }
}

/// Omits the event's members, which must not get into logs, except its type, `messageId` and time.
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

/// Limits on the events of a request. The caller limits the body itself while it reads it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum bytes of one event as sent. A batch's `context` and `integrations` may have as many each.
    pub event_bytes: usize,
    /// Maximum events of one batch.
    pub batch_events: usize,
    /// Maximum events of one webhook's array.
    pub webhook_events: usize,
    /// Maximum bytes of one request's events as they are stored: a batch's `context` and `integrations` are copied
    /// into every event, so by the limits above alone a body below 1 MiB could become more than 150 MiB.
    pub batch_stored_bytes: usize,
}

/// Segment's limits (of its HTTP tracking API and its webhook destination), and 16 MiB to store: at least 6 KiB per
/// event of a full batch.
impl Default for Limits {
    fn default() -> Self {
        Self { event_bytes: 32 << 10, batch_events: 2_500, webhook_events: 4_000, batch_stored_bytes: 16 << 20 }
    }
}

/// Finds the event in a body that is one event. `event_type` is from the path, and takes precedence over a `type` in
/// the body.
pub fn single<'a>(
    body: &'a [u8],
    event_type: EventType,
    received_at: Timestamp,
    limits: &Limits,
) -> UnparsedEvents<'a> {
    let request = RequestContext::new(received_at);
    UnparsedEvents::alone(body, value::body_text(body), TypeFrom::Path(event_type), request, limits)
}
