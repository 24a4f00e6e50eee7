//! Builds the keys of S3 objects from the function's prefix and template. Pure.
//!
//! An event's key is computed from its own values, so an event sent again with its `messageId` and `timestamp` gets the
//! same key. A batch's key is made when it is sealed. Values are encoded injectively, and templates separate a variable
//! from the text after it (see [`KeyTemplate`]), so two messageIds never share a key.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use sha2::{Digest, Sha256};
use tributary_crds::values::{KeyTemplate, Part, Prefix, TimeField, TimePart, Variable};
use uuid::Uuid;

use super::health;
use crate::event::{Event, EventType};

/// Maximum bytes of an encoded value. With each variable at most once, and the maximum lengths of templates and
/// prefixes, a key stays within S3's limit of 1,024 bytes.
const MAX_VALUE_BYTES: usize = 128;

/// Bytes of a longer encoded value that are kept, before `~` and its hash.
const KEPT_VALUE_BYTES: usize = 64;

/// Bytes of the SHA-256 hash that are kept: 128 bits.
const KEPT_HASH_BYTES: usize = 16;

/// The event time in the key of events without one. Hive, Athena, Spark, DuckDB and Arrow take it for null in
/// `name=value` folders, so columns of dates and numbers keep their types.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// Builds the keys of one function's objects.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
    parts: Vec<Part>,
}

impl Keys {
    pub(crate) fn new(prefix: Option<&Prefix>, template: &KeyTemplate) -> Self {
        Self { prefix: prefix.map_or_else(String::new, ToString::to_string), parts: template.parts() }
    }

    /// The key of `event`'s own object. Its times are [`Event::timestamp`], in UTC.
    pub(crate) fn of_event(&self, event: &Event) -> String {
        self.render(event.event_type.as_str(), event.timestamp, None, |key, variable| match variable {
            Variable::Event => value(key, event.event.as_deref()),
            Variable::MessageId => value(key, Some(&event.message_id)),
            Variable::UserId => value(key, event.user_id.as_deref()),
            // Only batches have an ID: the CRD refuses `{batchId}` in Object mode.
            _ => {}
        })
    }

    /// The key of a batch that was sealed at `sealed`, in UTC. `event_type` is the type of all its events; it is
    /// `None` only if the template has no `{type}`. `event_time` has the fields that all its events share; it is `None`
    /// if they share none.
    pub(crate) fn of_batch(
        &self,
        event_type: Option<&EventType>,
        event_time: Option<DateTime>,
        sealed: Timestamp,
        id: Uuid,
    ) -> String {
        self.render(event_type.map_or("", EventType::as_str), sealed, event_time, |key, variable| {
            // The others are values of a single event: the CRD refuses them in Batch mode.
            if variable == Variable::BatchId {
                number(key, id.simple());
            }
        })
    }

    /// Renders the parts that events and batches have in common; `own` appends the values of the other variables.
    fn render(
        &self,
        event_type: &str,
        time: Timestamp,
        event_time: Option<DateTime>,
        own: impl Fn(&mut String, Variable),
    ) -> String {
        let civil = Offset::UTC.to_datetime(time);
        let mut key = String::with_capacity(self.prefix.len() + 96);
        key.push_str(&self.prefix);
        for part in &self.parts {
            match part {
                Part::Literal(text) => key.push_str(text),
                Part::Variable(Variable::Type) => key.push_str(event_type),
                Part::Variable(Variable::Millis) => number(&mut key, time.as_millisecond()),
                Part::Variable(Variable::Time(field)) => time_field(&mut key, *field, civil),
                Part::Variable(variable) => own(&mut key, *variable),
                Part::EventTime(parts) => match event_time {
                    Some(time) => parts.iter().for_each(|part| time_part(&mut key, *part, time)),
                    None => key.push_str(NULL_PARTITION),
                },
            }
        }
        key
    }

    /// Whether the event can get the same key when it is sent again, so that its object may exist already. Without a
    /// timestamp from the client the key contains the time of receipt, of which only the milliseconds are sure to differ.
    pub(crate) fn are_repeatable(&self, event: &Event) -> bool {
        event.message_id_sent && (event.timestamp_sent || !self.have_millis())
    }

    fn have_millis(&self) -> bool {
        self.parts.contains(&Part::Variable(Variable::Millis))
    }

    /// The part of the key space that events of this type are in; `None` if keys don't contain the type.
    pub(super) fn part(&self, event_type: &EventType) -> Option<health::KeyPart> {
        self.have_type().then(|| health::KeyPart::of(event_type))
    }

    /// Whether keys contain the event type.
    pub(crate) fn have_type(&self) -> bool {
        self.parts.contains(&Part::Variable(Variable::Type))
    }
}

fn number(key: &mut String, number: impl std::fmt::Display) {
    // Writing to a `String` never fails.
    let _ = write!(key, "{number}");
}

fn time_part(key: &mut String, part: TimePart, time: DateTime) {
    match part {
        TimePart::Field(field) => time_field(key, field, time),
        TimePart::Separator(separator) => key.push(separator),
    }
}

fn time_field(key: &mut String, field: TimeField, time: DateTime) {
    let _ = match field {
        TimeField::Year => write!(key, "{:04}", time.year()),
        TimeField::Month => write!(key, "{:02}", time.month()),
        TimeField::Day => write!(key, "{:02}", time.day()),
        TimeField::Hour => write!(key, "{:02}", time.hour()),
        TimeField::Minute => write!(key, "{:02}", time.minute()),
        TimeField::Second => write!(key, "{:02}", time.second()),
    };
}

/// Appends a value from the event: percent-encoded, `_` if it is absent, and truncated with a hash if it is long.
fn value(key: &mut String, text: Option<&str>) {
    let start = key.len();
    for byte in text.unwrap_or("_").bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            key.push(char::from(byte));
        } else {
            let _ = write!(key, "%{byte:02X}");
        }
    }
    if key.len() - start > MAX_VALUE_BYTES {
        // No encoded value contains `~`, so a truncated one never equals a whole one.
        let hash = Sha256::digest(text.unwrap_or_default());
        key.truncate(start + KEPT_VALUE_BYTES);
        key.push('~');
        key.push_str(&hex::encode(&hash[..KEPT_HASH_BYTES]));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use bytes::Bytes;
    use proptest::prelude::*;
    use tributary_crds::function::SegmentType;

    use super::*;
    use crate::event::EventType;

    fn event(message_id: &str, user_id: Option<&str>, name: Option<&str>, millis: i64) -> Event {
        Event {
            event_type: EventType::Segment(SegmentType::Track),
            message_id: message_id.to_owned(),
            event: name.map(str::to_owned),
            user_id: user_id.map(str::to_owned),
            timestamp: jiff::Timestamp::from_millisecond(millis).unwrap(),
            occurred_at: jiff::Timestamp::UNIX_EPOCH,
            message_id_sent: true,
            timestamp_sent: true,
            has_unreadable_time: false,
            body: Bytes::new(),
        }
    }

    fn keys(prefix: &str, template: &str) -> Keys {
        Keys::new(Some(&prefix.parse().unwrap()), &template.parse().unwrap())
    }

    #[test]
    fn the_default_key_is_type_millis_and_message_id() {
        let keys = Keys::new(None, &KeyTemplate::object_default());
        let key = keys.of_event(&event("abc-1", None, None, 1_700_000_000_123));
        assert_eq!(key, "track/1700000000123-abc-1.json");
    }

    #[test]
    fn every_variable_is_rendered() {
        let keys = keys("in/", "{type}/{event}/{userId}/{yyyy-MM-dd}T{HH}{mm}{ss}/{millis}-{messageId}");
        let key = keys.of_event(&event("m", Some("ü/1"), Some("Order Completed"), 1_700_000_000_123));
        assert_eq!(key, "in/track/Order%20Completed/%C3%BC%2F1/2023-11-14T221320/1700000000123-m");
        let bare = keys.of_event(&event("m", None, None, -1));
        assert_eq!(bare, "in/track/_/_/1969-12-31T235959/-1-m");
    }

    #[test]
    fn a_key_is_repeatable_if_all_of_it_came_from_the_client() {
        let of_one_day = keys("", "{yyyy-MM-dd}/{messageId}");
        let of_one_millisecond = keys("", "{millis}-{messageId}");
        for (message_id_sent, timestamp_sent, of_day, of_millis) in
            [(true, true, true, true), (true, false, true, false), (false, true, false, false)]
        {
            let event = Event { message_id_sent, timestamp_sent, ..event("m", None, None, 0) };
            assert_eq!(
                (of_one_day.are_repeatable(&event), of_one_millisecond.are_repeatable(&event)),
                (of_day, of_millis)
            );
        }
        let event = Event { timestamp_sent: false, ..event("m", None, None, 0) };
        assert!(keys("", "{type}/{messageId}").are_repeatable(&event));
    }

    #[test]
    fn a_batchs_key_has_the_time_of_its_sealing() {
        let sealed = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        let id = Uuid::from_u128(0xabc);
        let default = Keys::new(Some(&"in/".parse().unwrap()), &KeyTemplate::batch_default("ndjson.gz"));
        let track = EventType::parse("track").unwrap();
        assert_eq!(default.part(&track), Some(health::KeyPart::of(&track)));
        assert_eq!(
            default.of_batch(Some(&EventType::parse("delete").unwrap()), None, sealed, id),
            "in/type=delete/dt=2023-11-14/hour=22/1700000000123-00000000000000000000000000000abc.ndjson.gz"
        );
        let mixed = keys("", "{yyyy}{MM}{dd}T{HH}{mm}{ss}.{batchId}");
        assert!(!mixed.have_type());
        assert_eq!(mixed.of_batch(None, None, sealed, id), "20231114T221320.00000000000000000000000000000abc");
    }

    #[test]
    fn a_batchs_key_has_the_time_of_its_events_or_hives_null() {
        let sealed = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        let keys = keys("", "type={type}/dt={timestamp:yyyy-MM-dd}/hour={timestamp:HH}/{HH}-{batchId}");
        let key = |time| keys.of_batch(Some(&EventType::parse("track").unwrap()), time, sealed, Uuid::from_u128(0xabc));
        assert_eq!(
            key(Some("2023-01-02T03:00".parse().unwrap())),
            "type=track/dt=2023-01-02/hour=03/22-00000000000000000000000000000abc"
        );
        assert_eq!(
            key(None),
            "type=track/dt=__HIVE_DEFAULT_PARTITION__/hour=__HIVE_DEFAULT_PARTITION__/\
             22-00000000000000000000000000000abc"
        );
    }

    #[test]
    fn long_values_are_truncated_and_stay_distinct() {
        let keys = keys("", "{messageId}");
        let whole = keys.of_event(&event(&"a".repeat(128), None, None, 0));
        assert_eq!(whole, "a".repeat(128));
        let one = keys.of_event(&event(&format!("{}1", "a".repeat(128)), None, None, 0));
        let two = keys.of_event(&event(&format!("{}2", "a".repeat(128)), None, None, 0));
        assert_eq!(one.len(), KEPT_VALUE_BYTES + 1 + 2 * KEPT_HASH_BYTES);
        assert_ne!(one, two);
    }

    #[test]
    fn the_longest_key_stays_within_s3s_limit() {
        let longest = "x".repeat(100);
        let template =
            format!("{{type}}/{{event}}/{{userId}}/{{messageId}}/{{yyyy-MM-dd}}/{{millis}}/{}", "l".repeat(256 - 64));
        let keys = keys(&format!("{}/", "p".repeat(255)), &template);
        let key = keys.of_event(&event(&"ü".repeat(100), Some(&longest), Some(&longest), i64::from(i32::MIN)));
        assert!(key.len() <= 1024, "{}", key.len());

        let template = format!("{}{{batchId}}", "{timestamp:HH}".repeat(17));
        let keys = self::keys(&format!("{}/", "p".repeat(255)), &template);
        let key = keys.of_batch(None, None, Timestamp::MAX, Uuid::nil());
        assert!(key.len() <= 1024, "{}", key.len());
    }

    const TEMPLATES: [&str; 4] = [
        "{type}/{millis}-{messageId}.json",
        "{userId}/{event}/{messageId}",
        "{event}.{messageId}.{userId}",
        "{messageId}/{millis}",
    ];

    proptest! {
        #[test]
        fn different_message_ids_never_share_a_key(
            events in prop::collection::vec((".{1,100}", prop::option::of(".{0,40}"), prop::option::of("[a-c/.%~_-]{0,6}"), 0i64..3), 1..40),
        ) {
            let ids: HashSet<_> = events.iter().map(|(id, ..)| id.clone()).collect();
            for template in TEMPLATES {
                let keys = keys("", template);
                let made: HashSet<_> = events
                    .iter()
                    .map(|(id, user, name, millis)| (id, keys.of_event(&event(id, user.as_deref(), name.as_deref(), *millis))))
                    .collect();
                let distinct: HashSet<_> = made.iter().map(|(_, key)| key).collect();
                // One ID may have several keys (another time, another user), but two IDs never share one.
                for key in &distinct {
                    let owners: HashSet<_> = made.iter().filter(|(_, made)| made == *key).map(|(id, _)| id).collect();
                    prop_assert_eq!(owners.len(), 1, "{} is the key of {:?}", key, owners);
                }
                prop_assert!(distinct.len() >= ids.len());
            }
        }

        #[test]
        fn similar_message_ids_have_different_keys(ids in prop::collection::hash_set("[ab/%~2_-]{1,4}|[ab]{126,131}", 2..60)) {
            let keys = keys("", "{messageId}");
            let made: HashSet<_> = ids.iter().map(|id| keys.of_event(&event(id, None, None, 0))).collect();
            prop_assert_eq!(made.len(), ids.len());
        }
    }
}
