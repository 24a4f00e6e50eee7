//! Which connections are open, in the order in which they would be closed for others. Pure.

use std::collections::{BTreeMap, HashMap};

/// Names a connection, and the moment at which one became idle: both are numbers of one sequence.
pub(super) type Id = u64;

/// What an open connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
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
pub(super) struct Table {
    next: Id,
    pub(super) phases: HashMap<Id, Phase>,
    /// Those that are idle, by the moment at which they became so.
    pub(super) idle: BTreeMap<Id, Id>,
    /// Those that are blocked, likewise.
    blocked: BTreeMap<Id, Id>,
    pub(super) closing: usize,
}

impl Table {
    /// Opens a connection, which is busy, if fewer than `limit` are open.
    pub(super) fn open(&mut self, limit: usize) -> Option<Id> {
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

    pub(super) fn busy(&mut self, id: Id) {
        self.set(id, Phase::Busy);
    }

    pub(super) fn idle(&mut self, id: Id) {
        let since = self.tick();
        self.set(id, Phase::Idle(since));
    }

    pub(super) fn block(&mut self, id: Id) {
        let since = self.tick();
        self.set(id, Phase::Blocked(since));
    }

    /// Whether it has closed for another one.
    pub(super) fn close(&mut self, id: Id) -> bool {
        let old = self.phases.remove(&id);
        if let Some(old) = old {
            self.leave(old);
        }
        old == Some(Phase::Closing)
    }

    /// Chooses the connection that is to close next: the one that has been idle longest, or else
    /// blocked, unless another one that was chosen already is about to make room.
    pub(super) fn shed(&mut self, limit: usize) -> Option<Id> {
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
