//! Reports refused requests and events to a program that embeds the sidecar.
//!
//! `tributary run` shows them. A sidecar in a pod has no such receiver, which costs a request one comparison. Refusals
//! before this API sees a request, for example of a malformed head, are not reported.

use hyper::Request;
use tokio::sync::mpsc::Sender;

use super::known_method;
use crate::http::Answer;

/// A refused request, or a rejected event of a batch.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The request's method; `other` for a custom one.
    pub method: &'static str,
    /// The request's path, without the query, as the client sent it.
    pub path: String,
    /// The answer's HTTP status; 200 for a rejected event if the batch's valid events were stored.
    pub status: u16,
    /// The event's index in the batch, from 0; `None` if the whole request was refused.
    pub event: Option<usize>,
    /// The message in the answer, which may quote the request.
    pub reason: String,
}

/// A request whose refusal, or that of its events, is reported.
pub(super) struct Reported<'a> {
    method: &'static str,
    path: String,
    to: &'a Sender<Refusal>,
}

impl<'a> Reported<'a> {
    pub(super) fn new<B>(request: &Request<B>, to: &'a Sender<Refusal>) -> Self {
        Self { method: known_method(request.method()), path: request.uri().path().to_owned(), to }
    }

    /// Reports the answer's refusal, if it is one: of the whole request, or of each listed event.
    pub(super) fn answered(&self, answer: &Answer) {
        match answer {
            Answer::Success | Answer::NoContent => {}
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
        // Dropped if the receiver is gone or its channel full: the answer must not wait for it.
        let _ = self.to.try_send(refusal);
    }
}
