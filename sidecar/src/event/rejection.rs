//! Why a body or an event is not taken.

use thiserror::Error;

/// The closed set of reasons; the names are Segment's discard reasons where it
/// has one, and serve as a metric's label.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Code {
    /// The stored events of a batch would be too long together.
    BatchTooLarge,
    /// `category` of a page or screen is not a string.
    CategoryNotString,
    /// `context` is not an object.
    ContextNotObject,
    /// A member of the envelope is there twice.
    DuplicateKey,
    /// A batch without an event.
    EmptyBatch,
    /// A track event without a name.
    EventNotDefined,
    /// An item of a batch is not an object.
    EventNotObject,
    /// A track event's name is not a string.
    EventNotString,
    /// An event is longer than the limit.
    EventTooLarge,
    /// `integrations` is not an object.
    IntegrationsNotObject,
    /// A batch's body has no array named `batch`.
    InvalidBatch,
    /// Not JSON, not an object, or nested too deep.
    InvalidJson,
    /// An item of a batch has no type, or an unknown one.
    InvalidType,
    /// `messageId` is not a string.
    MessageIdNotString,
    /// `messageId` is longer than the limit.
    MessageIdTooLong,
    /// `name` of a page or screen is not a string.
    NameNotString,
    /// Nobody is named: neither `userId` nor `anonymousId`.
    NoUserAnonId,
    /// `properties` is not an object.
    PropertiesNotObject,
    /// A batch has more events than the limit.
    TooManyEvents,
    /// `traits` is not an object.
    TraitsNotObject,
}

impl Code {
    /// The code as answers and metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BatchTooLarge => "batch_too_large",
            Self::CategoryNotString => "category_not_string",
            Self::ContextNotObject => "context_not_object",
            Self::DuplicateKey => "duplicate_key",
            Self::EmptyBatch => "empty_batch",
            Self::EventNotDefined => "event_not_defined",
            Self::EventNotObject => "event_not_object",
            Self::EventNotString => "event_not_string",
            Self::EventTooLarge => "event_too_large",
            Self::IntegrationsNotObject => "integrations_not_object",
            Self::InvalidBatch => "invalid_batch",
            Self::InvalidJson => "invalid_json",
            Self::InvalidType => "invalid_type",
            Self::MessageIdNotString => "message_id_not_string",
            Self::MessageIdTooLong => "message_id_too_long",
            Self::NameNotString => "name_not_string",
            Self::NoUserAnonId => "no_user_anon_id",
            Self::PropertiesNotObject => "properties_not_object",
            Self::TooManyEvents => "too_many_events",
            Self::TraitsNotObject => "traits_not_object",
        }
    }
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
    /// Why.
    pub rejection: Rejection,
}
