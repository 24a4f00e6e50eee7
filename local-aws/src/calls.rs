//! The record of every call: the latest of them whole, all of them counted.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use tokio::sync::broadcast;

/// Calls kept whole; older ones are only counted.
const KEPT: usize = 10_000;
/// Calls a slow subscriber may be behind before it misses some.
const BACKLOG: usize = 1024;

/// What was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Service {
    /// S3.
    S3,
    /// STS.
    Sts,
    /// The credentials endpoint of EKS Pod Identity.
    PodIdentity,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When it was answered, by the clock in use.
    pub time: SystemTime,
    /// The service called.
    pub service: Service,
    /// As `PutObject`; `Other` where it isn't one of those offered.
    pub operation: &'static str,
    /// The ARN of who signed it; none if nobody did or the signature is wrong.
    pub caller: Option<String>,
    /// The ARN of the role asked for.
    pub role: Option<String>,
    /// The name of the session asked for, or of the one that called.
    pub session_name: Option<String>,
    /// Whether it came with an external ID, right or wrong.
    pub external_id: bool,
    /// The policy that the session asked for is cut down to.
    pub session_policy: Option<String>,
    /// The bucket asked for.
    pub bucket: Option<String>,
    /// The object's key, once the signature is checked.
    pub key: Option<String>,
    /// The `Host` header that it came with.
    pub host: Option<String>,
    /// The name that the client asked for in its TLS handshake (SNI); none without TLS.
    pub tls_name: Option<String>,
    /// The number of the connection that it came over, from 0.
    pub connection: u64,
    /// Length of the request's body.
    pub bytes: usize,
    /// The answer's HTTP status; none if the connection was cut instead.
    pub status: Option<u16>,
    /// The answer's error code.
    pub error_code: Option<String>,
}

/// How often each operation ended how: `ok`, `cut`, or an error code.
pub type Counts = BTreeMap<(Service, &'static str, Cow<'static, str>), u64>;

pub(crate) struct Calls {
    /// Whether calls are kept whole.
    pub(crate) recording: bool,
    log: Mutex<Log>,
    sender: broadcast::Sender<Arc<Call>>,
}

#[derive(Default)]
struct Log {
    latest: VecDeque<Arc<Call>>,
    counts: Counts,
}

impl Calls {
    pub(crate) fn new(recording: bool) -> Calls {
        Calls { recording, log: Mutex::default(), sender: broadcast::Sender::new(BACKLOG) }
    }

    /// Counts a call, and keeps what `call` makes of it if calls are kept.
    pub(crate) fn add(
        &self,
        service: Service,
        operation: &'static str,
        outcome: Cow<'static, str>,
        call: impl FnOnce() -> Call,
    ) {
        let call = self.recording.then(|| Arc::new(call()));
        let mut log = self.log();
        *log.counts.entry((service, operation, outcome)).or_default() += 1;
        if let Some(call) = call {
            if log.latest.len() == KEPT {
                log.latest.pop_front();
            }
            log.latest.push_back(Arc::clone(&call));
            // Sent under the lock, so that subscribers see the calls in their order here.
            // An error only means that nobody listens.
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

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock()
    }
}
