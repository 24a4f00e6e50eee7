//! Records calls: counts all of them, keeps the latest in full, and sends them to subscribers.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use tokio::sync::broadcast;

/// Maximum number of calls kept in full; older ones are only counted.
const MAX_RECORDED_CALLS: usize = 10_000;
/// Maximum number of calls by which a subscriber may be behind before it misses some.
const SUBSCRIBER_CAPACITY: usize = 1024;

/// The service that a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Service {
    /// Amazon S3.
    S3,
    /// AWS Security Token Service.
    Sts,
    /// The credentials endpoint of EKS Pod Identity.
    PodIdentity,
}

/// One call, as recorded after its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When it was answered, by the server's clock.
    pub time: SystemTime,
    /// The service called.
    pub service: Service,
    /// The operation, such as `PutObject`; `Other` if the server does not implement it.
    pub operation: &'static str,
    /// ARN of the signer; `None` if the call is not signed, or its signature or credentials are not valid.
    pub caller: Option<String>,
    /// ARN of the requested role.
    pub role: Option<String>,
    /// Name of the requested session, or else of the session that called.
    pub session_name: Option<String>,
    /// Whether it has an external ID, right or wrong.
    pub external_id: bool,
    /// The session policy for the requested session, as JSON.
    pub session_policy: Option<String>,
    /// The requested bucket.
    pub bucket: Option<String>,
    /// The object's key, percent-decoded; `None` if the signature is wrong or a fault replaced the call.
    pub key: Option<String>,
    /// The request's `Host` header.
    pub host: Option<String>,
    /// The server name that the client sent in the TLS handshake (SNI); `None` without TLS.
    pub tls_name: Option<String>,
    /// The number of its connection, from 0.
    pub connection: u64,
    /// Length of the request's body, in bytes.
    pub bytes: usize,
    /// The answer's HTTP status; `None` if the connection was closed without an answer.
    pub status: Option<u16>,
    /// The answer's error code, if its status is 300 or more; the status if the body has no code.
    pub error_code: Option<String>,
}

/// Number of calls by service, operation and outcome: `ok`, `cut` (the connection was closed without an answer), or an
/// error code.
pub type Counts = BTreeMap<(Service, &'static str, Cow<'static, str>), u64>;

/// The record of calls of one server.
pub(crate) struct Calls {
    /// Whether calls are kept in full and sent to subscribers, or only counted.
    pub(crate) records_calls: bool,
    log: Mutex<CallLog>,
    sender: broadcast::Sender<Arc<Call>>,
}

#[derive(Default)]
struct CallLog {
    latest: VecDeque<Arc<Call>>,
    counts: Counts,
}

impl Calls {
    pub(crate) fn new(records_calls: bool) -> Calls {
        Calls { records_calls, log: Mutex::default(), sender: broadcast::Sender::new(SUBSCRIBER_CAPACITY) }
    }

    /// Counts a call; if calls are recorded, keeps the result of `call` and sends it to subscribers.
    pub(crate) fn add(
        &self,
        service: Service,
        operation: &'static str,
        outcome: Cow<'static, str>,
        call: impl FnOnce() -> Call,
    ) {
        let call = self.records_calls.then(|| Arc::new(call()));
        let mut log = self.log();
        *log.counts.entry((service, operation, outcome)).or_default() += 1;
        if let Some(call) = call {
            if log.latest.len() == MAX_RECORDED_CALLS {
                log.latest.pop_front();
            }
            log.latest.push_back(Arc::clone(&call));
            // Sent under the lock, so that subscribers see calls in the order of the record.
            // An error only means that there are no subscribers.
            let _ = self.sender.send(call);
        }
    }

    pub(crate) fn latest(&self) -> Vec<Call> {
        self.log().latest.iter().map(|call| Call::clone(call)).collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.log().counts.clone()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Call>> {
        self.sender.subscribe()
    }

    fn log(&self) -> MutexGuard<'_, CallLog> {
        self.log.lock()
    }
}
