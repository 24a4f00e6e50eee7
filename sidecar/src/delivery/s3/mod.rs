//! The client of one function's bucket: puts objects, checks the bucket with HeadBucket, and returns S3's answers.
//!
//! The AWS SDK builds the requests and reads the errors ([`sdk`]). Once per session it builds a [`template`], from which
//! each PUT is filled in and signed ([`signature`]), and sent on kept [`Connections`].
//!
//! A new header of every PUT is added in [`sdk`]; if a store may not support it, also in `failure::headers`, which then
//! names the setting that leaves it out.

#[cfg(feature = "internals")]
mod internals;
mod sdk;
mod signature;
mod template;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hyper::Response;
use parking_lot::RwLock;
use tokio::time::timeout;
use tributary_crds::function;

use super::health::KeyPart;
use super::response_check::{self, ResponseCheck};
use super::s3_answer::S3Answer;
use crate::aws_client::{Connections, Connector, EndpointVariant, MAX_BODY_BYTES};
use crate::aws_message::{self, cut_code, cut_message};
use crate::clock::Clock;
use crate::redact;
use crate::session::{Session, SessionId};
use crate::skew::ClockOffset;
#[cfg(feature = "internals")]
pub use internals::SignedPuts;

use sdk::{Operation, Sdk};
use template::{Prepared, Template};

/// Timeout for HeadBucket and ListObjectsV2.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// An object to upload, the same for all attempts.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) key: String,
    /// Whether part of the key was made by the sidecar, so that no earlier request should have stored an object under
    /// it.
    pub(crate) is_new: bool,
    /// The part of the key space that the key is in; `None` if keys don't contain the type.
    pub(super) part: Option<KeyPart>,
    pub(crate) body: Bytes,
    pub(crate) content_type: &'static str,
}

/// The client for one function's bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    sdk: Sdk,
    endpoint: S3Endpoint,
    /// The templates of the current session.
    templates: RwLock<SessionTemplates>,
    connections: Connections,
    check: ResponseCheck,
    clock: Arc<dyn Clock>,
    /// The offset from S3's clock, as of the last error with a date. S3 refuses signatures whose time is more than 15
    /// minutes from its own, so requests are signed with S3's time.
    clock_offset: RwLock<Option<ClockOffset>>,
    writes_conditionally: bool,
}

/// The templates of one session: one per operation that it has used.
#[derive(Debug, Default)]
struct SessionTemplates {
    session: Option<SessionId>,
    of: Vec<(Operation, Arc<Template>)>,
}

/// How S3 is reached: by which URL and addressing style.
#[derive(Clone, Debug)]
pub(crate) struct S3Endpoint {
    /// The URL of the endpoint; `None` for the region's own.
    pub(crate) url: Option<String>,
    /// Whether the bucket's name goes into the path instead of the host name.
    pub(crate) path_style: bool,
    /// Which of AWS's endpoints.
    pub(crate) variant: EndpointVariant,
    /// Whether it is another store's, and not AWS's or one that stands for it in a test.
    pub(crate) is_store: bool,
}

impl S3Endpoint {
    /// The endpoint of a function. `given`, from the environment, stands for AWS's own, and overrides the function's.
    /// `by_platform` is the variant where the function sets none.
    pub(crate) fn of(s3: &function::S3, given: Option<String>, by_platform: EndpointVariant) -> Self {
        let path_style = given.is_some() || s3.force_path_style.unwrap_or_default();
        let is_store = given.is_none() && s3.store().is_some();
        let url = given.or_else(|| s3.endpoint.as_ref().map(ToString::to_string));
        let variant = by_platform.of_function(s3.use_fips, s3.use_dual_stack, url.is_some());
        Self { url, path_style, is_store, variant }
    }

    /// Whether the bucket's name becomes part of the host name of an endpoint that is not AWS's default.
    pub(super) fn bucket_in_host_name(&self) -> bool {
        self.url.is_some() && !self.path_style
    }
}

impl Bucket {
    pub(crate) fn new(
        target: function::S3,
        endpoint: S3Endpoint,
        connector: Arc<Connector>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let writes_conditionally = target.conditional_writes;
        Self {
            sdk: Sdk::new(target, &endpoint, Arc::clone(&clock)),
            endpoint,
            templates: RwLock::default(),
            connections: Connections::new(connector),
            check: ResponseCheck::default(),
            clock,
            clock_offset: RwLock::default(),
            writes_conditionally,
        }
    }

    /// Whether PUTs carry `If-None-Match: *`, so that none overwrites an object (`spec.s3.conditionalWrites`).
    pub(crate) fn writes_conditionally(&self) -> bool {
        self.writes_conditionally
    }

    /// How S3 is reached.
    pub(crate) fn endpoint(&self) -> &S3Endpoint {
        &self.endpoint
    }

    /// Closes connections that have been idle for too long at `now`.
    pub(crate) fn close_idle_connections(&self, now: Instant) {
        self.connections.close_idle(now);
    }

    /// Sends one PUT, with `time` as its timeout. `if_absent` adds `If-None-Match: *`, which leaves an existing
    /// object as it is.
    pub(crate) async fn put(
        &self,
        object: &Object,
        if_absent: bool,
        session: &Session,
        time: Duration,
    ) -> Result<(), S3Answer> {
        let operation = Operation::Put { content_type: object.content_type, if_absent };
        let sent = self.send(operation, &object.key, &object.body, session);
        timeout(time, sent).await.unwrap_or(Err(S3Answer::Timeout))
    }

    /// Sends HeadBucket. A session that may only put objects is refused, but the answer still shows whether the
    /// bucket exists, and in which region.
    pub(crate) async fn head(&self, session: &Session) -> Result<(), S3Answer> {
        self.ask(Operation::Head, session).await
    }

    /// Sends ListObjectsV2, for its error: other than the answer to HeadBucket, it has a body, with a code.
    pub(crate) async fn list(&self, session: &Session) -> Result<(), S3Answer> {
        self.ask(Operation::List, session).await
    }

    async fn ask(&self, operation: Operation, session: &Session) -> Result<(), S3Answer> {
        let no_body = Bytes::new();
        let sent = self.send(operation, "", &no_body, session);
        timeout(CHECK_TIMEOUT, sent).await.unwrap_or(Err(S3Answer::Timeout))
    }

    /// Sends a request. Its error contains no part of the session's credentials, and not the key, which may identify
    /// people: servers repeat requests in their answers.
    async fn send(&self, operation: Operation, key: &str, body: &Bytes, session: &Session) -> Result<(), S3Answer> {
        let [id, secret, token] = redact::parts(&session.credentials);
        let hidden = [id, secret, token, key];
        let no_response = |why: String| S3Answer::NoResponse(redact::redact(&why, &hidden));
        let template = match self.template(operation, session) {
            Some(template) => template,
            None => Box::pin(self.make_template(operation, session)).await.map_err(no_response)?,
        };
        let Prepared { request, checksum } = template.request(key, body.clone(), self.signing_time());
        let response = self.connections.send(template.origin(), request).await.map_err(no_response)?;
        let sent = checksum.as_ref().map(|(name, value)| (name, value));
        if self.check.is_success(&response, sent) {
            return Ok(());
        }
        Err(Box::pin(self.answer(operation, &response, body, &hidden)).await)
    }

    fn signing_time(&self) -> SystemTime {
        let now = self.clock.now();
        self.clock_offset.read().map_or(now, |offset| offset.service_time(now))
    }

    /// The template for an operation in this session, if it was made already.
    fn template(&self, operation: Operation, session: &Session) -> Option<Arc<Template>> {
        let templates = self.templates.read();
        let mut of = templates.of.iter().filter(|_| templates.session == Some(session.id));
        of.find(|(of, _)| *of == operation).map(|(_, template)| Arc::clone(template))
    }

    async fn make_template(&self, operation: Operation, session: &Session) -> Result<Arc<Template>, String> {
        let key = operation.placeholder_key();
        let built = self.sdk.build(operation, session.credentials.clone(), key, Bytes::new()).await?;
        let template = Template::new(&built, key, session.credentials.secret_access_key())
            .map_err(|why| format!("the SDK builds requests in a form that is not supported: {why}"))?;
        let template = Arc::new(template);
        let mut templates = self.templates.write();
        // An older session may still be in use by an upload that began with it; then each replaces the other's.
        if templates.session != Some(session.id) {
            *templates = SessionTemplates { session: Some(session.id), of: Vec::new() };
        }
        templates.of.retain(|(of, _)| *of != operation);
        templates.of.push((operation, Arc::clone(&template)));
        Ok(template)
    }

    /// Reads a response that is not a success. The result quotes nothing of `sent`, the request's body, or `hidden`.
    async fn answer(&self, operation: Operation, response: &Response<Bytes>, sent: &[u8], hidden: &[&str]) -> S3Answer {
        let (status, body) = (response.status().as_u16(), response.body());
        let (code, message) = self.read_error(response).await;
        if code.is_none() && (status < 300 || !response_check::has_request_id(response.headers())) {
            return S3Answer::Foreign { status, start: redact::excerpt(body, sent, hidden) };
        }
        let code = match (operation, code.as_deref(), status) {
            // The answer to a HEAD has no body, and so no code.
            (Operation::Head, None, 404) => "NoSuchBucket",
            (_, code, _) => code.unwrap_or_default(),
        };
        let named = std::str::from_utf8(body).ok().and_then(|xml| aws_message::element(xml, "Header"));
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let region = header("x-amz-bucket-region").filter(|region| is_region(region)).map(str::to_owned);
        let start = if message.is_none() { redact::excerpt(body, sent, hidden) } else { String::new() };
        let message = cut_message(&redact::redact(&aws_message::message(message.as_deref(), &start), hidden));
        let offset = ClockOffset::of_answer(header("date"), self.clock.now());
        // The date of a cached answer is old.
        if offset.is_some() && header("age").is_none() {
            *self.clock_offset.write() = offset;
        }
        S3Answer::Error {
            status,
            code: cut_code(&redact::redact(code, hidden)),
            message,
            header: named.map(|named| cut_code(&redact::redact(named, hidden))),
            region,
            offset,
        }
    }

    /// The code and the message of an error, as far as the response has them.
    async fn read_error(&self, response: &Response<Bytes>) -> (Option<String>, Option<String>) {
        let body = response.body();
        // Without a body, as in the answer to a HEAD, the SDK would make up a code. The end of a longer body is missing.
        if body.is_empty() || body.len() >= MAX_BODY_BYTES {
            return (None, None);
        }
        match self.sdk.read_error(response).await {
            (None, _) if response.status().as_u16() >= 300 => match aws_message::nested_error(body) {
                Some((code, message)) => (Some(code), message),
                None => (None, None),
            },
            read => read,
        }
    }
}

/// Whether a text looks like a region's name: a server may send anything in its place.
fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
