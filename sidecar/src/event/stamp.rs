//! Builds the line that is stored: a JSON object of the client's members and those that only the server knows.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::Timestamp;
use memchr::memchr2;

use super::envelope::{Envelope, Member};
use super::event_type::EventType;
use super::field::Field;
use super::merge::Shared;
use super::message_id::MessageId;
use super::rejection::Rejection;
use super::time;
use super::value::Value;

/// `version` of an event that has no number as its `version`, as Segment's tracking API sets it.
const VERSION: &str = "2";

/// Spare bytes in the buffer of a stored event, more than the keys of all appended stamps need.
const STAMP_OVERHEAD_BYTES: usize = 320;

/// The values that all events of one request share.
pub(super) struct RequestContext<'a> {
    /// `receivedAt` of the events, truncated to the millisecond.
    pub(super) received_at: Timestamp,
    /// `received_at` as a JSON string, as it is written into every event.
    pub(super) quoted: String,
    /// Whether times in the event are kept: Segment has stamped the events of its webhooks already.
    pub(super) keeps_times: bool,
    /// The batch's own `sentAt`, for events without one.
    pub(super) sent_at: Option<Value<'a>>,
    /// The batch's `context`, to merge into each event.
    pub(super) context: Option<Shared<'a>>,
    /// The batch's `integrations`, to merge into each event.
    pub(super) integrations: Option<Shared<'a>>,
}

impl RequestContext<'_> {
    pub(super) fn new(received_at: Timestamp) -> Self {
        let received_at = time::to_millis(received_at);
        Self {
            received_at,
            quoted: time::quoted(received_at),
            keeps_times: false,
            sent_at: None,
            context: None,
            integrations: None,
        }
    }
}

/// A stamped event.
pub(super) struct Stamped {
    /// The line to store.
    pub(super) body: Bytes,
    /// The time in the stored `timestamp`, or `receivedAt` if that can't be read.
    pub(super) occurred_at: Timestamp,
    /// The client's timestamp for the event's key; `None` if it is absent or unreadable.
    pub(super) timestamp: Option<Timestamp>,
    /// Whether the client sent a `timestamp` or a `sentAt` that can't be read.
    pub(super) has_unreadable_time: bool,
}

/// Stamps an event of this request.
pub(super) fn stamp<'a>(
    envelope: &Envelope<'a>,
    event_type: &EventType,
    message_id: &MessageId<'_>,
    request: &'a RequestContext<'a>,
) -> Result<Stamped, Rejection> {
    let known = &envelope.known;
    let received = || Cow::Borrowed(request.quoted.as_str());
    let as_sent = |value: Value<'a>| Cow::Borrowed(value.raw());

    // Segment's libraries call the client's time `timestamp`, RudderStack's call it `originalTimestamp`.
    let original = known.get(Field::Timestamp).or(known.get(Field::OriginalTimestamp));
    let sent = known.get(Field::SentAt).or(request.sent_at);
    let original_time = original.and_then(time::read);
    let sent_time = sent.map_or(Some(request.received_at), time::read);
    let happened = match (sent_time, original_time) {
        (Some(sent), Some(original)) => time::corrected(request.received_at, sent, original),
        (None, Some(original)) => original,
        // Without a readable time of the client, no correction is possible.
        (_, None) => request.received_at,
    };

    let mut stamps = Stamps::default();
    let written_id = match message_id {
        MessageId::Sent(_) => None,
        // Stored as text, like all others, so that a reader's column has one type.
        MessageId::Number(id) => Some(&**id),
        MessageId::Generated(id) => Some(id.as_str()),
    };
    if let Some(id) = written_id {
        stamps.set(Field::MessageId, Cow::Owned(format!("\"{id}\"")));
    }
    stamps.set(Field::Type, Cow::Owned(format!("\"{}\"", event_type.as_str())));
    let times = [
        (Field::Timestamp, Cow::Owned(time::quoted(happened))),
        (Field::OriginalTimestamp, original.map_or_else(received, as_sent)),
        (Field::SentAt, sent.map_or_else(received, as_sent)),
        (Field::ReceivedAt, received()),
    ];
    for (field, time) in times {
        if !request.keeps_times || known.get(field).is_none() {
            stamps.set(field, time);
        }
    }
    if !known.get(Field::Version).is_some_and(Value::is_number) {
        stamps.set(Field::Version, Cow::Borrowed(VERSION));
    }
    for (field, shared) in [(Field::Context, &request.context), (Field::Integrations, &request.integrations)] {
        if let Some(shared) = shared {
            stamps.set(field, shared.merged_into(known.get(field))?);
        }
    }

    let keeps_timestamp = request.keeps_times && known.get(Field::Timestamp).is_some();
    let occurred_at = if keeps_timestamp { original_time.unwrap_or(request.received_at) } else { happened };
    let has_unreadable_time = sent_time.is_none() || (original.is_some() && original_time.is_none());
    Ok(Stamped { body: write(envelope, stamps), occurred_at, timestamp: original_time, has_unreadable_time })
}

/// New values of the envelope's members, as JSON.
#[derive(Default)]
struct Stamps<'a>([Option<Cow<'a, str>>; Field::COUNT]);

impl<'a> Stamps<'a> {
    fn set(&mut self, field: Field, json: Cow<'a, str>) {
        self.0[field as usize] = Some(json);
    }

    fn has(&self, field: Field) -> bool {
        self.0[field as usize].is_some()
    }

    fn take(&mut self, field: Field) -> Option<Cow<'a, str>> {
        self.0[field as usize].take()
    }
}

/// Writes each member in its place, with the value of its stamp if there is one, then the remaining stamps, on one line
/// with its newline. The write key is left out, since it is a credential.
fn write(envelope: &Envelope<'_>, mut stamps: Stamps<'_>) -> Bytes {
    let mut out = Vec::with_capacity(capacity(envelope, &stamps));
    let mut put = |key: &str, json: &str| {
        out.push(if out.is_empty() { b'{' } else { b',' });
        out.extend_from_slice(key.as_bytes());
        out.push(b':');
        out.extend_from_slice(json.as_bytes());
    };
    for member in &envelope.members {
        if member.field == Some(Field::WriteKey) {
            continue;
        }
        match member.field.and_then(|field| stamps.take(field)) {
            Some(json) => put(member.key.raw(), &json),
            None => put(member.key.raw(), member.value.raw()),
        }
    }
    for field in Field::ALL {
        if let Some(json) = stamps.take(field) {
            put(field.quoted(), &json);
        }
    }
    out.push(b'}');
    remove_line_breaks(&mut out);
    out.push(b'\n');
    Bytes::from(out)
}

/// Removes the line breaks of `json`: readers take each line of an object for an event. JSON has them only between
/// tokens, where they are insignificant; in strings they are escaped (RFC 8259, sections 2 and 7).
fn remove_line_breaks(json: &mut Vec<u8>) {
    // Nearly every event has none, and is only searched.
    if memchr2(b'\n', b'\r', json).is_some() {
        json.retain(|byte| !matches!(byte, b'\n' | b'\r'));
        // The event's reservation covers its new length only.
        json.shrink_to(json.len() + 1);
    }
}

/// The capacity for the stored line: its length and little more, since its reservation covers only the length.
fn capacity(envelope: &Envelope<'_>, stamps: &Stamps<'_>) -> usize {
    let kept = |member: &Member<'_>| match member.field {
        Some(field) if field == Field::WriteKey || stamps.has(field) => 0,
        _ => member.value.raw().len(),
    };
    let sent: usize = envelope.members.iter().map(|member| member.key.raw().len() + kept(member) + 2).sum();
    let stamped: usize = stamps.0.iter().flatten().map(|json| json.len()).sum();
    sent + stamped + STAMP_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use tributary_crds::function::SegmentType;

    use super::{Timestamp, remove_line_breaks};
    use crate::event::{Event, EventType, Limits, single};

    const RECEIVED: &str = "2026-11-23T12:00:00.123456Z";

    fn parsed(json: &str) -> Event {
        let found = single(
            json.as_bytes(),
            EventType::Segment(SegmentType::Track),
            RECEIVED.parse().unwrap(),
            &Limits::default(),
        );
        found.parse().unwrap().events.remove(0)
    }

    /// The stored object of an event with these members, without the fixed members before them, the braces and the
    /// newline.
    fn stored(members: &str) -> String {
        let json = format!(r#"{{"userId":1,"event":"e","messageId":"m",{members}}}"#);
        let body = String::from_utf8(parsed(&json).body.to_vec()).unwrap();
        let start = r#"{"userId":1,"event":"e","messageId":"m","#;
        body.strip_prefix(start).unwrap().strip_suffix("}\n").unwrap().to_owned()
    }

    #[test]
    fn members_are_stamped_in_place_and_missing_ones_appended() {
        let table = [
            (
                r#""a":1"#,
                r#""a":1,"type":"track","timestamp":"2026-11-23T12:00:00.123Z","originalTimestamp":"2026-11-23T12:00:00.123Z","sentAt":"2026-11-23T12:00:00.123Z","receivedAt":"2026-11-23T12:00:00.123Z","version":2"#,
            ),
            (
                r#""version":1.0,"receivedAt":0,"sentAt":null,"originalTimestamp":"x","timestamp":null,"type":"page","z":1"#,
                r#""version":1.0,"receivedAt":"2026-11-23T12:00:00.123Z","sentAt":"2026-11-23T12:00:00.123Z","originalTimestamp":"x","timestamp":"2026-11-23T12:00:00.123Z","type":"track","z":1"#,
            ),
        ];
        for (members, expected) in table {
            assert_eq!(stored(members), expected);
        }
    }

    #[test]
    fn other_members_stay_as_sent() {
        let sent = "\"n\":1.50E+2,\"big\":123456789012345678901234567890,\"a\\u0062\":\"\\u00e9\\/\",\
                    \"o\":{ \"x\" : [1, 2.0 ,\t3] },\"n\":\"twice\",\"batch\":[],\"\":null,\"\\ud800\":\"\\udfff\"";
        assert!(stored(sent).starts_with(&format!("{sent},\"type\"")), "{}", stored(sent));
    }

    #[test]
    fn a_number_as_message_id_is_stored_as_text() {
        let event = parsed(r#"{"userId":1,"messageId":7.50,"event":"e"}"#);
        assert!(event.message_id_sent && event.message_id == "7.50");
        assert!(event.body.starts_with(br#"{"userId":1,"messageId":"7.50","event":"e""#), "{:?}", event.body);
    }

    #[test]
    fn an_event_is_one_line() {
        let table = [
            ("\"a\":[1,\n2 ,\r\n\t3\r]\n,\n\"b\":{\n}", "\"a\":[1,2 ,\t3],\"b\":{}"),
            ("\"a\":\"\\n\\r\u{2028}\u{85}\"", "\"a\":\"\\n\\r\u{2028}\u{85}\""),
            ("\"a\":{\"b\\n\":\ntrue\n}", "\"a\":{\"b\\n\":true}"),
        ];
        for (members, expected) in table {
            assert!(stored(members).starts_with(&format!("{expected},\"type\"")), "{}", stored(members));
        }
    }

    #[test]
    fn a_line_without_its_breaks_needs_no_more_memory_than_its_length() {
        let mut json = [&b"{"[..], &[b'\n'; 30_000], b"}"].concat();
        remove_line_breaks(&mut json);
        json.push(b'\n');
        assert_eq!(json, b"{}\n");
        assert!(json.capacity() < 100, "{} bytes", json.capacity());
    }

    #[test]
    fn the_write_key_is_removed() {
        assert!(stored(r#""writeKey":"secret","a":1"#).starts_with(r#""a":1,"type""#));
        assert!(stored(r#""a":1,"write\u004bey":{"b":"secret"}"#).starts_with(r#""a":1,"type""#));
        assert!(stored(r#""context":{"writeKey":1}"#).starts_with(r#""context":{"writeKey":1}"#));
        let json = r#"{"writeKey":"secret","userId":1,"event":"e"}"#;
        assert!(parsed(json).body.starts_with(br#"{"userId":1"#));
    }

    #[test]
    fn the_clients_time_may_be_called_original() {
        let event = |members: &str| parsed(&format!(r#"{{"userId":1,"event":"e","messageId":"m",{members}}}"#));
        let original = r#""originalTimestamp":"2020-01-01T00:00:00Z""#;
        let one = event(&format!(r#"{original},"sentAt":"2020-01-01T00:00:02Z""#));
        assert_eq!(one.timestamp, "2020-01-01T00:00:00Z".parse().unwrap());
        let body = String::from_utf8(one.body.to_vec()).unwrap();
        assert!(body.contains(original) && body.contains(r#""timestamp":"2026-11-23T11:59:58.123Z""#), "{body}");
        let both = event(&format!(r#"{original},"timestamp":"2021-01-01T00:00:00Z""#));
        assert_eq!(both.timestamp, "2021-01-01T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn times_are_corrected_where_both_can_be_read() {
        let table = [
            // timestamp, sentAt, corrected timestamp, time for the key
            (r#""2020-01-01""#, "null", "2020-01-01T00:00:00.000Z", "2020-01-01T00:00:00Z"),
            (r#""2020-01-01""#, r#""2020-01-01T00:00:02Z""#, "2026-11-23T11:59:58.123Z", "2020-01-01T00:00:00Z"),
            (
                r#""2020-01-01T01:00:00.0009+01:00""#,
                r#""2020-01-01""#,
                "2026-11-23T12:00:00.123Z",
                "2020-01-01T00:00:00.0009Z",
            ),
            (r#""2020-01-01T01:00:00+01:00""#, r#""never""#, "2020-01-01T00:00:00.000Z", "2020-01-01T00:00:00Z"),
            (r#""2020-01-01""#, "17", "2020-01-01T00:00:00.000Z", "2020-01-01T00:00:00Z"),
            ("17", r#""2020-01-01""#, "2026-11-23T12:00:00.123Z", "2026-11-23T12:00:00.123Z"),
            ("1700000000", "1700000001000", "2026-11-23T11:59:59.123Z", "2023-11-14T22:13:20Z"),
            (r#""1700000000000""#, "17", "2023-11-14T22:13:20.000Z", "2023-11-14T22:13:20Z"),
            (r#""""#, r#""""#, "2026-11-23T12:00:00.123Z", "2026-11-23T12:00:00.123Z"),
            ("null", r#""2020-01-01""#, "2026-11-23T12:00:00.123Z", "2026-11-23T12:00:00.123Z"),
        ];
        let received = "\"2026-11-23T12:00:00.123Z\"";
        for (timestamp, sent, corrected, key) in table {
            let members = format!(r#""timestamp":{timestamp},"sentAt":{sent}"#);
            let original = if timestamp == "null" { received } else { timestamp };
            let sent = if sent == "null" { received } else { sent };
            let expected = format!(
                r#""timestamp":"{corrected}","sentAt":{sent},"type":"track","originalTimestamp":{original},"receivedAt":{received},"version":2"#
            );
            assert_eq!(stored(&members), expected);
            let json = format!(r#"{{"userId":1,"event":"e",{members}}}"#);
            let event = parsed(&json);
            assert_eq!(event.timestamp, key.parse().unwrap(), "{members}");
            assert_eq!(event.occurred_at.as_millisecond(), corrected.parse::<Timestamp>().unwrap().as_millisecond());
        }
    }
}
