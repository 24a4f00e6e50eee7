//! The connections that are open, and which of them make room for others.
//!
//! A server enters every connection that it accepts ([`Connections::admit`]); the connection says when
//! a request begins and when its answer is written ([`Slot`]). When the limit is reached, the
//! connection that has been idle longest is asked to close; if none is idle, the one whose client has
//! not read its answer for longest. One on which a request is read or answered is never asked: while
//! all are busy, the next one waits.

mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Notify, watch};

use table::{Id, Phase, Table};

/// A connection that has been idle for less is not closed in favour of another one: its client may just
/// have sent a request, which is still on its way through the kernel.
const MIN_IDLE: Duration = Duration::from_millis(250);

/// How long a connection that was asked to close, and may do so now, may take before more are asked in its place. One
/// whose client has sent half of a head takes longer, and many such clients must not keep others waiting one after the
/// other.
const MAKE_ROOM: Duration = Duration::from_millis(20);

/// Nor is one whose client has not read its answer for less. Answers are small, and the kernel takes
/// several of them at once: a client that reads blocks nobody.
const MIN_BLOCKED: Duration = Duration::from_secs(1);

/// The connections of one listener, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionCounts {
    /// Those that are open.
    pub(crate) open: Gauge,
    /// Idle ones that were asked to close, so that others could be accepted.
    pub(crate) shed: Counter,
}

/// The connections of one server.
#[derive(Debug)]
pub(crate) struct Connections {
    /// How many may be open.
    limit: usize,
    state: Mutex<State>,
    /// A connection has closed or become idle: the connection that waits for room looks again.
    changed: Notify,
    /// Whether every connection is to close once it has answered.
    ending: watch::Sender<bool>,
    counts: ConnectionCounts,
}

#[derive(Debug, Default)]
struct State {
    table: Table,
    /// How each connection is asked to close.
    asked: HashMap<Id, Asked>,
    /// When all that were asked may close.
    settled: Option<Instant>,
}

/// How a connection is asked to close.
#[derive(Clone, Debug)]
struct Asked {
    notify: Arc<Notify>,
    /// When it may, if it is idle or blocked.
    settles_at: Arc<Mutex<Instant>>,
}

impl State {
    /// Asks the connection that is next to close, if as many as `limit` are to stay open. Whether there is one.
    fn ask_next_to_close(&mut self, limit: usize) -> bool {
        let Some(id) = self.table.shed(limit) else { return false };
        if let Some(Asked { notify, settles_at }) = self.asked.get(&id) {
            self.settled = self.settled.max(Some(*settles_at.lock()));
            notify.notify_one();
        }
        true
    }
}

impl Connections {
    /// None yet, and never more than `limit` at once.
    pub(crate) fn new(limit: usize, counts: ConnectionCounts) -> Arc<Self> {
        Arc::new(Self {
            limit,
            state: Mutex::default(),
            changed: Notify::new(),
            ending: watch::Sender::new(false),
            counts,
        })
    }

    /// Enters a connection, which is busy; waits for room if there is none. One task at a time may wait.
    pub(in crate::http) async fn admit(self: &Arc<Self>) -> Arc<Slot> {
        // Those that were asked and are still there.
        let mut slow = 0;
        loop {
            if let Some(slot) = self.try_admit() {
                return Arc::new(slot);
            }
            let Some(settled) = self.shed(self.limit.saturating_sub(slow)) else {
                self.changed.notified().await;
                continue;
            };
            let late = settled + MAKE_ROOM;
            if tokio::time::timeout_at(late.into(), self.changed.notified()).await.is_err() {
                slow = (2 * slow + 1).min(self.limit / 2);
            }
        }
    }

    fn try_admit(self: &Arc<Self>) -> Option<Slot> {
        let asked = Asked { notify: Arc::default(), settles_at: Arc::new(Mutex::new(Instant::now())) };
        let mut state = self.state();
        let id = state.table.open(self.limit)?;
        state.asked.insert(id, asked.clone());
        drop(state);
        self.counts.open.inc();
        Some(Slot {
            id,
            asked,
            answering: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            connections: Arc::clone(self),
        })
    }

    /// Asks idle connections to close, until fewer than `limit` are to stay open. From when on all that were asked may
    /// close, if any is about to make room.
    pub(in crate::http) fn shed(&self, limit: usize) -> Option<Instant> {
        let mut state = self.state();
        while state.ask_next_to_close(limit) {}
        (state.table.closing > 0)
            .then(|| state.settled.map_or_else(Instant::now, |settled| settled.max(Instant::now())))
    }

    /// Asks one idle connection to close, however many are open.
    pub(in crate::http) fn shed_one(&self) {
        self.state().ask_next_to_close(0);
    }

    /// Asks every connection to close once it has answered, and waits until all have.
    pub(in crate::http) async fn end(&self) {
        self.ending.send_replace(true);
        while !self.state().table.phases.is_empty() {
            self.changed.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// An open connection, for as long as it is kept.
#[derive(Debug)]
pub(in crate::http) struct Slot {
    id: Id,
    asked: Asked,
    /// From a request's head until its answer is written.
    answering: AtomicBool,
    /// There is an answer, and it is being written.
    answered: AtomicBool,
    /// The client does not read what is written.
    blocked: AtomicBool,
    connections: Arc<Connections>,
}

impl Slot {
    /// The connection waits for a handshake or a request.
    pub(in crate::http) fn idle(&self) {
        self.settle_in(MIN_IDLE);
        self.connections.state().table.idle(self.id);
        self.connections.changed.notify_one();
    }

    /// The client takes nothing of what is to be written.
    pub(in crate::http) fn block(&self) {
        if !self.blocked.swap(true, Ordering::AcqRel) {
            self.settle_in(MIN_BLOCKED);
            self.connections.state().table.block(self.id);
            self.connections.changed.notify_one();
        }
    }

    /// The client has taken some of it.
    pub(in crate::http) fn unblock(&self) {
        if self.blocked.load(Ordering::Acquire) {
            self.blocked.store(false, Ordering::Release);
            self.connections.state().table.busy(self.id);
        }
    }

    /// Whether the client takes nothing of what is to be written.
    pub(in crate::http) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Acquire)
    }

    fn settle_in(&self, time: Duration) {
        *self.asked.settles_at.lock() = Instant::now() + time;
    }

    /// A request's head is there. The connection is busy until the answer, for which the guard
    /// stands, is written.
    pub(in crate::http) fn begin(self: &Arc<Self>) -> Answering {
        self.answered.store(false, Ordering::Release);
        self.answering.store(true, Ordering::Release);
        self.connections.state().table.busy(self.id);
        // It may have been asked to close: another one must make room in its place.
        self.connections.changed.notify_one();
        Answering(Arc::clone(self))
    }

    /// All that was to be written is written.
    pub(in crate::http) fn flushed(&self) {
        if self.answered.swap(false, Ordering::AcqRel) {
            self.answering.store(false, Ordering::Release);
            self.idle();
        }
    }

    /// Whether a request is read or answered.
    pub(in crate::http) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Acquire)
    }

    /// Ends when the connection is asked to close in favour of another one.
    pub(in crate::http) async fn asked_to_close(&self) {
        self.asked.notify.notified().await;
    }

    /// Whether it was asked to close and no request has come since.
    pub(in crate::http) fn is_closing(&self) -> bool {
        self.connections.state().table.phases.get(&self.id) == Some(&Phase::Closing)
    }

    /// When the connection may be closed, if it stays as it is.
    pub(in crate::http) fn settles_at(&self) -> Instant {
        *self.asked.settles_at.lock()
    }

    /// Ends when all connections are to close.
    pub(in crate::http) async fn ending(&self) {
        // The sender is owned by what this slot holds.
        let _ = self.connections.ending.subscribe().wait_for(|ending| *ending).await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        let made_room = state.table.close(self.id);
        state.asked.remove(&self.id);
        drop(state);
        self.connections.counts.open.dec();
        if made_room {
            self.connections.counts.shed.inc();
        }
        self.connections.changed.notify_one();
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(in crate::http) struct Answering(Arc<Slot>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered.store(true, Ordering::Release);
    }
}
