//! Segment's HTTP tracking API: from a request to its answer.
//!
//! 200 says that S3 has every good event, and so nobody is answered before. Client libraries drop
//! what was answered 400 for good and repeat what was answered 408, 429 or 503: a fault of ours is
//! never a 400. They give up on a request after 10 s, so everything is answered within 9.

mod filter;
mod route;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use tributary_crds::function::DestinationFunctionSpec;

use crate::clock::Clock;
use crate::conditions::Obstacle;
use crate::delivery::{Delivery, NotStored};
use crate::event::{self, Event, Rejection};
use crate::http::{self, Answer, AnswerBody, BodyError, Budget, RejectedEvent};
use crate::metrics::Metrics;
use filter::Filter;
use route::{Route, route};

/// A body on `/v1/*`, as sent and decompressed. Segment takes 500 KB; libraries stay below that.
const BODY: usize = 1 << 20;

/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(30);

/// How long events may take to be stored, once the body is there.
const STORE: Duration = Duration::from_millis(8_500);

/// Events of one batch that are stored at once: enough for a full batch in time, and not so many
/// that other requests have to wait for it.
const AT_ONCE: usize = 128;

/// Bytes that an event holds beside its body: what the body was allocated with too much, and its
/// fields; and those that a refused one does beside its message.
const EVENT_OVERHEAD: usize = 512;
const REJECTED_OVERHEAD: usize = 128;

/// Memory for bodies and the events made of them.
const MEMORY: usize = 32 << 20;

/// Takes a function's events.
#[derive(Debug)]
pub(crate) struct Ingest {
    delivery: Arc<Delivery>,
    filter: Filter,
    limits: event::Limits,
    budget: Budget,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Ingest {
    pub(crate) fn new(
        spec: &DestinationFunctionSpec,
        delivery: Arc<Delivery>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let mut limits = event::Limits::default();
        if let Some(bytes) = spec.ingest.as_ref().and_then(|ingest| ingest.max_event_bytes.as_ref()) {
            limits.event_bytes = bytes.bytes();
        }
        Self {
            filter: Filter::new(spec.events.as_ref()),
            delivery,
            limits,
            budget: Budget::new(MEMORY),
            clock,
            metrics,
        }
    }

    /// Answers one request.
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        let start = Instant::now();
        let (route, label) = route(request.method(), request.uri().path());
        let response = self.answer(route, request).await.into_response();
        self.metrics.request(label, response.status().as_u16(), start.elapsed());
        response
    }

    async fn answer(&self, route: Route, request: Request<Incoming>) -> Answer {
        match route {
            Route::NotFound => return not_found(),
            Route::MethodNotAllowed => return method_not_allowed(),
            Route::Single(_) | Route::Batch => {}
        }
        let (head, body) = request.into_parts();
        let limits = http::Limits { bytes: BODY, time: BODY_TIME };
        let mut body = match http::read(&head.headers, body, limits, &self.budget).await {
            Ok(body) => body,
            Err(error) => return bad_body(&error),
        };
        let deadline = Instant::now() + STORE;
        let received_at = jiff::Timestamp::try_from(self.clock.now()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        match route {
            Route::Single(event_type) => {
                self.metrics.received(&event_type);
                match event::single(&body.bytes, event_type, received_at, &self.limits) {
                    Ok(event) if body.reservation.grow(event.body.len()) => self.store_single(&event, deadline).await,
                    Ok(_) => bad_body(&BodyError::OutOfBudget),
                    Err(rejection) => self.refuse(rejection),
                }
            }
            _ => match event::batch(&body.bytes, received_at, &self.limits) {
                // The stamped events stand beside the body until they are stored.
                Ok(batch) if body.reservation.grow(bytes(&batch)) => self.store_batch(batch, deadline).await,
                Ok(_) => bad_body(&BodyError::OutOfBudget),
                Err(rejection) => self.refuse(rejection),
            },
        }
    }

    async fn store_single(&self, event: &Event, deadline: Instant) -> Answer {
        if !self.keeps(event) {
            return Answer::Success;
        }
        match self.delivery.store(event, deadline).await {
            Ok(()) => Answer::Success,
            Err(why) => later(why),
        }
    }

    /// Stores the good events of a batch, many at once. One that can't be stored fails the whole
    /// request: the client sends it again, and what is stored already stays one object.
    async fn store_batch(&self, batch: event::Batch, deadline: Instant) -> Answer {
        for event in &batch.events {
            self.metrics.received(&event.event_type);
        }
        let rejected: Vec<_> = batch
            .rejected
            .into_iter()
            .map(|event::Rejected { index, rejection: Rejection { code, message } }| {
                self.metrics.received_of_no_type();
                self.metrics.rejected(code);
                RejectedEvent { index, code: code.as_str(), message }
            })
            .collect();
        if batch.events.is_empty() {
            return Answer::Refused {
                status: StatusCode::BAD_REQUEST,
                code: "no_valid_events",
                message: "no event of the batch can be taken; each is listed under rejected".to_owned(),
                rejected,
            };
        }
        let kept = batch.events.iter().filter(|event| self.keeps(event));
        let mut waiting = kept.map(|event| self.delivery.store(event, deadline));
        // While nothing can be stored, one at a time may try: the others would be refused at once, and
        // the request answered before the one that tries has an answer.
        if self.delivery.is_held()
            && let Some(first) = waiting.next()
            && let Err(why) = first.await
        {
            return later(why);
        }
        let mut stores: FuturesUnordered<_> = waiting.by_ref().take(AT_ONCE).collect();
        while let Some(stored) = stores.next().await {
            if let Err(why) = stored {
                return later(why);
            }
            stores.extend(waiting.next());
        }
        if rejected.is_empty() { Answer::Success } else { Answer::Partial(rejected) }
    }

    /// Whether the event is one to store; one that is not is done with.
    fn keeps(&self, event: &Event) -> bool {
        let keeps = self.filter.keeps(event);
        if !keeps {
            self.metrics.filtered();
        }
        keeps
    }

    fn refuse(&self, rejection: Rejection) -> Answer {
        self.metrics.rejected(rejection.code);
        refused(StatusCode::BAD_REQUEST, rejection.code.as_str(), rejection.message)
    }
}

/// Memory that a batch's events hold, and what is told of those refused.
fn bytes(batch: &event::Batch) -> usize {
    let events = batch.events.iter().map(|event| event.body.len() + EVENT_OVERHEAD);
    let rejected = batch.rejected.iter().map(|rejected| rejected.rejection.message.len() + REJECTED_OVERHEAD);
    events.chain(rejected).sum()
}

fn later(why: NotStored) -> Answer {
    match why {
        NotStored::Obstacle(Obstacle { reason, message }) => Answer::unavailable(reason.to_string(), message),
        NotStored::Full => full("as many uploads are under way as the sidecar begins at once".to_owned()),
    }
}

/// 429: our own capacity, not S3's.
fn full(message: String) -> Answer {
    Answer::Later { status: StatusCode::TOO_MANY_REQUESTS, code: "over_capacity".to_owned(), message }
}

fn bad_body(error: &BodyError) -> Answer {
    let (status, code) = match error {
        BodyError::TooLarge(_) | BodyError::TooLargeDecompressed(_) => (StatusCode::BAD_REQUEST, "body_too_large"),
        BodyError::UnknownEncoding(_) => (StatusCode::BAD_REQUEST, "unknown_content_encoding"),
        BodyError::NotAsEncoded(..) => (StatusCode::BAD_REQUEST, "invalid_content_encoding"),
        BodyError::Broken(_) => (StatusCode::BAD_REQUEST, "incomplete_body"),
        BodyError::TooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
        BodyError::OutOfBudget => return full(error.to_string()),
    };
    refused(status, code, error.to_string())
}

fn not_found() -> Answer {
    let paths = "POST to /v1/track, /v1/identify, /v1/page, /v1/screen, /v1/group, /v1/alias or /v1/batch";
    refused(StatusCode::NOT_FOUND, "not_found", format!("there is nothing here; {paths}"))
}

fn method_not_allowed() -> Answer {
    refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "events are sent with POST".to_owned())
}

fn refused(status: StatusCode, code: &'static str, message: String) -> Answer {
    Answer::Refused { status, code, message, rejected: Vec::new() }
}
