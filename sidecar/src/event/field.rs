//! Names the members of events and batches that the sidecar reads or writes.

use super::value::Value;

macro_rules! fields {
    ($($field:ident = $text:literal,)*) => {
        /// A member of the envelope. Missing stamps are appended in the order of the variants.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(super) enum Field { $($field),* }

        impl Field {
            /// The number of fields, for tables indexed by `field as usize`.
            pub(super) const COUNT: usize = [$($text),*].len();
            /// All fields, in the order of the variants.
            pub(super) const ALL: [Self; Self::COUNT] = [$(Self::$field),*];

            /// The name as a JSON string; no name needs escapes.
            pub(super) fn quoted(self) -> &'static str {
                match self { $(Self::$field => concat!('"', $text, '"')),* }
            }

            fn of_quoted(key: &str) -> Option<Self> {
                match key {
                    $(concat!('"', $text, '"') => Some(Self::$field),)*
                    _ => None,
                }
            }

            fn of_decoded(key: &str) -> Option<Self> {
                match key { $($text => Some(Self::$field),)* _ => None }
            }
        }
    };
}

fields! {
    MessageId = "messageId",
    Type = "type",
    Timestamp = "timestamp",
    OriginalTimestamp = "originalTimestamp",
    SentAt = "sentAt",
    ReceivedAt = "receivedAt",
    Version = "version",
    Context = "context",
    Integrations = "integrations",
    UserId = "userId",
    AnonymousId = "anonymousId",
    PreviousId = "previousId",
    GroupId = "groupId",
    Event = "event",
    Name = "name",
    Category = "category",
    Properties = "properties",
    Traits = "traits",
    WriteKey = "writeKey",
    Channel = "channel",
    Batch = "batch",
}

impl Field {
    /// The field that a key names, with or without escapes: `"t\u0079pe"` is `type` to every reader of JSON.
    pub(super) fn of(key: Value<'_>) -> Option<Self> {
        if key.is_escaped() { Self::of_decoded(&key.text()?) } else { Self::of_quoted(key.raw()) }
    }

    /// Whether the member's value is an object.
    pub(super) fn is_of_objects(self) -> bool {
        matches!(self, Self::Context | Self::Integrations | Self::Properties | Self::Traits)
    }

    /// The name without quotes, as in messages.
    pub(super) fn as_str(self) -> &'static str {
        self.quoted().trim_matches('"')
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Value};

    #[test]
    fn a_key_is_found_with_and_without_escapes() {
        for field in Field::ALL {
            assert_eq!(Field::of(Value::new(field.quoted())), Some(field));
            assert_eq!(Field::ALL[field as usize], field);
        }
        let table = [
            (r#""t\u0079pe""#, Some(Field::Type)),
            (r#""\u0074\u0079\u0070\u0065""#, Some(Field::Type)),
            (r#""Type""#, None),
            (r#""type ""#, None),
            (r#""""#, None),
            (r#""\ud800""#, None),
            (r#""type\u0000""#, None),
        ];
        for (key, field) in table {
            assert_eq!(Field::of(Value::new(key)), field, "{key}");
        }
    }
}
