//! Sends events at a fixed rate in the background, each once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::Method;
use parking_lot::{Mutex, MutexGuard};
use tokio::task::{JoinHandle, JoinSet};

use crate::Ports;
use crate::event::{message_id, track};
use crate::wait::until;

/// The outcome of one event.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The event's `messageId`.
    pub message_id: String,
    /// The status of the answer; `None` without an answer.
    pub status: Option<u16>,
    /// When the request was sent.
    pub sent: Instant,
    /// When the answer arrived, or the request failed.
    pub answered: Instant,
}

/// Header names and values.
pub type Headers = Vec<(&'static str, String)>;

/// A task that sends one event per interval and does not wait for answers in between.
pub struct Traffic {
    task: JoinHandle<()>,
    shared: Arc<TrafficState>,
}

#[derive(Default)]
struct TrafficState {
    stop: AtomicBool,
    outcomes: Mutex<Vec<Outcome>>,
}

impl TrafficState {
    fn outcomes(&self) -> MutexGuard<'_, Vec<Outcome>> {
        self.outcomes.lock()
    }
}

impl Traffic {
    /// Starts sending one track event per `every` to `/v1/track`.
    pub fn start(ports: &Ports, every: Duration) -> Self {
        Self::start_with(ports, every, "/v1/track", |_| Vec::new())
    }

    /// Starts sending one track event per `every` to `path`; `headers` computes a request's headers from its body when
    /// it is sent.
    pub fn start_with(
        ports: &Ports,
        every: Duration,
        path: &'static str,
        headers: impl Fn(&str) -> Headers + Send + 'static,
    ) -> Self {
        let shared = Arc::new(TrafficState::default());
        let task = tokio::spawn(send(ports.clone(), every, path, headers, Arc::clone(&shared)));
        Self { task, shared }
    }

    /// Waits until an event sent from now on is answered 200.
    ///
    /// # Panics
    /// If none is within `within`.
    pub async fn wait_stored(&self, within: Duration) {
        let now = Instant::now();
        let stored = |outcome: &Outcome| outcome.status == Some(200) && outcome.sent >= now;
        until("an event is stored", within, async || self.shared.outcomes().iter().any(stored).then_some(())).await;
    }

    /// Stops sending, waits for the outstanding answers, and returns all outcomes.
    ///
    /// # Panics
    /// If sending panicked.
    pub async fn finish(self) -> Vec<Outcome> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("no panic");
        self.shared.outcomes().clone()
    }
}

async fn send(
    ports: Ports,
    every: Duration,
    path: &'static str,
    headers: impl Fn(&str) -> Headers,
    shared: Arc<TrafficState>,
) {
    let mut requests = JoinSet::new();
    let mut ticks = tokio::time::interval(every);
    for i in 0.. {
        ticks.tick().await;
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let body = track(i).to_string();
        let (ports, shared, headers) = (ports.clone(), Arc::clone(&shared), headers(&body));
        requests.spawn(async move {
            let sent = Instant::now();
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = ports.request(Method::POST, path, &headers, body).await;
            let status = answer.ok().map(|answer| answer.status);
            let outcome = Outcome { message_id: message_id(i), status, sent, answered: Instant::now() };
            shared.outcomes().push(outcome);
        });
    }
    requests.join_all().await;
}

/// The `messageId`s of the events that were answered 200.
pub fn acknowledged(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().filter(|outcome| outcome.status == Some(200)).map(|outcome| outcome.message_id.clone()).collect()
}
