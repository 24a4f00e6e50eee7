//! Defines [`Blocker`], the one form of every reason why events can't be stored: failures of STS, S3 and Secrets.

use tributary_crds::conditions::Reason;

/// Why events can't be stored now. Conditions and logs show all of it; a client gets only the reason, with a 503.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The machine-readable reason, from a closed set.
    pub reason: Reason,
    /// The cause and the fix, for people. May name roles, buckets and Secrets.
    pub message: String,
}
