//! Why a body or an event is not taken.

use thiserror::Error;

/// Declares [`Code`] from one list, so that [`Code::ALL`] can't miss any.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal,)*) => {
        /// The closed set of reasons; the names are Segment's discard reasons where it
        /// has one, and serve as a metric's label.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Code {
            $($(#[$doc])* $code,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// The code as answers and metrics spell it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }
        }
    };
}

codes! {
    /// The stored events of a batch would be too long together.
    BatchTooLarge = "batch_too_large",
    /// `category` of a page or screen is not a string.
    CategoryNotString = "category_not_string",
    /// `context` is not an object.
    ContextNotObject = "context_not_object",
    /// A member of the envelope is there twice.
    DuplicateKey = "duplicate_key",
    /// A batch without an event.
    EmptyBatch = "empty_batch",
    /// A track event without a name.
    EventNotDefined = "event_not_defined",
    /// An item of a batch is not an object.
    EventNotObject = "event_not_object",
    /// A track event's name is not a string.
    EventNotString = "event_not_string",
    /// An event is longer than the limit.
    EventTooLarge = "event_too_large",
    /// `integrations` is not an object.
    IntegrationsNotObject = "integrations_not_object",
    /// A batch's body has no array named `batch`.
    InvalidBatch = "invalid_batch",
    /// Not JSON, not an object, or nested too deep.
    InvalidJson = "invalid_json",
    /// An item of a batch has no type, or an unknown one.
    InvalidType = "invalid_type",
    /// `messageId` is not a string.
    MessageIdNotString = "message_id_not_string",
    /// `messageId` is longer than the limit.
    MessageIdTooLong = "message_id_too_long",
    /// `name` of a page or screen is not a string.
    NameNotString = "name_not_string",
    /// Nobody is named: neither `userId` nor `anonymousId`.
    NoUserAnonId = "no_user_anon_id",
    /// `properties` is not an object.
    PropertiesNotObject = "properties_not_object",
    /// A batch has more events than the limit.
    TooManyEvents = "too_many_events",
    /// `traits` is not an object.
    TraitsNotObject = "traits_not_object",
}

/// A refusal, for the client that sent the event. The message may quote a short
/// piece of what was sent: it belongs in the answer, not in a log.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{message}")]
pub struct Rejection {
    /// The reason.
    pub code: Code,
    /// The reason in a sentence, with the value that was wrong.
    pub message: String,
}

impl Rejection {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// An event of a batch that was refused while others may have been taken.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("event {index}: {rejection}")]
pub struct Rejected {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Why it was refused.
    pub rejection: Rejection,
}
