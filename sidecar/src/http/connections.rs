//! The connections that are open, and which of them make room for others.
//!
//! A server enters every connection that it accepts ([`Connections::admit`]); the connection says when
//! a request begins and when its answer is written ([`Slot`]). When the limit is reached, the
//! connection that has been idle longest is asked to close; if none is idle, the one whose client has
//! not read its answer for longest. One on which a request is read or answered is never asked: while
//! all are busy, the next one waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Notify, watch};

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

/// Names a connection, and the moment at which one became idle: both are numbers of one sequence.
type Id = u64;

/// What an open connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A request is read or answered.
    Busy,
    /// It waits for a TLS handshake or a request's head, since a moment in the sequence.
    Idle(Id),
    /// Its client does not read its answer, since a moment in the sequence.
    Blocked(Id),
    /// It was idle, and was asked to close.
    Closing,
}

/// Which connections are open. Pure.
#[derive(Debug, Default)]
struct Table {
    next: Id,
    phases: HashMap<Id, Phase>,
    /// Those that are idle, by the moment at which they became so.
    idle: BTreeMap<Id, Id>,
    /// Those that are blocked, likewise.
    blocked: BTreeMap<Id, Id>,
    closing: usize,
}

impl Table {
    /// Opens a connection, which is busy, if fewer than `limit` are open.
    fn open(&mut self, limit: usize) -> Option<Id> {
        (self.phases.len() < limit).then(|| {
            let id = self.tick();
            self.phases.insert(id, Phase::Busy);
            id
        })
    }

    fn set(&mut self, id: Id, phase: Phase) {
        if let Some(old) = self.phases.insert(id, phase) {
            self.leave(old);
        }
        match phase {
            Phase::Busy => {}
            Phase::Idle(since) => drop(self.idle.insert(since, id)),
            Phase::Blocked(since) => drop(self.blocked.insert(since, id)),
            Phase::Closing => self.closing += 1,
        }
    }

    fn busy(&mut self, id: Id) {
        self.set(id, Phase::Busy);
    }

    fn idle(&mut self, id: Id) {
        let since = self.tick();
        self.set(id, Phase::Idle(since));
    }

    fn block(&mut self, id: Id) {
        let since = self.tick();
        self.set(id, Phase::Blocked(since));
    }

    /// Whether it has closed for another one.
    fn close(&mut self, id: Id) -> bool {
        let old = self.phases.remove(&id);
        if let Some(old) = old {
            self.leave(old);
        }
        old == Some(Phase::Closing)
    }

    /// Chooses the connection that is to close next: the one that has been idle longest, or else
    /// blocked, unless another one that was chosen already is about to make room.
    fn shed(&mut self, limit: usize) -> Option<Id> {
        if self.phases.len() - self.closing < limit {
            return None;
        }
        let (_, id) = self.idle.first_key_value().or_else(|| self.blocked.first_key_value())?;
        let id = *id;
        self.set(id, Phase::Closing);
        Some(id)
    }

    fn leave(&mut self, phase: Phase) {
        match phase {
            Phase::Busy => {}
            Phase::Idle(since) => drop(self.idle.remove(&since)),
            Phase::Blocked(since) => drop(self.blocked.remove(&since)),
            Phase::Closing => self.closing -= 1,
        }
    }

    fn tick(&mut self) -> Id {
        self.next += 1;
        self.next
    }
}

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
    pub(super) async fn admit(self: &Arc<Self>) -> Arc<Slot> {
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
    pub(super) fn shed(&self, limit: usize) -> Option<Instant> {
        let mut state = self.state();
        while state.ask_next_to_close(limit) {}
        (state.table.closing > 0)
            .then(|| state.settled.map_or_else(Instant::now, |settled| settled.max(Instant::now())))
    }

    /// Asks one idle connection to close, however many are open.
    pub(super) fn shed_one(&self) {
        self.state().ask_next_to_close(0);
    }

    /// Asks every connection to close once it has answered, and waits until all have.
    pub(super) async fn end(&self) {
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
pub(super) struct Slot {
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
    pub(super) fn idle(&self) {
        self.settle_in(MIN_IDLE);
        self.connections.state().table.idle(self.id);
        self.connections.changed.notify_one();
    }

    /// The client takes nothing of what is to be written.
    pub(super) fn block(&self) {
        if !self.blocked.swap(true, Ordering::AcqRel) {
            self.settle_in(MIN_BLOCKED);
            self.connections.state().table.block(self.id);
            self.connections.changed.notify_one();
        }
    }

    /// The client has taken some of it.
    pub(super) fn unblock(&self) {
        if self.blocked.load(Ordering::Acquire) {
            self.blocked.store(false, Ordering::Release);
            self.connections.state().table.busy(self.id);
        }
    }

    /// Whether the client takes nothing of what is to be written.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Acquire)
    }

    fn settle_in(&self, time: Duration) {
        *self.asked.settles_at.lock() = Instant::now() + time;
    }

    /// A request's head is there. The connection is busy until the answer, for which the guard
    /// stands, is written.
    pub(super) fn begin(self: &Arc<Self>) -> Answering {
        self.answered.store(false, Ordering::Release);
        self.answering.store(true, Ordering::Release);
        self.connections.state().table.busy(self.id);
        // It may have been asked to close: another one must make room in its place.
        self.connections.changed.notify_one();
        Answering(Arc::clone(self))
    }

    /// All that was to be written is written.
    pub(super) fn flushed(&self) {
        if self.answered.swap(false, Ordering::AcqRel) {
            self.answering.store(false, Ordering::Release);
            self.idle();
        }
    }

    /// Whether a request is read or answered.
    pub(super) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Acquire)
    }

    /// Ends when the connection is asked to close in favour of another one.
    pub(super) async fn asked_to_close(&self) {
        self.asked.notify.notified().await;
    }

    /// Whether it was asked to close and no request has come since.
    pub(super) fn is_closing(&self) -> bool {
        self.connections.state().table.phases.get(&self.id) == Some(&Phase::Closing)
    }

    /// When the connection may be closed, if it stays as it is.
    pub(super) fn settles_at(&self) -> Instant {
        *self.asked.settles_at.lock()
    }

    /// Ends when all connections are to close.
    pub(super) async fn ending(&self) {
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
pub(super) struct Answering(Arc<Slot>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_one_that_is_idle_longest_goes_first() {
        let mut table = Table::default();
        let ids: Vec<_> = (0..4).map(|_| table.open(4).unwrap()).collect();
        assert_eq!((table.open(4), table.shed(4)), (None, None), "all are busy");
        for id in &ids {
            table.idle(*id);
        }
        // The first one answers a request, and is then idle for the shortest time.
        table.busy(ids[0]);
        table.idle(ids[0]);
        assert_eq!(table.shed(4), Some(ids[1]));
        assert_eq!(table.shed(4), None, "one is about to make room");
        assert_eq!(table.open(4), None, "it is there until it has closed");
        table.close(ids[1]);
        assert!(table.open(4).is_some());
        assert_eq!(table.shed(4), Some(ids[2]));
        // A request came before it was told: it is answered, and another one goes.
        table.busy(ids[2]);
        assert_eq!(table.shed(4), Some(ids[3]));
    }

    #[test]
    fn one_whose_client_does_not_read_goes_when_none_is_idle() {
        let mut table = Table::default();
        let ids: Vec<_> = (0..3).map(|_| table.open(3).unwrap()).collect();
        table.block(ids[1]);
        table.block(ids[0]);
        table.idle(ids[2]);
        assert_eq!(table.shed(3), Some(ids[2]));
        table.close(ids[2]);
        assert!(table.open(3).is_some());
        assert_eq!(table.shed(3), Some(ids[1]), "it has been blocked longest");
        table.busy(ids[1]);
        table.busy(ids[0]);
        assert_eq!(table.shed(3), None, "they have read");
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Open,
        Busy(usize),
        Idle(usize),
        Close(usize),
        Shed,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Open),
            3 => (0..8_usize).prop_map(Step::Busy),
            4 => (0..8_usize).prop_map(Step::Idle),
            1 => (0..8_usize).prop_map(Step::Close),
            3 => Just(Step::Shed),
        ]
    }

    proptest! {
        /// Held to a list that is kept in the order in which connections became idle.
        #[test]
        fn whatever_happens_only_idle_connections_go_and_the_longest_idle_first(
            limit in 1..6_usize,
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut table = Table::default();
            let (mut open, mut idle, mut closing) = (Vec::new(), Vec::new(), Vec::new());
            for step in steps {
                let pick = |place: usize, open: &[Id]| open.get(place).copied();
                match step {
                    Step::Open => match table.open(limit) {
                        Some(id) => open.push(id),
                        None => prop_assert_eq!(open.len(), limit),
                    },
                    Step::Busy(place) => if let Some(id) = pick(place, &open) {
                        table.busy(id);
                        idle.retain(|other| *other != id);
                        closing.retain(|other| *other != id);
                    },
                    Step::Idle(place) => if let Some(id) = pick(place, &open) {
                        table.idle(id);
                        closing.retain(|other| *other != id);
                        idle.retain(|other| *other != id);
                        idle.push(id);
                    },
                    Step::Close(place) => if let Some(id) = pick(place, &open) {
                        table.close(id);
                        for list in [&mut open, &mut idle, &mut closing] {
                            list.retain(|other| *other != id);
                        }
                    },
                    Step::Shed => {
                        let full = open.len() - closing.len() >= limit;
                        let expected = if full { idle.first().copied() } else { None };
                        prop_assert_eq!(table.shed(limit), expected);
                        if let Some(id) = expected {
                            idle.remove(0);
                            closing.push(id);
                        }
                    }
                }
                prop_assert!(open.len() <= limit);
                let counts = (table.phases.len(), table.idle.len(), table.closing);
                prop_assert_eq!(counts, (open.len(), idle.len(), closing.len()));
            }
        }
    }

    /// Each takes as long to close as one that waits for the rest of a head.
    #[tokio::test]
    async fn connections_that_close_slowly_do_not_keep_others_waiting_one_after_the_other() {
        const LIMIT: usize = 64;
        let connections = Connections::new(LIMIT, ConnectionCounts::default());
        let enter = async || {
            let slot = connections.admit().await;
            slot.idle();
            tokio::spawn(async move {
                slot.asked_to_close().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            });
        };
        for _ in 0..LIMIT {
            enter().await;
        }
        let begun = Instant::now();
        for _ in 0..100 {
            enter().await;
        }
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?} for 100, and 10 s one after the other");
    }

    #[tokio::test]
    async fn a_connection_is_busy_until_its_answer_is_written() {
        let connections = Connections::new(1, ConnectionCounts::default());
        let slot = connections.admit().await;
        slot.idle();
        let answering = slot.begin();
        drop(answering);
        assert_eq!(connections.shed(1), None);
        assert!(slot.is_answering(), "the answer is not written yet");
        assert_eq!(connections.counts.shed.get(), 0);
        slot.flushed();
        assert!(connections.shed(1).is_some());
        slot.asked_to_close().await;
        assert!(slot.is_closing());
        assert_eq!((connections.counts.shed.get(), connections.counts.open.get()), (0, 1));
        drop(slot);
        assert_eq!((connections.counts.shed.get(), connections.counts.open.get()), (1, 0));
        drop(connections.admit().await);
        connections.end().await;
    }
}
