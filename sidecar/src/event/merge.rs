//! Merges a batch's `context` and `integrations` into each of its events: shallowly, and the event's members take
//! precedence.

use std::borrow::Cow;
use std::collections::HashSet;

use super::object::{MAX_DEPTH, for_each_member};
use super::rejection::{Code, Rejection};
use super::value::Value;

/// An object of the batch that is merged into each of its events.
pub(super) struct Shared<'a> {
    raw: Value<'a>,
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    identity: Cow<'a, str>,
    key: Value<'a>,
    value: Value<'a>,
}

/// The text by which a key is compared: decoded, since any reader decodes escapes. A key with an unpaired surrogate
/// has no text, and equals only itself as written.
fn identity(key: Value<'_>) -> Cow<'_, str> {
    key.text().unwrap_or(Cow::Borrowed(key.raw()))
}

impl<'a> Shared<'a> {
    /// Reads the batch's member `name`, the object `raw`, of at most `max` bytes: a longer one would exceed the limit of every event.
    pub(super) fn read(name: &str, raw: Value<'a>, max: usize) -> Result<Self, Rejection> {
        let length = raw.raw().len();
        if length > max {
            let message = format!("{name} of the batch has {length} bytes, over {max}");
            return Err(Rejection::new(Code::BatchTooLarge, message));
        }
        // In an event it is nested one level deeper.
        if raw.is_deeper_than(MAX_DEPTH - 1) {
            let message = format!("{name} of the batch is nested over {} levels", MAX_DEPTH - 1);
            return Err(Rejection::new(Code::InvalidJson, message));
        }
        let mut members = Vec::new();
        for_each_member(raw.raw(), |key, value| {
            let identity = identity(key);
            members.push(Member { identity, key, value });
        })?;
        Ok(Self { raw, members })
    }

    /// Bytes of its JSON text.
    pub(super) fn len(&self) -> usize {
        self.raw.raw().len()
    }

    /// The event's object, followed by the batch's members that it lacks; the unchanged object of the batch if the event
    /// has none.
    pub(super) fn merged_into(&self, own: Option<Value<'a>>) -> Result<Cow<'a, str>, Rejection> {
        let Some(own) = own else {
            return Ok(Cow::Borrowed(self.raw.raw()));
        };
        let mut own_keys = HashSet::new();
        for_each_member(own.raw(), |key, _| {
            own_keys.insert(identity(key));
        })?;
        let mut out = String::with_capacity(own.raw().len() + self.raw.raw().len());
        // Without the closing brace, its last byte.
        out.push_str(own.raw().strip_suffix('}').unwrap_or(own.raw()));
        let mut first = own_keys.is_empty();
        for member in &self.members {
            if own_keys.contains(&member.identity) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            out.push_str(member.key.raw());
            out.push(':');
            out.push_str(member.value.raw());
        }
        out.push('}');
        Ok(Cow::Owned(out))
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, MAX_DEPTH, Shared, Value};

    #[test]
    fn the_events_members_take_precedence_and_the_batchs_follow() {
        let table = [
            (None, "{\"a\": 1}", "{\"a\": 1}"),
            (Some("{}"), "{\"a\": 1, \"b\":2}", "{\"a\":1,\"b\":2}"),
            (Some("{ }"), "{\"a\":1}", "{ \"a\":1}"),
            (Some("{\"a\":1}"), "{}", "{\"a\":1}"),
            (Some("{\"a\":1.0 }"), "{\"b\":2,\"a\":{\"c\":3}}", "{\"a\":1.0 ,\"b\":2}"),
            (Some("{\"a\":{\"x\":1}}"), "{\"a\":{\"y\":2}}", "{\"a\":{\"x\":1}}"),
            (Some("{\"\\u0061\":1}"), "{\"a\":2}", "{\"\\u0061\":1}"),
            (Some("{\"a\":null}"), "{\"\\u0061\":2,\"b\":3}", "{\"a\":null,\"b\":3}"),
            (Some("{\"\\ud800\":1}"), "{\"\\ud800\":2,\"\\ud801\":3}", "{\"\\ud800\":1,\"\\ud801\":3}"),
            (Some("{\"}\":\"}\"}"), "{\"b\":1}", "{\"}\":\"}\",\"b\":1}"),
        ];
        for (own, shared, expected) in table {
            let shared = Shared::read("context", Value::new(shared), 100).unwrap();
            let merged = shared.merged_into(own.map(Value::new)).unwrap();
            assert_eq!(merged, expected, "{own:?}");
        }
    }

    #[test]
    fn shared_members_too_long_for_an_event_are_refused() {
        let read = |json: &str, max| {
            let outcome = Shared::read("context", Value::new(json), max);
            outcome.map(drop).map_err(|error| (error.code, error.message))
        };
        assert_eq!(read("{\"a\":1}", 7), Ok(()));
        let message = "context of the batch has 7 bytes, over 6".to_owned();
        assert_eq!(read("{\"a\":1}", 6), Err((Code::BatchTooLarge, message)));
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(read(&nested(MAX_DEPTH - 2), 9_999), Ok(()));
        let message = "context of the batch is nested over 126 levels".to_owned();
        assert_eq!(read(&nested(MAX_DEPTH - 1), 9_999), Err((Code::InvalidJson, message)));
    }
}
