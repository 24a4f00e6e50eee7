//! Words the answer to a request with rejected events: 200 with their list if any event of it is valid, otherwise 400.
//! Pure.

use hyper::StatusCode;

use super::refused;
use crate::event::{Rejected, Rejection};
use crate::http::{Answer, RejectedEvent, RejectedEvents};

/// Memory of a rejected event in addition to its message, in bytes: as parsed, and in the answer.
const OVERHEAD_BYTES: usize = 256;

/// The memory of rejected events before their answer is built, in bytes.
pub(super) fn memory_bytes(rejected: &[Rejected<'_>]) -> usize {
    rejected.iter().map(|one| one.rejection.message.len() + OVERHEAD_BYTES).sum()
}

/// The rejections of a request's events.
#[derive(Debug)]
pub(super) enum Rejections {
    /// Those of a batch, possibly none.
    OfBatch(RejectedEvents),
    /// That of the only event in the body.
    OfSingle(Rejection),
}

impl Rejections {
    pub(super) fn of(mut rejected: Vec<Rejected<'_>>) -> Self {
        if let [Rejected { index: None, .. }] = rejected[..] {
            return Self::OfSingle(rejected.remove(0).rejection);
        }
        let list = |one: Rejected<'_>| {
            let Rejection { code, message } = one.rejection;
            Some(RejectedEvent { index: one.index?, code: code.as_str(), message })
        };
        Self::OfBatch(rejected.into_iter().filter_map(list).collect())
    }

    /// The number of rejected events.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::OfBatch(rejected) => rejected.len(),
            Self::OfSingle(_) => 1,
        }
    }

    /// The memory that they use, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        match self {
            Self::OfBatch(rejected) => rejected.listed.iter().map(|event| event.message.len() + OVERHEAD_BYTES).sum(),
            Self::OfSingle(rejection) => rejection.message.len() + OVERHEAD_BYTES,
        }
    }

    /// The answer once everything is stored that can be. `any_valid` is true if the request has a valid event.
    pub(super) fn answer(self, any_valid: bool) -> Answer {
        match self {
            Self::OfSingle(Rejection { code, message }) => refused(StatusCode::BAD_REQUEST, code.as_str(), message),
            Self::OfBatch(rejected) if !any_valid => Answer::Refused {
                status: StatusCode::BAD_REQUEST,
                code: "no_valid_events",
                message: "no event of the batch is valid; each is listed under rejected".to_owned(),
                rejected,
            },
            Self::OfBatch(rejected) if rejected.is_empty() => Answer::Success,
            Self::OfBatch(rejected) => Answer::Partial(rejected),
        }
    }
}
