//! The state that all parts of one server share: accounts, sessions, objects, clock, faults, calls.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::accounts::Accounts;
use crate::calls::Calls;
use crate::clock::Clock;
use crate::fault_plan::Faults;
use crate::sessions::Sessions;
use crate::store::Store;

/// The state of one server, shared by its connections. Each part has its own lock.
pub(crate) struct ServerState {
    accounts: RwLock<Arc<Accounts>>,
    pub(crate) sessions: Sessions,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
}

impl ServerState {
    pub(crate) fn new(accounts: Accounts, store: Store, clock: Clock, records_calls: bool) -> ServerState {
        ServerState {
            faults: Faults::new(accounts.faults.clone()),
            accounts: RwLock::new(Arc::new(accounts)),
            sessions: Sessions::default(),
            store,
            clock,
            calls: Calls::new(records_calls),
        }
    }

    /// The current accounts. Hold them for one decision only, since they may be replaced.
    pub(crate) fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.accounts.read())
    }

    /// Replaces the accounts, and the faults by those of their file.
    pub(crate) fn set_accounts(&self, accounts: Accounts) {
        self.faults.set(accounts.faults.clone());
        *self.accounts.write() = Arc::new(accounts);
    }
}
