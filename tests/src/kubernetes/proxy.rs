//! A proxy to the API server that records requests, and can refuse them, become unavailable, or silence watches.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::Kubernetes;

/// A recorded request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path and query.
    pub uri: String,
    /// When the proxy received it.
    pub at: Instant,
}

impl Request {
    /// Whether it is a write, other than of a Lease.
    pub fn is_write(&self) -> bool {
        self.method != "GET" && !self.uri.contains("/leases/")
    }
}

type AnyBody = UnsyncBoxBody<Bytes, kube::Error>;

/// A proxy to the API server.
#[derive(Clone)]
pub struct ApiProxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    client: Client,
    requests: Mutex<Vec<Request>>,
    /// Every n-th request is answered 503; none at 0.
    refuse_every: Mutex<u32>,
    unavailable: AtomicBool,
    /// The current generation of watches: watches of older generations deliver nothing more.
    silenced: watch::Sender<u64>,
}

impl ApiProxy {
    /// Starts a proxy to the cluster, with the administrator's credentials.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(cluster: &Kubernetes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let state = Arc::new(State {
            client: Client::try_from(cluster.config.clone()).expect("a client"),
            requests: Mutex::default(),
            refuse_every: Mutex::new(0),
            unavailable: AtomicBool::new(false),
            silenced: watch::Sender::new(0),
        });
        let proxy = Self { address, state };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if !accepting.state.unavailable.load(Ordering::Relaxed) {
                    tokio::spawn(accepting.clone().relay(stream));
                }
            }
        });
        proxy
    }

    /// A kubeconfig for this proxy, with this default namespace.
    pub fn kubeconfig(&self, namespace: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: proxy\n\
             contexts: [{{name: proxy, context: {{cluster: proxy, user: proxy, namespace: {namespace}}}}}]\n\
             users: [{{name: proxy, user: {{}}}}]\n\
             clusters: [{{name: proxy, cluster: {{server: \"http://{}\"}}}}]\n",
            self.address
        )
    }

    /// The recorded requests.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().clone()
    }

    /// Clears the recorded requests.
    pub fn clear_requests(&self) {
        self.state.requests.lock().clear();
    }

    /// Answers every `count`-th request with 503, except of Leases; at 0, none.
    pub fn refuse_every(&self, count: u32) {
        *self.state.refuse_every.lock() = count;
    }

    /// Makes the API server unavailable, or available again: new connections are closed, requests on open ones get no
    /// answer, and watches are silenced.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.state.unavailable.store(unavailable, Ordering::Relaxed);
        if unavailable {
            self.state.silenced.send_modify(|generation| *generation += 1);
        }
    }

    /// Silences the open watches: they deliver nothing more and do not end, as when a load balancer has silently
    /// dropped their connections.
    pub fn silence_watches(&self) {
        self.state.silenced.send_modify(|generation| *generation += 1);
    }

    async fn relay(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let proxy = self.clone();
            async move { Ok::<_, Infallible>(proxy.answer(request).await) }
        });
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> Response<AnyBody> {
        let generation = *self.state.silenced.borrow();
        let (parts, body) = request.into_parts();
        let uri = parts.uri.to_string();
        let count = {
            let mut requests = self.state.requests.lock();
            requests.push(Request { method: parts.method.to_string(), uri: uri.clone(), at: Instant::now() });
            requests.len()
        };
        if self.state.unavailable.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let every = *self.state.refuse_every.lock();
        if every > 0 && count.is_multiple_of(every as usize) && !uri.contains("/leases") {
            return failure(StatusCode::SERVICE_UNAVAILABLE, "this one was to fail");
        }
        let Ok(body) = body.collect().await else { return failure(StatusCode::BAD_REQUEST, "no body") };
        let request = hyper::Request::from_parts(parts, Body::from(body.to_bytes().to_vec()));
        let response = match self.state.client.send(request).await {
            Ok(response) => response,
            Err(error) => return failure(StatusCode::BAD_GATEWAY, &error.to_string()),
        };
        if !uri.contains("watch=true") {
            return response.map(BodyExt::boxed_unsync);
        }
        response.map(|body| self.until_silenced(body, generation))
    }

    fn until_silenced(&self, body: Body, generation: u64) -> AnyBody {
        let silenced = self.state.silenced.subscribe();
        let frames = futures_util::stream::unfold((body, silenced), move |(mut body, mut silenced)| async move {
            let is_silenced = async {
                let _ = silenced.wait_for(|now| *now > generation).await;
            };
            let frame = tokio::select! {
                () = is_silenced => None,
                frame = body.frame() => Some(frame),
            };
            match frame {
                Some(frame) => frame.map(|frame| (frame, (body, silenced))),
                None => std::future::pending().await,
            }
        });
        http_body_util::StreamBody::new(frames).boxed_unsync()
    }
}

/// The answer of a failing API server: a `Status`.
fn failure(status: StatusCode, message: &str) -> Response<AnyBody> {
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","code":{}}}"#,
        status.as_u16()
    );
    let mut response = Response::new(Full::from(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}
