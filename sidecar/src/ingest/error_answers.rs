//! Words the answers to whole requests that are not stored. For rejected events of a request, see `rejections`.

use hyper::StatusCode;

use crate::delivery::NotStored;
use crate::http::{Answer, BodyError, RejectedEvents};

use super::unavailable::unavailable;

/// The 503 or 429 for events that could not be stored.
pub(super) fn later(why: NotStored) -> Answer {
    match why {
        NotStored::Blocker(blocker) => unavailable(&blocker),
        NotStored::OutOfMemory => full(BodyError::OutOfBudget.to_string()),
        NotStored::Full => full("the sidecar's maximum of concurrent uploads is reached".to_owned()),
    }
}

/// 429: the sidecar's own capacity is exhausted, not S3's.
pub(super) fn full(message: String) -> Answer {
    Answer::Later { status: StatusCode::TOO_MANY_REQUESTS, code: "over_capacity".to_owned(), message }
}

/// The answer for a body that could not be read: 429 if there is no memory for it, 408 if it is too slow, otherwise 400.
pub(super) fn body_refusal(error: &BodyError) -> Answer {
    let (status, code) = match error {
        BodyError::TooLarge(_) | BodyError::TooLargeDecompressed(_) => (StatusCode::BAD_REQUEST, "body_too_large"),
        BodyError::UnknownEncoding(_) => (StatusCode::BAD_REQUEST, "unknown_content_encoding"),
        BodyError::NotAsEncoded(..) => (StatusCode::BAD_REQUEST, "invalid_content_encoding"),
        BodyError::Broken(_) => (StatusCode::BAD_REQUEST, "incomplete_body"),
        BodyError::TooSlow(_) | BodyError::Stalled => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
        BodyError::OutOfBudget => return full(error.to_string()),
    };
    refused(status, code, error.to_string())
}

pub(super) fn ambiguous_end() -> Answer {
    let message = "the Transfer-Encoding is not just \"chunked\"".to_owned();
    refused(StatusCode::BAD_REQUEST, "unknown_transfer_encoding", message)
}

pub(super) fn not_found() -> Answer {
    let paths =
        "POST to /v1/track, /v1/identify, /v1/page, /v1/screen, /v1/group, /v1/alias or /v1/batch; webhooks POST to /";
    refused(StatusCode::NOT_FOUND, "not_found", format!("unknown path; {paths}"))
}

pub(super) fn method_not_allowed() -> Answer {
    refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "events are sent with POST".to_owned())
}

pub(super) fn refused(status: StatusCode, code: &'static str, message: String) -> Answer {
    Answer::Refused { status, code, message, rejected: RejectedEvents::default() }
}
