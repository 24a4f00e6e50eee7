//! Holds the events found in a body until they are parsed, so that their memory can be reserved first. Then parses them
//! one by one: an invalid event is rejected alone, and the others of its request are stored. Pure.
//!
//! A batch's `context` is copied into every event, and an event with many members needs several times its length
//! while it is parsed. So a small body can need much memory, and an upper bound must be known before it is allocated.

use super::envelope::Items;
use super::merge::Shared;
use super::rejection::{Code, Rejected, Rejection};
use super::stamp::RequestContext;
use super::validate::{TypeFrom, TypeRule};
use super::value::Value;
use super::{EVENT_OVERHEAD_BYTES, Event, Limits, parse};

/// Upper bound of the bytes that parsing needs per byte of JSON: a member has at least 5 bytes (`"":1,`), and needs 64
/// bytes in a list that doubles as it grows, or in a set of keys.
const READING_FACTOR: usize = 26;

/// The parsed events of a request. If none is valid, `events` is empty, and the caller has to refuse the whole
/// request.
#[derive(Debug)]
pub struct ParsedEvents<'a> {
    /// The accepted events, in the order of the request.
    pub events: Vec<Event>,
    /// The rejected events.
    pub rejected: Vec<Rejected<'a>>,
}

/// The events of one body, not parsed yet, and the values that they share.
pub struct UnparsedEvents<'a> {
    items: Vec<Value<'a>>,
    /// The items' objects and arrays that were noted when they were scanned.
    noted: Vec<Value<'a>>,
    /// The body, if it is a single event.
    alone: Option<&'a [u8]>,
    /// Why that body can't be read as text.
    not_text: Option<Rejection>,
    type_from: TypeFrom,
    request: RequestContext<'a>,
    limits: Limits,
}

impl<'a> UnparsedEvents<'a> {
    /// The event of a body that is a single event, with the body's text, unless it has none.
    pub(super) fn alone(
        body: &'a [u8],
        text: Result<&'a str, Rejection>,
        type_from: TypeFrom,
        request: RequestContext<'a>,
        limits: &Limits,
    ) -> Self {
        let (items, not_text) = match text {
            Ok(text) => (vec![Value::new(text)], None),
            Err(rejection) => (Vec::new(), Some(rejection)),
        };
        Self { items, noted: Vec::new(), alone: Some(body), not_text, type_from, request, limits: *limits }
    }

    /// The events of a body that has a list of them; each states its type, by `rule`.
    pub(super) fn several(items: Items<'a>, rule: TypeRule, request: RequestContext<'a>, limits: &Limits) -> Self {
        let type_from = TypeFrom::Event(rule);
        let Items { first: items, noted, .. } = items;
        Self { items, noted, alone: None, not_text: None, type_from, request, limits: *limits }
    }

    /// Upper bound of the bytes that [`parse`](Self::parse) allocates, the result included, and of the notes on the items.
    pub fn memory_bound(&self) -> usize {
        let RequestContext { context, integrations, sent_at, .. } = &self.request;
        let shared_json: usize = [context, integrations].into_iter().flatten().map(Shared::len).sum();
        let shared = shared_json + sent_at.map_or(0, |value| value.raw().len());
        // A longer event is rejected before it is parsed.
        let lengths = || self.items.iter().map(|item| item.raw().len().min(self.limits.event_bytes));
        let longest = lengths().max().unwrap_or_default();
        // Parsing ends with the event that exceeds the limit.
        let most_stored = self.limits.batch_stored_bytes + longest + shared;
        let stored = lengths().map(|length| length + shared).sum::<usize>().min(most_stored);
        // Names and IDs are copied out of an event; together they are no longer than the event.
        let names: usize = lengths().sum();
        let reading = READING_FACTOR * (longest + shared_json);
        let noted = self.noted.capacity() * size_of::<Value<'_>>();
        stored + names + reading + noted + self.items.len() * EVENT_OVERHEAD_BYTES
    }

    /// Parses the events one by one. An invalid event is rejected alone.
    ///
    /// # Errors
    /// The events together exceed the limit on stored bytes.
    pub fn parse(self) -> Result<ParsedEvents<'a>, Rejection> {
        let Self { items, noted, alone, not_text, type_from, request, limits } = self;
        let mut noted = noted.iter();
        let mut batch = ParsedEvents { events: Vec::with_capacity(items.len()), rejected: Vec::new() };
        if let (Some(original), Some(rejection)) = (alone, not_text) {
            batch.rejected.push(Rejected { index: None, rejection, original });
        }
        let mut stored_bytes = 0_usize;
        for (index, item) in items.into_iter().enumerate() {
            // Those of earlier items may be left: of a rejected one, or of an array.
            let is_earlier = |value: &Value<'_>| value.raw().as_ptr() < item.raw().as_ptr();
            while noted.as_slice().first().is_some_and(is_earlier) {
                noted.next();
            }
            let event = if alone.is_some() || item.is_object() {
                parse::event(item.raw(), &mut noted, &type_from, &request, &limits)
            } else {
                Err(Rejection::new(Code::EventNotObject, format!("the event is {item}, not an object")))
            };
            match event {
                Ok(event) => {
                    stored_bytes = stored_bytes.saturating_add(event.body.len());
                    batch.events.push(event);
                }
                Err(rejection) => {
                    let original = alone.unwrap_or(item.raw().as_bytes());
                    batch.rejected.push(Rejected { index: alone.is_none().then_some(index), rejection, original });
                }
            }
            if stored_bytes > limits.batch_stored_bytes {
                let max = limits.batch_stored_bytes;
                let message = format!(
                    "the events are longer than {max} bytes together, as they would be stored, with the batch's context \
                     and integrations in each; send fewer events per request, or a smaller context"
                );
                return Err(Rejection::new(Code::BatchTooLarge, message));
            }
        }
        // The list may be held for long, and may have few valid events out of many.
        batch.events.shrink_to_fit();
        Ok(batch)
    }
}

#[cfg(test)]
impl ParsedEvents<'_> {
    /// The event of a body that is a single event, or its rejection.
    pub(super) fn into_single(mut self) -> Result<Event, Rejection> {
        self.rejected.pop().map_or_else(|| Ok(self.events.remove(0)), |rejected| Err(rejected.rejection))
    }
}

#[cfg(test)]
mod tests {
    use tributary_crds::function::SegmentType;

    use super::super::{EventType, batch, single, webhook};
    use super::*;

    fn bound(json: &str) -> usize {
        batch(json.as_bytes(), jiff::Timestamp::UNIX_EPOCH, &Limits::default()).unwrap().memory_bound()
    }

    #[test]
    fn shared_members_of_a_batch_count_for_each_of_its_events() {
        let item = r#"{"type":"page","userId":"u"}"#;
        let frame = |events: usize, context: usize| {
            format!(r#"{{"batch":[{}],"context":{{"a":"{}"}}}}"#, vec![item; events].join(","), "x".repeat(context))
        };
        let one = bound(&frame(1, 10_000));
        assert!(bound(&frame(500, 10_000)) - one > 499 * 10_000);
        assert!(bound(&frame(500, 10)) < 1 << 20);
        // The limit on stored bytes bounds every batch.
        assert!(bound(&frame(2_500, 32_000)) < 24 << 20);
    }

    #[test]
    fn the_bound_covers_the_parsed_events() {
        let events = ["{}", r#"{"type":"page","userId":1,"context":{"b":2},"messageId":"m"}"#].repeat(20).join(",");
        let json = format!(r#"{{"batch":[{events}],"sentAt":"{}","context":{{"a":1}}}}"#, "9".repeat(500));
        let unparsed = batch(json.as_bytes(), jiff::Timestamp::UNIX_EPOCH, &Limits::default()).unwrap();
        let bound = unparsed.memory_bound();
        let used: usize = unparsed.parse().unwrap().events.iter().map(Event::memory_bytes).sum();
        assert!(used > 20 * 500 && used <= bound, "{used} of {bound}");
    }

    #[test]
    fn a_rejected_event_keeps_its_text() {
        let (page, now, limits) =
            (EventType::Segment(SegmentType::Page), jiff::Timestamp::UNIX_EPOCH, Limits::default());
        for body in [&b"\xef\xbb\xbf 1\n"[..], b"{\"a\":\"\xe9\"}"] {
            let rejected = single(body, page.clone(), now, &limits).parse().unwrap().rejected;
            assert_eq!((rejected.len(), rejected[0].index, rejected[0].original), (1, None, body));
            let rejected = webhook(body, now, &limits).unwrap().parse().unwrap().rejected;
            assert_eq!((rejected.len(), rejected[0].original), (1, body));
        }
        let body = br#"{"batch":[{"type":"page","userId":1}, {"type" : "page"} ]}"#;
        let parsed = batch(body, now, &limits).unwrap().parse().unwrap();
        assert_eq!(parsed.events.len(), 1);
        assert_eq!((parsed.rejected[0].index, parsed.rejected[0].original), (Some(1), &br#"{"type" : "page"}"#[..]));
        assert!(!format!("{parsed:?}").contains("type\" :"), "{parsed:?}");
    }
}
