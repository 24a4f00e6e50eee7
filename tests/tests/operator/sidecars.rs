//! Simulates sidecars: sets the status of pods that run on no node, and answers the operator's requests for `/status`
//! in their place.

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

use crate::scene::Fixture;

/// The port of a sidecar's `/status`.
const PORT: u16 = 8081;
/// The maximum random delay of an answer.
const MAX_ANSWER_DELAY: Duration = Duration::from_millis(300);
/// The conditions that a sidecar reports.
const CONDITIONS: [&str; 5] =
    ["ExternalIdAvailable", "IngestConfigured", "RoleAssumed", "ExternalIdEnforced", "BucketWritable"];

/// A server that answers for all sidecars of a test.
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
    /// Listens on this loopback address, which no other test may use.
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

    /// Changes a condition in the answers from now on.
    pub fn set_condition(&self, r#type: &str, status: &str, reason: &str) {
        let mut current = self.state.status.lock();
        for condition in current["conditions"].as_array_mut().expect("conditions") {
            if condition["type"] == r#type {
                *condition = condition_of(r#type, status, reason, "simulated");
            }
        }
    }

    /// How many requests for `/status` have been answered.
    pub fn status_requests(&self) -> usize {
        self.state.asked.load(Ordering::Relaxed)
    }

    /// Sets the status of all selected pods that are Pending to running and ready, as the kubelet does.
    pub async fn mark_ready(&self, fixture: &Fixture, selector: &str) {
        self.patch_pods(fixture, selector, "Pending", "True").await;
    }

    /// Sets the status of all selected pods that are Pending to running and not ready.
    pub async fn mark_running(&self, fixture: &Fixture, selector: &str) {
        self.patch_pods(fixture, selector, "Pending", "False").await;
    }

    /// Sets the status of all selected pods that are running to ready.
    pub async fn mark_running_ready(&self, fixture: &Fixture, selector: &str) {
        self.patch_pods(fixture, selector, "Running", "True").await;
    }

    async fn patch_pods(&self, fixture: &Fixture, selector: &str, phase: &str, ready: &str) {
        let pods = fixture.objects::<Pod>();
        let in_phase = ListParams::default().labels(selector).fields(&format!("status.phase={phase}"));
        let waiting = pods.list_metadata(&in_phase).await.expect("a list of pods");
        let patched = json!({"status": {
            "phase": "Running",
            "podIP": self.address.to_string(),
            "podIPs": [{"ip": self.address.to_string()}],
            "conditions": [{"type": "Ready", "status": ready}],
        }});
        stream::iter(waiting.iter().map(ResourceExt::name_any))
            .for_each_concurrent(16, async |name| {
                let patch = Patch::Strategic(&patched);
                pods.patch_status(&name, &PatchParams::default(), &patch).await.expect("a status");
            })
            .await;
    }
}

impl State {
    async fn answer(&self) -> Response<Full<Bytes>> {
        tokio::time::sleep(MAX_ANSWER_DELAY.mul_f64(fastrand::f64())).await;
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
