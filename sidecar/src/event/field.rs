//! The members that mean something here, by their names.

use super::value::Value;

macro_rules! fields {
    ($($field:ident = $text:literal,)*) => {
        /// A member of the envelope. Missing stamps are appended in this order.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(super) enum Field { $($field),* }

        impl Field {
            /// How many there are, for tables indexed by `field as usize`.
            pub(super) const COUNT: usize = [$($text),*].len();
            /// All of them, in the same order.
            pub(super) const ALL: [Self; Self::COUNT] = [$(Self::$field),*];

            /// The name as JSON, without a need for escapes.
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
    /// The member a key means: `"t\u0079pe"` is `type` to every reader of JSON.
    pub(super) fn of(key: Value<'_>) -> Option<Self> {
        if key.is_escaped() { Self::of_decoded(&key.text()?) } else { Self::of_quoted(key.raw()) }
    }

    /// The name as messages spell it.
    pub(super) fn as_str(self) -> &'static str {
        self.quoted().trim_matches('"')
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Value};

    #[test]
    fn a_key_is_found_however_it_is_written() {
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
