//! A way to the API server that remembers what went through, and can be closed.

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

/// A request that went through.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub uri: String,
    /// When it came.
    pub at: Instant,
}

impl Request {
    /// Whether it changes something, other than a Lease.
    pub fn writes(&self) -> bool {
        self.method != "GET" && !self.uri.contains("/leases/")
    }
}

type AnyBody = UnsyncBoxBody<Bytes, kube::Error>;

/// The way.
#[derive(Clone)]
pub struct ApiProxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    client: Client,
    requests: Mutex<Vec<Request>>,
    /// Every so many requests are answered 503; none at 0.
    refusing: Mutex<u32>,
    away: AtomicBool,
    /// Nothing more is heard of watches of a generation before this one.
    silenced: watch::Sender<u64>,
}

impl ApiProxy {
    /// Opens a way to the cluster, as its administrator.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(cluster: &Kubernetes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let state = Arc::new(State {
            client: Client::try_from(cluster.config.clone()).expect("a client"),
            requests: Mutex::default(),
            refusing: Mutex::new(0),
            away: AtomicBool::new(false),
            silenced: watch::Sender::new(0),
        });
        let proxy = Self { address, state };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if !accepting.state.away.load(Ordering::Relaxed) {
                    tokio::spawn(accepting.clone().relay(stream));
                }
            }
        });
        proxy
    }

    /// A kubeconfig that leads this way.
    pub fn kubeconfig(&self, namespace: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: proxy\n\
             contexts: [{{name: proxy, context: {{cluster: proxy, user: proxy, namespace: {namespace}}}}}]\n\
             users: [{{name: proxy, user: {{}}}}]\n\
             clusters: [{{name: proxy, cluster: {{server: \"http://{}\"}}}}]\n",
            self.address
        )
    }

    /// What went through so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().clone()
    }

    /// Forgets what went through.
    pub fn forget(&self) {
        self.state.requests.lock().clear();
    }

    /// Answers every so many requests with 503 from here on; at 0, none.
    pub fn refuse_every(&self, count: u32) {
        *self.state.refusing.lock() = count;
    }

    /// Connections are taken and closed, or relayed again.
    pub fn set_away(&self, away: bool) {
        self.state.away.store(away, Ordering::Relaxed);
        if away {
            self.state.silenced.send_modify(|generation| *generation += 1);
        }
    }

    /// Watches that are under way say nothing more, and don't end either: as when a load balancer has
    /// dropped their connections in silence.
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
        if self.state.away.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let every = *self.state.refusing.lock();
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

/// What an API server that is not well answers.
fn failure(status: StatusCode, message: &str) -> Response<AnyBody> {
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","code":{}}}"#,
        status.as_u16()
    );
    let mut response = Response::new(Full::from(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}
