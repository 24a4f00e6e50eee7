//! Implements Segment's HTTP tracking API: from a request to its answer.
//!
//! A 200 means that S3 has every valid event that passes the filter, so it is sent only after that. Client libraries
//! drop events answered 400 permanently and retry those answered 408, 429 or 503, so a fault of the sidecar is never
//! answered 400. They give up on a request after 10 s, so it is answered within 9 s of its body.

mod access;
mod configured;
mod cors;
mod error_answers;
mod filter;
mod refusal_reports;
mod rejections;
mod route;
mod unavailable;
mod unproven;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::mpsc::Sender;
use tracing::{debug, trace};
use tributary_crds::function::DestinationFunctionSpec;
use tributary_runtime::server::Unauthenticated;

use crate::clock::{Clock, timestamp};
use crate::delivery::{Delivery, Letters};
use crate::event::{self, Event, ParsedEvents, Rejection};
use crate::http::{self, Answer, AnswerBody, BodyError, ReadBody};
use crate::memory::{Budget, Reservation};
use crate::status::metrics::Metrics;
use crate::status::readiness::Readiness;
use access::{Credential, Denied, Endpoint};
use cors::{Cors, CorsRequest};
use error_answers::{ambiguous_end, body_refusal, full, later, method_not_allowed, not_found, refused};
use filter::Filter;
use refusal_reports::Reported;
use rejections::Rejections;
use route::{OTHER_PATH, PATHS, Route, route};
use unavailable::unavailable;
use unproven::Unproven;

pub(crate) use access::Access;
pub use access::{check_signing_secrets, check_write_keys};
pub(crate) use configured::watch as watch_configured;
pub use refusal_reports::Refusal;

/// Maximum size of a body on `/v1/*`, in bytes, as sent and again decompressed. Segment accepts 500 KB; libraries stay
/// below that.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Maximum size of a webhook's body, in bytes: it may be an array of thousands of events.
const MAX_WEBHOOK_BODY_BYTES: usize = 8 << 20;

/// Time limit of a body, from the head to its last byte.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Time limit for storing the events, from when the body has been read.
const STORE_TIMEOUT: Duration = Duration::from_millis(8_500);

/// Every status with which requests on the API's paths are answered.
const STATUSES: [u16; 8] = [200, 204, 400, 401, 405, 408, 429, 503];

/// Every combination of the metric labels `path` and `status`. Unknown paths have only 404, and 400 if it is unclear
/// where a request ends.
pub(crate) fn request_series() -> Vec<(&'static str, u16)> {
    let known = PATHS.into_iter().filter(|path| *path != OTHER_PATH);
    let answered = known.flat_map(|path| STATUSES.map(|status| (path, status)));
    answered.chain([(OTHER_PATH, 400), (OTHER_PATH, 404)]).collect()
}

/// What the handling of requests shares with the rest of the sidecar.
#[derive(Clone, Debug)]
pub(crate) struct Dependencies {
    /// The memory budget for bodies and events of authorized requests.
    pub(crate) budget: Budget,
    /// The source of the time of receipt.
    pub(crate) clock: Arc<dyn Clock>,
    /// Answers load balancers' health checks.
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) metrics: Arc<Metrics>,
    /// The channel for reports of refusals, in `tributary run`.
    pub(crate) refusals: Option<Sender<Refusal>>,
}

/// Handles the requests of a function's clients.
#[derive(Debug)]
pub(crate) struct Ingest {
    delivery: Arc<Delivery>,
    access: Access,
    cors: Option<Cors>,
    filter: Filter,
    limits: event::Limits,
    unproven: Unproven,
    budget: Budget,
    clock: Arc<dyn Clock>,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    refusals: Option<Sender<Refusal>>,
}

impl Ingest {
    pub(crate) fn new(
        spec: &DestinationFunctionSpec,
        access: Access,
        delivery: Arc<Delivery>,
        dependencies: Dependencies,
    ) -> Self {
        let Dependencies { budget, clock, readiness, metrics, refusals } = dependencies;
        let ingest = spec.ingest.as_ref();
        let mut limits = event::Limits::default();
        if let Some(bytes) = ingest.and_then(|ingest| ingest.max_event_bytes.as_ref()) {
            limits.event_bytes = bytes.bytes();
        }
        Self {
            access,
            cors: ingest.and_then(|ingest| ingest.cors.as_ref()).map(Cors::new),
            filter: Filter::new(spec.events.as_ref()),
            unproven: Unproven::new(spec),
            budget,
            delivery,
            limits,
            clock,
            readiness,
            metrics,
            refusals,
        }
    }

    /// Answers one request, and records its metrics unless it is a health check.
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        let (start, _in_flight) = (Instant::now(), self.metrics.request_flight());
        let (route, label) = route(request.method(), request.uri().path());
        let is_health_check = route == Route::Health;
        let (method, mut summary) = (known_method(request.method()), RequestSummary::default());
        let cors_request = self.cors.as_ref().map(|cors| (cors, CorsRequest::of(request.headers())));
        let ambiguous = http::has_ambiguous_end(request.headers());
        let refusals = self.refusals.as_ref().filter(|_| !is_health_check);
        let reported = refusals.map(|refusals| Reported::new(&request, refusals));
        let mut response = match (route, cors_request) {
            // Without authorization: browsers send no credentials with a preflight.
            (Route::Preflight, Some((cors, cors_request))) if !ambiguous => {
                let mut response = Answer::NoContent.into_response();
                cors.allow_preflight(&cors_request, response.headers_mut());
                response
            }
            (route, cors_request) => {
                let answer =
                    if ambiguous { ambiguous_end() } else { self.answer(route, label, request, &mut summary).await };
                if let Some(reported) = reported {
                    reported.answered(&answer);
                }
                let mut response = answer.into_response();
                if let Some((cors, cors_request)) = cors_request {
                    cors.allow(&cors_request, response.headers_mut());
                }
                response
            }
        };
        if ambiguous {
            // Where the next request begins is unknown, since it is unknown where this one ends.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if !summary.authorized && !self.access.is_open() {
            response.extensions_mut().insert(Unauthenticated);
        }
        let (status, took) = (response.status().as_u16(), start.elapsed());
        if !is_health_check {
            self.metrics.request(label, status, took);
        }
        debug!(method, path = label, status, bytes = summary.bytes, events = summary.events, ?took, "request");
        response
    }

    /// The answer to a load balancer's health check, which needs no credential.
    fn health(&self) -> Answer {
        if self.readiness.is_ready() {
            Answer::Success
        } else {
            let message =
                "the sidecar is not ready: it is starting, lacks something that it needs, or is shutting down";
            Answer::unavailable("not_ready".to_owned(), message.to_owned())
        }
    }

    /// Answers a request. `label` is its path, as in metrics.
    async fn answer(
        &self,
        route: Route,
        label: &'static str,
        request: Request<Incoming>,
        summary: &mut RequestSummary,
    ) -> Answer {
        let (bytes, endpoint) = match route {
            Route::Health => return self.health(),
            Route::NotFound => return not_found(),
            Route::MethodNotAllowed | Route::Preflight => return method_not_allowed(),
            Route::Single(_) | Route::Batch => (MAX_BODY_BYTES, Endpoint::Api),
            Route::Webhook => (MAX_WEBHOOK_BODY_BYTES, Endpoint::Webhook),
        };
        let (head, body) = request.into_parts();
        let limits = http::Limits { bytes, time: BODY_TIMEOUT };
        let body = match self.access.check_head(endpoint, &head.headers, head.uri.query()) {
            Ok(Credential::Authorized) => {
                http::read(&head.headers, body, limits, &self.budget).await.map_err(|error| body_refusal(&error))
            }
            Ok(Credential::Unproven) => self.read_unproven(endpoint, &head, body, limits).await,
            Err(denied) => {
                http::discard(&head.headers, body);
                Err(self.deny(denied))
            }
        };
        let body = match body {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        summary.bytes = body.bytes.len();
        summary.authorized = true;
        trace!(bytes = summary.bytes, "the body is read");
        let deadline = Instant::now() + STORE_TIMEOUT;
        match self.read(&route, label, body) {
            Ok(body) => {
                summary.events = body.events.len() + body.rejected.len();
                trace!(valid = body.events.len(), rejected = body.rejected.len(), "the body is parsed");
                self.store(body, deadline).await
            }
            Err(answer) => answer,
        }
    }

    /// Reads a body that must itself prove the client's credential. Until then, it uses only memory and slots of
    /// [`Unproven`], and none that requests with a credential in their headers need.
    async fn read_unproven(
        &self,
        endpoint: Endpoint,
        head: &Parts,
        body: Incoming,
        limits: http::Limits,
    ) -> Result<ReadBody, Answer> {
        let Some(_slot) = self.unproven.enter() else {
            http::discard(&head.headers, body);
            return Err(full("too many requests without a credential in their headers are being read".to_owned()));
        };
        let read = http::read(&head.headers, body, limits, self.unproven.budget()).await;
        let ReadBody { bytes, reservation } = read.map_err(|error| body_refusal(&error))?;
        self.access.admit(endpoint, &head.headers, head.uri.query(), &bytes).map_err(|denied| self.deny(denied))?;
        let reservation = reservation.moved_to(&self.budget).ok_or_else(|| body_refusal(&BodyError::OutOfBudget))?;
        Ok(ReadBody { bytes, reservation })
    }

    /// Parses a body into events, reserves their memory and counts them. Invalid events are rejected one by one.
    fn read(&self, route: &Route, label: &'static str, body: ReadBody) -> Result<ParsedBody, Answer> {
        let ReadBody { bytes, mut reservation } = body;
        let received_at = timestamp(self.clock.now());
        let of_body = reservation.bytes();
        let unparsed = match route {
            Route::Single(event_type) => Ok(event::single(&bytes, event_type.clone(), received_at, &self.limits)),
            Route::Webhook => event::webhook(&bytes, received_at, &self.limits),
            _ => event::batch(&bytes, received_at, &self.limits),
        };
        let unparsed = unparsed.map_err(|rejection| self.refuse(rejection))?;
        // A small body can become large events, so their memory is reserved before they are parsed.
        if !reservation.grow(unparsed.memory_bound()) {
            return Err(body_refusal(&BodyError::OutOfBudget));
        }
        let ParsedEvents { events, rejected } = unparsed.parse().map_err(|rejection| self.refuse(rejection))?;
        let of_events: usize = events.iter().map(Event::memory_bytes).sum();
        // Dead letters are copies of the body, so they may need what parsing does not need any more.
        reservation.keep(of_body + of_events + rejections::memory_bytes(&rejected));
        let dead_letters = self.delivery.dead_letters(&rejected, label, received_at, &reservation).map_err(later)?;
        for event in &events {
            self.metrics.received(&event.event_type);
            if event.has_unreadable_time {
                self.metrics.time_unreadable();
            }
        }
        for one in &rejected {
            self.received_invalid(route);
            self.metrics.rejected(one.rejection.code);
        }
        let rejected = Rejections::of(rejected);
        // From here on the reservation covers the events instead of the body.
        drop(bytes);
        reservation.keep(of_events + rejected.memory_bytes());
        Ok(ParsedBody { events, rejected, dead_letters, reservation })
    }

    /// Counts a received event that is not valid. If the path does not give its type, that is unknown.
    fn received_invalid(&self, route: &Route) {
        match route {
            Route::Single(event_type) => self.metrics.received(event_type),
            _ => self.metrics.received_of_no_type(),
        }
    }

    /// Stores the valid events that pass the filter, and the dead letters. If one can't be stored, the whole request
    /// fails and the client retries it.
    async fn store(&self, body: ParsedBody, deadline: Instant) -> Answer {
        let ParsedBody { mut events, rejected, dead_letters, reservation } = body;
        let any_valid = !events.is_empty();
        events.retain(|event| {
            let keeps = self.filter.keeps(event);
            if !keeps {
                self.metrics.filtered();
            }
            keeps
        });
        if (!events.is_empty() || dead_letters.is_some())
            && let Err(why) = self.delivery.store(events, dead_letters, reservation, deadline).await
        {
            return later(why);
        }
        rejected.answer(any_valid)
    }

    fn refuse(&self, rejection: Rejection) -> Answer {
        self.metrics.rejected(rejection.code);
        refused(StatusCode::BAD_REQUEST, rejection.code.as_str(), rejection.message)
    }

    fn deny(&self, denied: Denied) -> Answer {
        match denied {
            Denied::Unauthorized(message) => {
                self.metrics.auth_failed();
                refused(StatusCode::UNAUTHORIZED, "unauthorized", message.to_owned())
            }
            Denied::Unavailable(blocker) => unavailable(&blocker),
        }
    }
}

/// The content of a request's body.
struct ParsedBody {
    /// The valid events.
    events: Vec<Event>,
    rejected: Rejections,
    dead_letters: Option<Letters>,
    /// Covers the memory of the events and of the rejections.
    reservation: Reservation,
}

/// The properties of a request for the log and the connection limits. Sizes are 0 for a body that was not read.
#[derive(Clone, Copy, Debug, Default)]
struct RequestSummary {
    /// Whether it showed a credential that the function accepts.
    authorized: bool,
    /// Size of the decompressed body.
    bytes: usize,
    /// Number of events, valid or not.
    events: usize,
}

/// The method for the log. A custom method is `other`, so that no client can write its own text into the log.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
