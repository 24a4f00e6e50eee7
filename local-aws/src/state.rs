//! What all parts of one server look at.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::accounts::Accounts;
use crate::calls::Calls;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::sessions::Sessions;
use crate::store::Store;

/// The state of one server.
pub(crate) struct ServerState {
    accounts: RwLock<Arc<Accounts>>,
    pub(crate) sessions: Sessions,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
}

impl ServerState {
    pub(crate) fn new(accounts: Accounts, store: Store, clock: Clock, recording: bool) -> ServerState {
        ServerState {
            faults: Faults::new(accounts.faults.clone()),
            accounts: RwLock::new(Arc::new(accounts)),
            sessions: Sessions::default(),
            store,
            clock,
            calls: Calls::new(recording),
        }
    }

    /// The accounts as they are now; hold on to them for one decision only.
    pub(crate) fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.accounts.read())
    }

    pub(crate) fn set_accounts(&self, accounts: Accounts) {
        self.faults.set(accounts.faults.clone());
        *self.accounts.write() = Arc::new(accounts);
    }
}
