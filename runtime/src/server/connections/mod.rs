//! Limits the open connections, and closes idle ones in favour of new ones at the limit.
//!
//! The server registers every connection that it accepts ([`Connections::admit`]), and the connection reports through
//! its [`Slot`] when a request begins and when its answer is written. At the limit, the connection that has been idle
//! longest is asked to close; if none is idle, the one whose client has not read its answer for longest. A connection
//! on which a request is read or answered is never asked: while all are busy, a new connection waits.

mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Notify, watch};

use super::keep_alive::{HEAD_TIMEOUT, KeepAlive, Wait};
use table::{Id, Phase, Table};

/// How soon connections are closed in favour of new ones. If clients hold every connection and reconnect as soon as
/// theirs is closed, a new connection waits until one connection per such client beyond the limit has been closed.
/// These times and the limit determine how many connections can be closed per second.
#[derive(Clone, Copy, Debug)]
pub struct CloseTimes {
    /// Minimum time that a connection must be idle: its client may just have sent a request that the kernel has not
    /// delivered yet.
    pub min_idle: Duration,
    /// Minimum time that a client must not read. Answers are small and the kernel buffers several of them, so only a
    /// client that does not read blocks writes for this long.
    pub min_blocked: Duration,
    /// How long a connection that was asked to close may then wait for the rest of a head, or discard the rest of a
    /// refused body.
    pub close: Duration,
}

impl CloseTimes {
    /// For clients anywhere.
    pub const INTERNET: Self = Self {
        min_idle: Duration::from_millis(250),
        min_blocked: Duration::from_secs(1),
        close: Duration::from_millis(100),
    };
    /// For clients in the cluster, whose requests arrive within milliseconds unless their node is busy.
    pub const CLUSTER: Self = Self {
        min_idle: Duration::from_millis(100),
        min_blocked: Duration::from_millis(100),
        close: Duration::from_millis(20),
    };

    /// How long connections that were asked to close may take, from when they may close, before more are asked. Much
    /// less than [`close`](Self::close): a connection whose client has sent part of a head takes that long, and many
    /// such connections must not delay new ones one after the other.
    fn allowance(&self) -> Duration {
        self.close / 4
    }
}

/// The connection metrics of one listener.
#[derive(Clone, Debug, Default)]
pub struct ConnectionCounts {
    /// Open connections.
    pub open: Gauge,
    /// Connections that were idle, or blocked by their client, and were closed so that others could be accepted.
    pub shed: Counter,
}

/// The open connections of one server.
#[derive(Debug)]
pub struct Connections {
    /// Maximum number of open connections.
    limit: usize,
    keep_alive: KeepAlive,
    times: CloseTimes,
    /// Number of connections that are expected to be slow to close; that many more are asked. It is kept from one new
    /// connection to the next, because under a flood of incomplete heads each close takes the maximum time.
    slow_to_close: AtomicUsize,
    state: Mutex<ConnectionsState>,
    /// Notified when a connection closes, begins a request, or becomes idle or blocked: for the task in
    /// [`admit`](Self::admit) or [`close_all`](Self::close_all).
    changed: Notify,
    /// True once every connection must close after its current answer.
    shutting_down: watch::Sender<bool>,
    counts: ConnectionCounts,
}

#[derive(Debug, Default)]
struct ConnectionsState {
    table: Table,
    /// The channel to each connection through which it is asked to close.
    close_requests: HashMap<Id, CloseRequest>,
    /// When all connections that were asked to close so far may close.
    all_may_close_at: Option<Instant>,
}

/// Asks one connection to close.
#[derive(Clone, Debug)]
struct CloseRequest {
    notify: Arc<Notify>,
    /// When the connection may close, if it stays idle or blocked until then.
    may_close_at: Arc<Mutex<Instant>>,
}

impl ConnectionsState {
    /// Asks the next connection to close, if `limit` or more would stay open. Returns whether one was asked.
    fn ask_next_to_close(&mut self, limit: usize) -> bool {
        let Some(id) = self.table.shed(limit) else { return false };
        if let Some(CloseRequest { notify, may_close_at }) = self.close_requests.get(&id) {
            self.all_may_close_at = self.all_may_close_at.max(Some(*may_close_at.lock()));
            notify.notify_one();
        }
        true
    }
}

impl Connections {
    /// An empty set for at most `limit` connections.
    pub fn new(limit: usize, keep_alive: KeepAlive, times: CloseTimes, counts: ConnectionCounts) -> Arc<Self> {
        Arc::new(Self {
            limit,
            keep_alive,
            times,
            slow_to_close: AtomicUsize::new(0),
            state: Mutex::default(),
            changed: Notify::new(),
            shutting_down: watch::Sender::new(false),
            counts,
        })
    }

    /// Registers a new connection as busy; at the limit, waits until another has closed. Only one task at a time may
    /// wait.
    pub(in crate::server) async fn admit(self: &Arc<Self>) -> Arc<Slot> {
        loop {
            let slow_to_close = self.slow_to_close.load(Ordering::Relaxed);
            if let Some(slot) = self.try_admit() {
                self.slow_to_close.store(slow_to_close.saturating_sub(1), Ordering::Relaxed);
                return Arc::new(slot);
            }
            let Some(all_may_close_at) = self.shed(self.limit.saturating_sub(slow_to_close)) else {
                self.changed.notified().await;
                continue;
            };
            let deadline = all_may_close_at + self.times.allowance();
            if tokio::time::timeout_at(deadline.into(), self.changed.notified()).await.is_err() {
                self.slow_to_close.store((2 * slow_to_close + 1).min(self.limit / 2), Ordering::Relaxed);
            }
        }
    }

    fn try_admit(self: &Arc<Self>) -> Option<Slot> {
        let now = Instant::now();
        let close_requests = CloseRequest { notify: Arc::default(), may_close_at: Arc::new(Mutex::new(now)) };
        let mut state = self.state();
        let id = state.table.open(self.limit)?;
        state.close_requests.insert(id, close_requests.clone());
        drop(state);
        self.counts.open.inc();
        Some(Slot {
            id,
            close_requests,
            retires_at: self.keep_alive.retires_at(now, fastrand::f64()),
            wait: Mutex::new(Wait::Request(now)),
            answering: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            connections: Arc::clone(self),
        })
    }

    /// Asks idle connections to close until fewer than `limit` will stay open. Returns when all that were asked may close;
    /// `None` if none is closing.
    pub(in crate::server) fn shed(&self, limit: usize) -> Option<Instant> {
        let mut state = self.state();
        while state.ask_next_to_close(limit) {}
        (state.table.closing > 0).then(|| {
            state.all_may_close_at.map_or_else(Instant::now, |all_may_close_at| all_may_close_at.max(Instant::now()))
        })
    }

    /// Asks one connection to close, however many are open.
    pub(in crate::server) fn shed_one(&self) {
        self.state().ask_next_to_close(0);
    }

    /// Whether at least three quarters of the maximum number of connections are open.
    pub(in crate::server) fn are_scarce(&self) -> bool {
        self.state().table.phases.len() * 4 >= self.limit * 3
    }

    /// How long a connection that was asked to close may take.
    pub(in crate::server) fn close_timeout(&self) -> Duration {
        self.times.close
    }

    /// Asks every connection to close after its current answer, and waits until all have closed.
    pub(in crate::server) async fn close_all(&self) {
        self.shutting_down.send_replace(true);
        while !self.state().table.phases.is_empty() {
            self.changed.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, ConnectionsState> {
        self.state.lock()
    }
}

/// An open connection's entry in [`Connections`], removed when dropped.
#[derive(Debug)]
pub(in crate::server) struct Slot {
    id: Id,
    close_requests: CloseRequest,
    /// From when on an answer asks the client to close.
    retires_at: Option<Instant>,
    wait: Mutex<Wait>,
    /// True from a request's head until its answer is written.
    answering: AtomicBool,
    /// Whether the answer exists and is being written.
    answered: AtomicBool,
    /// Whether the client does not read its answer.
    blocked: AtomicBool,
    connections: Arc<Connections>,
}

impl Slot {
    /// Marks the connection as idle: it waits for a handshake or a request.
    pub(in crate::server) fn idle(&self) {
        let now = Instant::now();
        *self.close_requests.may_close_at.lock() = now + self.connections.times.min_idle;
        *self.wait.lock() = Wait::Request(now);
        self.connections.state().table.idle(self.id);
        self.connections.changed.notify_one();
    }

    /// Marks the connection as blocked: a write is pending because the client does not read.
    pub(in crate::server) fn block(&self) {
        if !self.blocked.swap(true, Ordering::AcqRel) {
            *self.close_requests.may_close_at.lock() = Instant::now() + self.connections.times.min_blocked;
            self.connections.state().table.block(self.id);
            self.connections.changed.notify_one();
        }
    }

    /// Marks a blocked connection as busy again: a write has made progress.
    pub(in crate::server) fn unblock(&self) {
        if self.blocked.load(Ordering::Acquire) {
            self.blocked.store(false, Ordering::Release);
            self.connections.state().table.busy(self.id);
        }
    }

    /// Whether a write is pending because the client does not read.
    pub(in crate::server) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Acquire)
    }

    /// Records that bytes were read.
    pub(in crate::server) fn received(&self) {
        self.wait.lock().received(Instant::now);
    }

    /// When the connection has waited too long for a request or the rest of a head; `None` while a request is being read
    /// or answered.
    pub(in crate::server) fn expires_at(&self) -> Option<Instant> {
        self.wait.lock().expires_at(self.connections.keep_alive.idle)
    }

    /// The shortest time that the connection may wait for its client, whatever it waits for.
    pub(in crate::server) fn min_wait(&self) -> Duration {
        self.connections.keep_alive.idle.min(HEAD_TIMEOUT)
    }

    /// Whether the connection has reached its maximum age.
    pub(in crate::server) fn is_retired(&self) -> bool {
        self.retires_at.is_some_and(|at| at <= Instant::now())
    }

    /// Marks the connection as busy: a request's head was read. It stays busy until the answer is flushed; the guard
    /// must be dropped when the answer exists.
    pub(in crate::server) fn begin_request(self: &Arc<Self>) -> Answering {
        *self.wait.lock() = Wait::Nothing;
        self.answered.store(false, Ordering::Release);
        self.answering.store(true, Ordering::Release);
        self.connections.state().table.busy(self.id);
        // If this connection was asked to close, another must be asked in its place.
        self.connections.changed.notify_one();
        Answering(Arc::clone(self))
    }

    /// Records a completed flush: if an answer was being written, it now is, and the connection is idle.
    pub(in crate::server) fn flushed(&self) {
        if self.answered.swap(false, Ordering::AcqRel) {
            self.answering.store(false, Ordering::Release);
            self.idle();
        }
    }

    /// Whether a request is being read or answered.
    pub(in crate::server) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Acquire)
    }

    /// Completes when the connection is asked to close in favour of another one.
    pub(in crate::server) async fn asked_to_close(&self) {
        self.close_requests.notify.notified().await;
    }

    /// Whether the connection was asked to close and has received no request since.
    pub(in crate::server) fn is_closing(&self) -> bool {
        self.connections.state().table.phases.get(&self.id) == Some(&Phase::Closing)
    }

    /// The set that contains this connection.
    pub(in crate::server) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// When the connection may close, if it stays idle or blocked until then.
    pub(in crate::server) fn may_close_at(&self) -> Instant {
        *self.close_requests.may_close_at.lock()
    }

    /// Completes when all connections must close.
    pub(in crate::server) async fn shutting_down(&self) {
        // Can't fail: the slot keeps the sender alive.
        let _ = self.connections.shutting_down.subscribe().wait_for(|shutting_down| *shutting_down).await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        let was_asked = state.table.close(self.id);
        state.close_requests.remove(&self.id);
        drop(state);
        self.connections.counts.open.dec();
        if was_asked {
            self.connections.counts.shed.inc();
        }
        self.connections.changed.notify_one();
    }
}

/// Guard of a request that is being answered; dropped when the answer exists.
#[derive(Debug)]
pub(in crate::server) struct Answering(Arc<Slot>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered.store(true, Ordering::Release);
    }
}
