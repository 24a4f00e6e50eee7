//! Refused requests and events, reported to the program that runs the sidecar in its own process.
//!
//! `tributary run` shows them. A sidecar in a pod has nobody to report them to: a request there pays
//! for one comparison. What is refused before it is a request to this API, such as a head that is not HTTP,
//! is not reported.

use hyper::Request;
use tokio::sync::mpsc::Sender;

use super::known_method;
use crate::http::Answer;

/// A request that was refused, or an event of a batch that was.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The request's method; `other`, if the client made one up.
    pub method: &'static str,
    /// The request's path, without the query, as the client wrote it.
    pub path: String,
    /// The answer's HTTP status. 200, if other events of the batch were stored.
    pub status: u16,
    /// The event's place in the batch, from 0. Without it, all of the request is refused.
    pub event: Option<usize>,
    /// What the client was told, which may quote what it sent.
    pub reason: String,
}

/// A request whose answer is reported.
pub(super) struct Reported<'a> {
    method: &'static str,
    path: String,
    to: &'a Sender<Refusal>,
}

impl<'a> Reported<'a> {
    pub(super) fn new<B>(request: &Request<B>, to: &'a Sender<Refusal>) -> Self {
        Self { method: known_method(request.method()), path: request.uri().path().to_owned(), to }
    }

    /// Reports what the answer refuses, if it refuses something.
    pub(super) fn answered(&self, answer: &Answer) {
        match answer {
            Answer::Success | Answer::Nothing | Answer::Plain(..) => {}
            Answer::Partial(rejected) => {
                rejected.listed.iter().for_each(|event| self.report(200, Some(event.index), &event.message));
            }
            Answer::Refused { status, message, rejected, .. } if rejected.is_empty() => {
                self.report(status.as_u16(), None, message);
            }
            Answer::Refused { status, rejected, .. } => {
                let listed = rejected.listed.iter();
                listed.for_each(|event| self.report(status.as_u16(), Some(event.index), &event.message));
            }
            Answer::Later { status, message, .. } => self.report(status.as_u16(), None, message),
        }
    }

    fn report(&self, status: u16, event: Option<usize>, reason: &str) {
        let refusal =
            Refusal { method: self.method, path: self.path.clone(), status, event, reason: reason.to_owned() };
        // That program may have stopped listening, or be too slow: the answer is not to wait for that.
        let _ = self.to.try_send(refusal);
    }
}
