//! What is learnt of a call on its way, for the record and for the next stage.

use std::sync::OnceLock;
use std::time::SystemTime;

use crate::caller::Caller;

/// One call.
pub(crate) struct CallContext {
    /// The answer's request id.
    pub(crate) request_id: String,
    /// Who signed it.
    pub(crate) caller: OnceLock<Caller>,
    /// The object's key, decoded.
    pub(crate) key: OnceLock<String>,
    /// What was wrong with its time, which S3's answer shows.
    pub(crate) skew: OnceLock<Skew>,
}

impl CallContext {
    pub(crate) fn new(request_id: String) -> CallContext {
        CallContext { request_id, caller: OnceLock::new(), key: OnceLock::new(), skew: OnceLock::new() }
    }
}

/// The two times that are too far apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skew {
    /// When the request was signed, in the signature's own format.
    pub(crate) signed: String,
    /// When it was received.
    pub(crate) received: SystemTime,
    /// Whether it was signed later than it may have been, rather than earlier.
    pub(crate) in_future: bool,
}
