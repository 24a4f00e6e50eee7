//! Simulated sidecars: pods that no node runs, of which the API says that they serve, and a server that
//! answers the operator in their place.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::scene::Scene;

/// Where the operator asks a sidecar for its `/status`.
const PORT: u16 = 8081;
/// An answer takes up to this long, by chance.
const SLOWEST_ANSWER: Duration = Duration::from_millis(300);
/// The conditions that a sidecar reports.
const CONDITIONS: [&str; 5] =
    ["ExternalIdAvailable", "IngestConfigured", "RoleAssumed", "ExternalIdEnforced", "BucketWritable"];

/// What answers for all sidecars of a test.
#[derive(Clone)]
pub struct SimulatedSidecars {
    address: Ipv4Addr,
    state: Arc<State>,
}

struct State {
    status: Mutex<Value>,
    asked: AtomicUsize,
}

impl SimulatedSidecars {
    /// Listens on this loopback address, which no other test uses.
    pub async fn start(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, PORT)).await.expect("a free port");
        let state = Arc::new(State { status: Mutex::new(healthy()), asked: AtomicUsize::new(0) });
        let of_server = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&of_server);
                let answer = service_fn(move |_: Request<hyper::body::Incoming>| {
                    let state = Arc::clone(&state);
                    async move { Ok::<_, Infallible>(state.answer().await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Self { address, state }
    }

    /// From now on they answer with this condition.
    pub fn report(&self, r#type: &str, status: &str, reason: &str) {
        let mut current = self.state.status.lock();
        for condition in current["conditions"].as_array_mut().expect("conditions") {
            if condition["type"] == r#type {
                *condition = condition_of(r#type, status, reason, "it is said");
            }
        }
    }

    /// How often they were asked.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::Relaxed)
    }

    /// Says of all pods that are selected, and don't run yet, what a kubelet says of sidecars that serve.
    pub async fn serve(&self, scene: &Scene, selector: &str) {
        self.run(scene, selector, "True").await;
    }

    /// The same of sidecars that run, and are not ready.
    pub async fn start_up(&self, scene: &Scene, selector: &str) {
        self.run(scene, selector, "False").await;
    }

    async fn run(&self, scene: &Scene, selector: &str, ready: &str) {
        let pods = scene.objects::<Pod>();
        let pending = ListParams::default().labels(selector).fields("status.phase=Pending");
        let waiting = pods.list_metadata(&pending).await.expect("a list of pods");
        let serves = json!({"status": {
            "phase": "Running",
            "podIP": self.address.to_string(),
            "podIPs": [{"ip": self.address.to_string()}],
            "conditions": [{"type": "Ready", "status": ready}],
        }});
        stream::iter(waiting.iter().map(ResourceExt::name_any))
            .for_each_concurrent(16, async |name| {
                let patch = Patch::Strategic(&serves);
                pods.patch_status(&name, &PatchParams::default(), &patch).await.expect("a status");
            })
            .await;
    }
}

impl State {
    async fn answer(&self) -> Response<Full<Bytes>> {
        tokio::time::sleep(SLOWEST_ANSWER.mul_f64(fastrand::f64())).await;
        self.asked.fetch_add(1, Ordering::Relaxed);
        let status = self.status.lock().to_string();
        Response::new(Full::from(status))
    }
}

fn healthy() -> Value {
    let conditions = CONDITIONS.map(|r#type| condition_of(r#type, "True", "Ok", "it holds"));
    json!({"generation": 1, "configHash": "h", "inFlight": 0, "conditions": conditions})
}

fn condition_of(r#type: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": r#type, "status": status, "reason": reason, "message": message, "since": "2026-01-01T00:00:00Z"})
}
