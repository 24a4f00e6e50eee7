//! Events that keep coming, each sent once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::Method;
use parking_lot::{Mutex, MutexGuard};
use tokio::task::{JoinHandle, JoinSet};

use crate::Ports;
use crate::event::{message_id, track};
use crate::wait::until;

/// What became of one event.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its `messageId`.
    pub message_id: String,
    /// The answer's status; none without an answer.
    pub status: Option<u16>,
    /// When it was sent.
    pub sent: Instant,
    /// When it was answered.
    pub answered: Instant,
}

/// Names and values.
pub type Headers = Vec<(&'static str, String)>;

/// Events sent one after the other, not waiting for each other's answers.
pub struct Traffic {
    task: JoinHandle<()>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    outcomes: Mutex<Vec<Outcome>>,
}

impl Shared {
    fn outcomes(&self) -> MutexGuard<'_, Vec<Outcome>> {
        self.outcomes.lock()
    }
}

impl Traffic {
    /// Sends an event every so often.
    pub fn start(ports: &Ports, every: Duration) -> Self {
        Self::start_with(ports, every, "/v1/track", |_| Vec::new())
    }

    /// Sends an event every so often to `path`, with the headers that are right for its body at that
    /// moment.
    pub fn start_with(
        ports: &Ports,
        every: Duration,
        path: &'static str,
        headers: impl Fn(&str) -> Headers + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(send(ports.clone(), every, path, headers, Arc::clone(&shared)));
        Self { task, shared }
    }

    /// Waits until an event sent from now on is stored.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn wait_stored(&self, within: Duration) {
        let now = Instant::now();
        let stored = |outcome: &Outcome| outcome.status == Some(200) && outcome.sent >= now;
        until("an event is stored", within, async || self.shared.outcomes().iter().any(stored).then_some(())).await;
    }

    /// Stops sending, and waits for the answers still to come.
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
    shared: Arc<Shared>,
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
