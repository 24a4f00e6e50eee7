//! The HTTP answers: statuses, JSON bodies and headers. A body ends with a newline, so a shell's prompt does not follow it
//! on the same line.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// The body of an answer: complete in memory, never streamed.
pub(crate) type AnswerBody = Full<Bytes>;

/// The body of the answer to a request whose events are all stored.
const SUCCESS: &[u8] = b"{\"success\":true}\n";

/// Range of `Retry-After`, in seconds, both ends included. The value is random, so that clients refused at the same
/// time do not all retry at the same time.
const RETRY_AFTER_SECONDS: (u8, u8) = (1, 10);

/// Maximum size of the list of rejected events in an answer, in bytes. Answers to a client that does not read them stay
/// in memory, where a connection has room for this much in addition to its requests ([`tributary_crds::memory`]).
const MAX_LISTED_BYTES: usize = 12 << 10;

/// Bytes of a listed event in addition to its message.
const ENTRY_BYTES: usize = 64;

/// An answer to a request, before it is rendered as HTTP.
#[derive(Debug)]
pub(crate) enum Answer {
    /// 200: every event is stored.
    Success,
    /// 200: every valid event is stored; the invalid ones are listed.
    Partial(RejectedEvents),
    /// 400, 401, 404, 405, 408: the same request can't succeed, except that after a 408 a client may repeat it.
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The machine-readable code, from a closed set.
        code: &'static str,
        /// The explanation for people.
        message: String,
        /// The rejected events, if this is a batch without a valid one.
        rejected: RejectedEvents,
    },
    /// 429 or 503: the same request may succeed later.
    Later {
        /// The HTTP status.
        status: StatusCode,
        /// The machine-readable code, from a closed set.
        code: String,
        /// The explanation for people.
        message: String,
    },
    /// 204: the answer to a browser's preflight.
    NoContent,
}

/// An invalid event of a batch, as the answer lists it.
#[derive(Debug, Serialize)]
pub(crate) struct RejectedEvent {
    /// The index in the batch, from 0.
    pub(crate) index: usize,
    /// The machine-readable code, from a closed set.
    pub(crate) code: &'static str,
    /// The explanation for people.
    pub(crate) message: String,
}

/// The rejected events of a batch, as many as an answer lists ([`MAX_LISTED_BYTES`]); the others are only counted. This
/// bounds the memory of answers that wait for events to be stored, and for clients that do not read.
#[derive(Debug, Default)]
pub(crate) struct RejectedEvents {
    /// The events that the answer lists.
    pub(crate) listed: Vec<RejectedEvent>,
    bytes: usize,
    omitted: usize,
}

impl RejectedEvents {
    /// Whether no event was rejected.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of rejected events, listed or not.
    pub(crate) fn len(&self) -> usize {
        self.listed.len() + self.omitted
    }

    fn push(&mut self, one: RejectedEvent) {
        // After the first event that does not fit, no other is listed or measured, even if it is shorter.
        if self.omitted == 0 {
            self.bytes += serde_json::to_string(&one.message).map_or(0, |message| message.len()) + ENTRY_BYTES;
            if self.bytes <= MAX_LISTED_BYTES {
                return self.listed.push(one);
            }
        }
        self.omitted += 1;
    }
}

impl FromIterator<RejectedEvent> for RejectedEvents {
    fn from_iter<I: IntoIterator<Item = RejectedEvent>>(all: I) -> Self {
        let mut rejected = Self::default();
        all.into_iter().for_each(|one| rejected.push(one));
        rejected
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rejected: &'a [RejectedEvent],
    /// The number of rejected events that are not listed.
    #[serde(skip_serializing_if = "is_zero")]
    rejected_omitted: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl<'a> Document<'a> {
    fn new(error: Option<Error<'a>>, rejected: &'a RejectedEvents) -> Self {
        Self { success: error.is_none(), error, rejected: &rejected.listed, rejected_omitted: rejected.omitted }
    }
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: &'a str,
}

impl Answer {
    /// A 503 answer with the reason.
    pub(crate) fn unavailable(code: String, message: String) -> Self {
        Self::Later { status: StatusCode::SERVICE_UNAVAILABLE, code, message }
    }

    /// Renders the answer as an HTTP response.
    pub(crate) fn into_response(self) -> Response<AnswerBody> {
        match self {
            Self::Success => json(StatusCode::OK, Bytes::from_static(SUCCESS)),
            Self::Partial(rejected) => document(StatusCode::OK, &Document::new(None, &rejected)),
            Self::Refused { status, code, message, rejected } => {
                let error = Some(Error { code, message: &message });
                let mut response = document(status, &Document::new(error, &rejected));
                match status {
                    StatusCode::METHOD_NOT_ALLOWED => {
                        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
                    }
                    // Not Basic, for which browsers show a password dialog.
                    StatusCode::UNAUTHORIZED => {
                        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                    }
                    _ => {}
                }
                response
            }
            Self::Later { status, code, message } => {
                let error = Some(Error { code: &code, message: &message });
                let mut response = document(status, &Document::new(error, &RejectedEvents::default()));
                let (least, most) = RETRY_AFTER_SECONDS;
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(u16::from(fastrand::u8(least..=most))));
                response
            }
            Self::NoContent => {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::NO_CONTENT;
                response
            }
        }
    }
}

fn document(status: StatusCode, document: &Document<'_>) -> Response<AnswerBody> {
    // Strings and numbers can always be serialized.
    let mut body = serde_json::to_vec(document).unwrap_or_default();
    body.push(b'\n');
    json(status, body.into())
}

fn json(status: StatusCode, body: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn text(answer: Answer) -> (StatusCode, Option<u8>, String) {
        let response = answer.into_response();
        let after = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().parse().unwrap());
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, after, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn answers_are_the_documented_ones() {
        assert_eq!(text(Answer::Success).await, (StatusCode::OK, None, "{\"success\":true}\n".to_owned()));
        let one = RejectedEvent { index: 2, code: "no_user_anon_id", message: "m".to_owned() };
        assert_eq!(
            text(Answer::Partial([one].into_iter().collect())).await.2,
            "{\"success\":true,\"rejected\":[{\"index\":2,\"code\":\"no_user_anon_id\",\"message\":\"m\"}]}\n"
        );
        let refused = Answer::Refused {
            status: StatusCode::BAD_REQUEST,
            code: "invalid_json",
            message: "line 1".to_owned(),
            rejected: RejectedEvents::default(),
        };
        assert_eq!(
            text(refused).await,
            (
                StatusCode::BAD_REQUEST,
                None,
                "{\"success\":false,\"error\":{\"code\":\"invalid_json\",\"message\":\"line 1\"}}\n".to_owned()
            )
        );
    }

    #[tokio::test]
    async fn an_answer_lists_rejected_events_up_to_a_limit_and_counts_the_rest() {
        let long = |index| RejectedEvent { index, code: "invalid_type", message: "\"".repeat(300) };
        let (_, _, body) = text(Answer::Partial((0..4_000).map(long).collect())).await;
        assert!(body.len() < MAX_LISTED_BYTES + 100, "{}", body.len());
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        let listed = answer["rejected"].as_array().unwrap().len();
        assert!(listed > 10, "{listed}");
        assert_eq!(answer["rejectedOmitted"], 4_000 - listed);
    }

    #[tokio::test]
    async fn a_503_has_a_retry_after() {
        for _ in 0..200 {
            let (status, after, _) = text(Answer::unavailable("Throttled".to_owned(), "m".to_owned())).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!((1..=10).contains(&after.unwrap()));
        }
    }
}
