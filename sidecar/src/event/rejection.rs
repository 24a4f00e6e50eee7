//! The reasons for which a body or an event is rejected, with their messages for the client. The
//! answers that contain them are worded in `ingest`: `rejections` for events, `error_answers` for whole requests.

use std::fmt;

use thiserror::Error;

/// Declares [`Code`] from one list, so [`Code::ALL`] can't miss any.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal,)*) => {
        /// The closed set of reasons to reject an event or a body. The names are Segment's discard reasons where it
        /// has one, and are the values of a metric's label.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Code {
            $($(#[$doc])* $code,)*
        }

        impl Code {
            /// All codes, so that metrics can start at zero.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// The code as it is spelled in answers and metrics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }
        }
    };
}

codes! {
    /// The events of a request are too long together as they would be stored, or a batch's `context` or
    /// `integrations` is longer than an event may be.
    BatchTooLarge = "batch_too_large",
    /// `category` of a page or screen is not a string.
    CategoryNotString = "category_not_string",
    /// `context` is not an object.
    ContextNotObject = "context_not_object",
    /// A member of the envelope occurs twice, with different values.
    DuplicateKey = "duplicate_key",
    /// A batch, or a webhook's array, has no events.
    EmptyBatch = "empty_batch",
    /// A track event has no name, or an empty one.
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
    /// The text is not UTF-8, not JSON or not an object, or is nested too deep.
    InvalidJson = "invalid_json",
    /// An event that has to state its type has none, or a type that is not allowed.
    InvalidType = "invalid_type",
    /// `messageId` is neither a string nor a number, or has an unpaired surrogate.
    MessageIdNotString = "message_id_not_string",
    /// `messageId` has more than 100 characters.
    MessageIdTooLong = "message_id_too_long",
    /// `name` of a page or screen is not a string.
    NameNotString = "name_not_string",
    /// Neither `userId` nor `anonymousId` names a user (nor, in an alias, `previousId`).
    NoUserAnonId = "no_user_anon_id",
    /// `properties` is not an object.
    PropertiesNotObject = "properties_not_object",
    /// A batch, or a webhook's array, has more events than the limit.
    TooManyEvents = "too_many_events",
    /// `traits` is not an object.
    TraitsNotObject = "traits_not_object",
}

/// A rejection, for the client that sent the event. The message may quote a short piece of the body, so it
/// belongs in the answer, not in a log.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{message}")]
pub struct Rejection {
    /// The reason, for machines.
    pub code: Code,
    /// The reason as a sentence, with the invalid value.
    pub message: String,
}

impl Rejection {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// A rejected event: of a batch, of which other events may have been accepted, or of a body that is a single event.
#[derive(Clone, Eq, PartialEq)]
pub struct Rejected<'a> {
    /// Its index in the batch, from 0; `None` if the body is a single event.
    pub index: Option<usize>,
    /// Why it was rejected.
    pub rejection: Rejection,
    /// The event exactly as the client sent it, which need not be UTF-8. It belongs in no log.
    pub original: &'a [u8],
}

/// Omits the original, which must not get into logs.
impl fmt::Debug for Rejected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("index", &self.index)
            .field("rejection", &self.rejection)
            .finish_non_exhaustive()
    }
}
