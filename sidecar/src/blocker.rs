//! Why events can't be stored now: what STS, S3 and the Secrets come to, in one form.

use tributary_crds::conditions::Reason;

/// Why events can't be stored now: what a client is told with a 503.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// For machines.
    pub reason: Reason,
    /// For people, with what to do.
    pub message: String,
}
