//! Reads requests' bodies within limits, and writes answers. The server itself is [`tributary_runtime::server`].

mod answer;
mod body;
mod body_error;
mod body_rate;
mod encoding;
mod framing;

pub(crate) use answer::{Answer, AnswerBody, RejectedEvent, RejectedEvents};
pub(crate) use body::{Limits, ReadBody, discard, read};
pub(crate) use body_error::BodyError;
pub(crate) use framing::has_ambiguous_end;
