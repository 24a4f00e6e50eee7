//! Collects what the stages of one call find out, for later stages and for the record of calls.

use std::sync::OnceLock;
use std::time::SystemTime;

use crate::caller::Caller;

/// The context of one call. Each `OnceLock` is set by the stage that finds out its value.
pub(crate) struct CallContext {
    /// The request ID of the answer.
    pub(crate) request_id: String,
    /// The signer, once its credentials are accepted.
    pub(crate) caller: OnceLock<Caller>,
    /// The object's key, percent-decoded.
    pub(crate) key: OnceLock<String>,
    /// The skew for which the request was refused; S3's error shows it.
    pub(crate) skew: OnceLock<Skew>,
}

impl CallContext {
    pub(crate) fn new(request_id: String) -> CallContext {
        CallContext { request_id, caller: OnceLock::new(), key: OnceLock::new(), skew: OnceLock::new() }
    }
}

/// A signing time and a server time that are too far apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skew {
    /// When the request was signed, in the signature's own format.
    pub(crate) signed: String,
    /// The server's time when the request was checked.
    pub(crate) received: SystemTime,
    /// Whether the signing time is in the future, rather than in the past.
    pub(crate) in_future: bool,
}
