//! The HTTP server: accepts connections and, per request, applies faults, passes the request to the service, and
//! records the call. It has an accept loop of its own, because faults must be able to close a connection at any point
//! of an answer.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, DATE, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use jiff::fmt::rfc2822::DateTimePrinter;
use s3s::Body;
use s3s::service::S3Service;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::call_context::CallContext;
use crate::calls::{Call, Service};
use crate::clock::timestamp;
use crate::fault::Action;
use crate::fault_plan::FaultPlan;
use crate::host::Hosts;
use crate::state::ServerState;
use crate::target::CallTarget;
use crate::target::Form;
use crate::{answer, error_body, pod_identity};

/// Maximum size of a request's body in bytes, as it is read into memory. S3 accepts 5 GiB per PUT, but
/// no client of this server sends that.
const MAX_BODY_BYTES: usize = 64 << 20;
/// How long requests in flight may take after the shutdown has started.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed accept, so that a lack of file descriptors, which lasts, does not spin the loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One server: its state, and the s3s service that speaks the protocols on top of it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) state: Arc<ServerState>,
    pub(crate) service: S3Service,
    pub(crate) hosts: Arc<Hosts>,
    /// How long a connection may wait for its next request.
    pub(crate) idle_timeout: Duration,
    /// Number of requests so far, for request IDs.
    pub(crate) request_count: Arc<AtomicU64>,
    /// Number of connections so far, for the record of calls.
    pub(crate) connection_count: Arc<AtomicU64>,
}

/// The connection of a request, as it is recorded.
#[derive(Clone, Debug)]
struct Connection {
    /// The connection's number, from 0.
    number: u64,
    /// The server name that the client sent in the TLS handshake (SNI).
    tls_name: Option<String>,
}

/// The error that makes hyper close the connection, without an answer or within its body.
#[derive(Debug)]
pub(crate) struct ConnectionCut;

impl fmt::Display for ConnectionCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed without a complete answer")
    }
}

impl std::error::Error for ConnectionCut {}

impl Server {
    pub(crate) async fn serve(
        &self,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        shutdown: impl Future<Output = ()>,
    ) {
        let mut shutdown = pin!(shutdown);
        let graceful = GracefulShutdown::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        tokio::spawn(self.clone().serve_connection(stream, tls.clone(), graceful.watcher()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                () = &mut shutdown => break,
            }
        }
        drop(listener);
        if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were still in flight when the server stopped");
        }
    }

    async fn serve_connection(self, stream: TcpStream, tls: Option<TlsAcceptor>, watcher: Watcher) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let number = self.connection_count.fetch_add(1, Ordering::Relaxed);
        let Some(tls) = tls else {
            return self.serve_requests(stream, Connection { number, tls_name: None }, watcher).await;
        };
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let tls_name = stream.get_ref().1.server_name().map(str::to_owned);
                self.serve_requests(stream, Connection { number, tls_name }, watcher).await;
            }
            // Normal, for example if the client does not trust the certificate.
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    /// Answers the requests of one connection until it is closed or idle for too long.
    async fn serve_requests<S>(self, stream: S, connection: Connection, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut http = http1::Builder::new();
        // hyper starts this timeout when the previous request ends, so it also closes idle connections.
        http.timer(TokioTimer::new()).header_read_timeout(self.idle_timeout);
        let service = service_fn(move |request| {
            let (server, connection) = (self.clone(), connection.clone());
            async move { server.answer(request, connection).await }
        });
        // Normal: a fault closed the connection (recorded as a call), the client closed it, or it was idle.
        if let Err(error) = watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        connection: Connection,
    ) -> Result<Response<Body>, ConnectionCut> {
        let (parts, body) = request.into_parts();
        // Read the whole body before answering: a client that is still writing may never see an early answer.
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
        let body = match body {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let message = "This server accepts objects of up to 64 MiB.";
                return Ok(answer::error(Service::S3, "EntityTooLarge", message, ""));
            }
            Err(_) => return Err(ConnectionCut),
        };
        let (mut target, form) = CallTarget::parse(&parts, &body, &self.hosts);
        if target.service == Service::PodIdentity {
            target.role = pod_identity::role(&self.state, &parts.headers);
        }
        let number = self.request_count.fetch_add(1, Ordering::Relaxed);
        let context = Arc::new(CallContext::new(format!("{number:016X}")));
        let length = body.len();

        let plan = self.state.faults.plan(&target);
        if !plan.latency.is_zero() {
            tokio::time::sleep(self.state.clock.real_duration(plan.latency)).await;
        }
        let answer = self.execute(plan, &target, (parts, form, body), &context).await;
        self.record(target, connection, &context, length, answer.as_ref().ok());
        answer
    }

    /// Executes and answers the call, except for the steps that the plan's fault replaces.
    async fn execute(
        &self,
        plan: FaultPlan,
        target: &CallTarget,
        (parts, form, body): (Parts, Option<Form>, Bytes),
        context: &Arc<CallContext>,
    ) -> Result<Response<Body>, ConnectionCut> {
        let response = match &plan.action {
            Some(Action::Refuse) => return Err(ConnectionCut),
            Some(Action::Hang) => std::future::pending().await,
            Some(Action::Respond(response)) => return Ok(answer::canned(response)),
            Some(Action::Error(code)) => {
                let message = "This error was injected by a fault.";
                answer::error(target.service, code, message, &context.request_id)
            }
            _ if target.service == Service::PodIdentity => pod_identity::answer(&self.state, &parts, context),
            _ => {
                let mut request = Request::from_parts(parts, Body::from(body));
                request.extensions_mut().insert(Arc::clone(context));
                if let Some(form) = form {
                    request.extensions_mut().insert(form);
                }
                self.service.call(request).await.map_err(|_| ConnectionCut)?
            }
        };
        let mut response = error_body::complete(response, target, context);
        match plan.action {
            Some(Action::StoreThenDrop) => return Err(ConnectionCut),
            Some(Action::InvalidBody) => *response.body_mut() = Body::from("<not xml".to_owned()),
            Some(Action::TruncateBody) => {
                let body = answer::body_bytes(&response);
                *response.body_mut() = Body::from(body.slice(..body.len() / 2));
            }
            Some(Action::CutBody) => {
                let body = answer::body_bytes(&response);
                response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
                let half = Frame::data(body.slice(..body.len() / 2));
                let frames = futures_util::stream::iter([Ok(half), Err(ConnectionCut)]);
                *response.body_mut() = Body::http_body_unsync(StreamBody::new(frames));
            }
            _ => {}
        }
        if let Ok(id) = HeaderValue::from_str(&context.request_id) {
            let name = match target.service {
                Service::S3 => "x-amz-request-id",
                Service::Sts | Service::PodIdentity => "x-amzn-requestid",
            };
            response.headers_mut().insert(name, id);
        }
        // The SDKs correct their signing time with this header.
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&timestamp(self.state.clock.now()));
        if let Some(date) = date.ok().and_then(|date| HeaderValue::from_str(&date).ok()) {
            response.headers_mut().insert(DATE, date);
        }
        Ok(response)
    }

    fn record(
        &self,
        target: CallTarget,
        connection: Connection,
        context: &CallContext,
        bytes: usize,
        response: Option<&Response<Body>>,
    ) {
        let status = response.map(|response| response.status().as_u16());
        let failed = status.is_some_and(|status| status >= 300);
        let error_code = response.filter(|_| failed).map(error_body::error_code);
        let outcome = match (&error_code, status) {
            (Some(code), _) => Cow::Owned(code.clone()),
            (None, Some(_)) => Cow::Borrowed("ok"),
            (None, None) => Cow::Borrowed("cut"),
        };
        let (service, operation) = (target.service, target.operation);
        let caller = context.caller.get();
        self.state.calls.add(service, operation, outcome, || Call {
            time: self.state.clock.now(),
            service,
            operation,
            caller: caller.map(|caller| caller.names().arn.to_owned()),
            role: target.role,
            session_name: target.session_name.or_else(|| caller?.session().map(|session| session.name.clone())),
            external_id: target.external_id,
            session_policy: target.session_policy,
            bucket: target.bucket,
            key: context.key.get().cloned(),
            host: target.host,
            tls_name: connection.tls_name,
            connection: connection.number,
            bytes,
            status,
            error_code,
        });
    }
}
