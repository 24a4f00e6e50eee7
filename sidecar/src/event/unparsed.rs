//! The events of a body, found and not parsed yet: how much memory they will take is known before any of
//! it is allocated.
//!
//! A batch's `context` is copied into every event, and an event of many members takes several times its
//! length while it is read. So a small body can become large, and a bound on memory has to be checked
//! before that. Pure.

use super::merge::Shared;
use super::rejection::{Code, Rejected, Rejection};
use super::stamp::RequestContext;
use super::validate::{TypeFrom, TypeRule};
use super::value::Value;
use super::{EVENT_OVERHEAD_BYTES, Event, Limits, parse};

/// Bytes that reading takes for each byte of JSON, at most: a member has at least 5 bytes (`"":1,`), and
/// 64 of its own in a list that doubles as it grows, or in a set of keys.
const READING_FACTOR: usize = 26;

/// What became of a request's events. Where no event is good, `events` is empty, and the whole request
/// is to be refused.
#[derive(Debug)]
pub struct ParsedEvents {
    /// The events taken, in the order they came.
    pub events: Vec<Event>,
    /// Those refused, by their place.
    pub rejected: Vec<Rejected>,
}

/// The events of one body, and what they share.
pub struct UnparsedEvents<'a> {
    items: Vec<Value<'a>>,
    /// Whether the body is the event: then a bad one is an error and no rejected part of a batch.
    is_alone: bool,
    type_from: TypeFrom,
    request: RequestContext<'a>,
    limits: Limits,
}

impl<'a> UnparsedEvents<'a> {
    /// A body that is one event.
    pub(super) fn alone(item: Value<'a>, type_from: TypeFrom, request: RequestContext<'a>, limits: &Limits) -> Self {
        Self { items: vec![item], is_alone: true, type_from, request, limits: *limits }
    }

    /// A body with a list of events.
    pub(super) fn several(items: Vec<Value<'a>>, rule: TypeRule, request: RequestContext<'a>, limits: &Limits) -> Self {
        Self { items, is_alone: false, type_from: TypeFrom::Event(rule), request, limits: *limits }
    }

    /// The most bytes that [`parse`](Self::parse) allocates, the result included.
    pub fn memory_bound(&self) -> usize {
        let RequestContext { context, integrations, sent_at, .. } = &self.request;
        let shared_json: usize = [context, integrations].into_iter().flatten().map(Shared::len).sum();
        let shared = shared_json + sent_at.map_or(0, |value| value.raw().len());
        // What is longer is refused before it is read.
        let lengths = || self.items.iter().map(|item| item.raw().len().min(self.limits.event_bytes));
        let longest = lengths().max().unwrap_or_default();
        // Reading ends with the event that is one too many.
        let most_stored = self.limits.batch_stored_bytes + longest + shared;
        let stored = lengths().map(|length| length + shared).sum::<usize>().min(most_stored);
        // Names and ids are copied out of an event, and are together no longer than it is.
        let names: usize = lengths().sum();
        let reading = READING_FACTOR * (longest + shared_json);
        stored + names + reading + self.items.len() * EVENT_OVERHEAD_BYTES
    }

    /// Parses the events one by one: a bad one of several is rejected alone.
    ///
    /// # Errors
    /// The only event is bad, or all together are too long as they would be stored.
    pub fn parse(self) -> Result<ParsedEvents, Rejection> {
        let Self { items, is_alone, type_from, request, limits } = self;
        let mut batch = ParsedEvents { events: Vec::with_capacity(items.len()), rejected: Vec::new() };
        let mut stored_bytes = 0_usize;
        for (index, item) in items.into_iter().enumerate() {
            let event = if is_alone || item.is_object() {
                parse::event(item.raw(), &type_from, &request, &limits)
            } else {
                Err(Rejection::new(Code::EventNotObject, format!("the event is {item}, not an object")))
            };
            match event {
                Ok(event) => {
                    stored_bytes = stored_bytes.saturating_add(event.body.len());
                    batch.events.push(event);
                }
                Err(rejection) if is_alone => return Err(rejection),
                Err(rejection) => batch.rejected.push(Rejected { index, rejection }),
            }
            if stored_bytes > limits.batch_stored_bytes {
                let max = limits.batch_stored_bytes;
                let message = format!("the events are longer than {max} bytes together, as they would be stored");
                return Err(Rejection::new(Code::BatchTooLarge, message));
            }
        }
        // It may wait for long with a few good events of many.
        batch.events.shrink_to_fit();
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EventType, batch, single};
    use super::*;

    fn bound(json: &str) -> usize {
        batch(json.as_bytes(), jiff::Timestamp::UNIX_EPOCH, &Limits::default()).unwrap().memory_bound()
    }

    #[test]
    fn what_a_batch_shares_counts_for_each_of_its_events() {
        let item = r#"{"type":"page","userId":"u"}"#;
        let frame = |events: usize, context: usize| {
            format!(r#"{{"batch":[{}],"context":{{"a":"{}"}}}}"#, vec![item; events].join(","), "x".repeat(context))
        };
        let one = bound(&frame(1, 10_000));
        assert!(bound(&frame(500, 10_000)) - one > 499 * 10_000);
        assert!(bound(&frame(500, 10)) < 1 << 20);
        // A batch never becomes more than it may, whatever it would be.
        assert!(bound(&frame(2_500, 32_000)) < 24 << 20);
    }

    #[test]
    fn the_bound_holds_the_events_that_are_read() {
        let events = ["{}", r#"{"type":"page","userId":1,"context":{"b":2},"messageId":"m"}"#].repeat(20).join(",");
        let json = format!(r#"{{"batch":[{events}],"sentAt":"{}","context":{{"a":1}}}}"#, "9".repeat(500));
        let unparsed = batch(json.as_bytes(), jiff::Timestamp::UNIX_EPOCH, &Limits::default()).unwrap();
        let bound = unparsed.memory_bound();
        let taken: usize = unparsed.parse().unwrap().events.iter().map(Event::memory_bytes).sum();
        assert!(taken > 20 * 500 && taken <= bound, "{taken} of {bound}");
    }

    #[test]
    fn a_lone_event_is_an_error_where_it_is_bad() {
        let unparsed = single(b"[1]", EventType::Page, jiff::Timestamp::UNIX_EPOCH, &Limits::default()).unwrap();
        assert_eq!(unparsed.parse().unwrap_err().code, Code::InvalidJson);
    }
}
