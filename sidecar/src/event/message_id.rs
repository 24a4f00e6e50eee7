//! An event's `messageId`: the client's, or one made here.

use std::borrow::Cow;

use jiff::Timestamp;
use uuid::{NoContext, Uuid};

use super::rejection::{Code, Rejection};
use super::value::Value;

/// Segment's limit (common fields of its spec), in characters.
const MAX: usize = 100;

/// Who chose the ID.
pub(super) enum MessageId<'a> {
    /// The client, decoded.
    Sent(Cow<'a, str>),
    /// This sidecar.
    Made(String),
}

impl<'a> MessageId<'a> {
    /// The client's ID; where it has none, or an empty one, a new one.
    pub(super) fn of(sent: Option<Value<'a>>, received_at: Timestamp) -> Result<Self, Rejection> {
        let Some(value) = sent else {
            return Ok(Self::Made(make(received_at)));
        };
        let not_string = || {
            let message = format!("messageId is {value}, not a string of whole characters");
            Rejection::new(Code::MessageIdNotString, message)
        };
        // Half a surrogate pair has no text of its own, and two different IDs
        // must never become one.
        let text = value.text().ok_or_else(not_string)?;
        // Bytes are quicker to count, and no fewer than characters.
        let chars = if text.len() > MAX { text.chars().count() } else { text.len() };
        match chars {
            0 => Ok(Self::Made(make(received_at))),
            1..=MAX => Ok(Self::Sent(text)),
            _ => {
                let message = format!("messageId {value} has {chars} characters, over {MAX}");
                Err(Rejection::new(Code::MessageIdTooLong, message))
            }
        }
    }

    pub(super) fn into_string(self) -> String {
        match self {
            Self::Sent(text) => text.into_owned(),
            Self::Made(text) => text,
        }
    }
}

/// A UUID version 7: keys that begin with the time sort well, and its 74 random
/// bits make it one of its kind.
fn make(received_at: Timestamp) -> String {
    let millis = u64::try_from(received_at.as_millisecond()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0);
    let timestamp = uuid::Timestamp::from_unix(NoContext, millis / 1_000, nanos);
    Uuid::new_v7(timestamp).to_string()
}

#[cfg(test)]
mod tests {
    use super::{Code, MessageId, Timestamp, Value};

    fn of(json: &str) -> Result<(String, bool), Code> {
        let sent = Some(Value::new(json));
        let id = MessageId::of(sent, Timestamp::UNIX_EPOCH).map_err(|error| error.code)?;
        let made = matches!(id, MessageId::Made(_));
        Ok((id.into_string(), made))
    }

    #[test]
    fn the_clients_id_is_decoded_and_at_most_100_characters() {
        let longest = "é".repeat(100);
        for (json, id) in [
            (r#""a-1""#.to_owned(), "a-1"),
            (r#""a\u002d1\n""#.to_owned(), "a-1\n"),
            (format!("\"{longest}\""), longest.as_str()),
        ] {
            assert_eq!(of(&json), Ok((id.to_owned(), false)));
        }
        assert_eq!(of(&format!("\"{longest}é\"")), Err(Code::MessageIdTooLong));
        for json in ["1", "true", "{}", "[\"a\"]", r#""\udc00""#] {
            assert_eq!(of(json), Err(Code::MessageIdNotString), "{json}");
        }
    }

    #[test]
    fn made_ids_carry_the_time_and_differ() {
        let (id, made) = of("\"\"").unwrap();
        assert!(made);
        assert!(id.starts_with("00000000-0000-7"), "{id}");
        let at: Timestamp = "2026-11-23T12:00:00.123Z".parse().unwrap();
        let ids: std::collections::BTreeSet<_> =
            (0..1_000).map(|_| MessageId::of(None, at).unwrap().into_string()).collect();
        assert_eq!(ids.len(), 1_000);
        let millis = format!("{:012x}", at.as_millisecond());
        assert!(ids.iter().all(|id| id.replace('-', "").starts_with(&millis)));
    }

    #[test]
    fn a_time_before_1970_is_no_obstacle() {
        let id = MessageId::of(None, Timestamp::MIN).unwrap().into_string();
        assert!(id.starts_with("00000000-0000-7"), "{id}");
    }
}
