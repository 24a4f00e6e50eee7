//! The table of open connections, which decides which of them closes next in favour of a new one. It does no I/O and
//! reads no clock.

use std::collections::{BTreeMap, HashMap};

/// Identifies a connection, and orders the moments at which connections became idle or blocked: numbers of one
/// sequence.
pub(super) type Id = u64;

/// The phase of an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A request is being read or answered.
    Busy,
    /// The connection waits for a TLS handshake or a request's head, since this moment.
    Idle(Id),
    /// The client does not read its answer, since this moment.
    Blocked(Id),
    /// The connection was idle or blocked, and was asked to close.
    Closing,
}

/// The open connections and their phases.
#[derive(Debug, Default)]
pub(super) struct Table {
    next: Id,
    pub(super) phases: HashMap<Id, Phase>,
    /// The idle connections, by the moment at which they became idle.
    pub(super) idle: BTreeMap<Id, Id>,
    /// The blocked connections, by the moment at which they became blocked.
    blocked: BTreeMap<Id, Id>,
    /// The number of connections that were asked to close and are still open.
    pub(super) closing: usize,
}

impl Table {
    /// Adds a busy connection, if fewer than `limit` are open.
    pub(super) fn open(&mut self, limit: usize) -> Option<Id> {
        (self.phases.len() < limit).then(|| {
            let id = self.next_number();
            self.phases.insert(id, Phase::Busy);
            id
        })
    }

    fn set(&mut self, id: Id, phase: Phase) {
        if let Some(old) = self.phases.insert(id, phase) {
            self.remove_from_lists(old);
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
        let since = self.next_number();
        self.set(id, Phase::Idle(since));
    }

    pub(super) fn block(&mut self, id: Id) {
        let since = self.next_number();
        self.set(id, Phase::Blocked(since));
    }

    /// Removes a connection. Returns whether it had been asked to close.
    pub(super) fn close(&mut self, id: Id) -> bool {
        let old = self.phases.remove(&id);
        if let Some(old) = old {
            self.remove_from_lists(old);
        }
        old == Some(Phase::Closing)
    }

    /// Chooses the next connection to close: the one that has been idle longest, or if none is, blocked longest. `None`
    /// if fewer than `limit` will stay open once those chosen before have closed.
    pub(super) fn shed(&mut self, limit: usize) -> Option<Id> {
        if self.phases.len() - self.closing < limit {
            return None;
        }
        let (_, id) = self.idle.first_key_value().or_else(|| self.blocked.first_key_value())?;
        let id = *id;
        self.set(id, Phase::Closing);
        Some(id)
    }

    fn remove_from_lists(&mut self, phase: Phase) {
        match phase {
            Phase::Busy => {}
            Phase::Idle(since) => drop(self.idle.remove(&since)),
            Phase::Blocked(since) => drop(self.blocked.remove(&since)),
            Phase::Closing => self.closing -= 1,
        }
    }

    fn next_number(&mut self) -> Id {
        self.next += 1;
        self.next
    }
}
