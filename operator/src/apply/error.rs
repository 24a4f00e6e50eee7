//! Why applying a child failed, with the reason for conditions and metrics.

use kube::Resource;
use tributary_crds::conditions::Reason;

use crate::api_error::{api_reason, error_text, is_namespace_terminating};
use crate::finding::Problem;

/// Why a child could not be applied or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// An object that isn't the function's has the child's name.
    #[error(
        "the name {name} is taken: there is a {kind} {name} in the namespace, and {owner}; delete or rename it, or give the function another name"
    )]
    Clash {
        /// The kind of that object.
        kind: String,
        /// Its name.
        name: String,
        /// Its owner, as a clause for the message.
        owner: String,
    },
    /// The child of a deleted function of the same name still exists.
    #[error(
        "the {kind} {name} of a function of the same name that was deleted is still there; the garbage collector removes it"
    )]
    Orphaned {
        /// The child's kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The API server refused, or did not answer.
    #[error("the {kind} {name} can't be written: {}", error_text(source))]
    Api {
        /// The child's kind.
        kind: String,
        /// Its name.
        name: String,
        /// Its answer, or why there is none.
        source: kube::Error,
    },
}

impl ApplyError {
    pub(super) fn api<K: Resource<DynamicType = ()>>(name: &str, source: kube::Error) -> Self {
        Self::Api { kind: K::kind(&()).into_owned(), name: name.to_owned(), source }
    }

    /// The problem to report in the function's conditions; `None` if a retry is expected to succeed.
    pub fn problem(&self) -> Option<Problem> {
        let problem = |reason, message| Some(Problem { reason, message });
        match self {
            Self::Clash { .. } => problem(Reason::NameClash, self.to_string()),
            Self::Orphaned { .. } => problem(Reason::Progressing, self.to_string()),
            Self::Api { source: source @ kube::Error::Api(status), kind, name } => match status.code {
                // A race that the next reconcile settles, or an overloaded or failing API server.
                409 | 429 | 500.. => None,
                403 if status.message.contains("exceeded quota") => problem(
                    Reason::QuotaExceeded,
                    format!(
                        "the namespace's quota leaves no room for the {kind} {name}: raise it. Kubernetes said: {}",
                        status.message
                    ),
                ),
                _ => {
                    // A namespace that is being deleted refuses everything.
                    let passes = status.code == 404 || is_namespace_terminating(source);
                    let reason = if passes { Reason::Progressing } else { Reason::Forbidden };
                    problem(reason, format!("the {kind} {name} can't be written: {}", status.message))
                }
            },
            Self::Api { .. } => None,
        }
    }

    /// Whether an object of others has the name of the function's Service.
    pub fn is_clash_of_service(&self) -> bool {
        matches!(self, Self::Clash { kind, .. } if kind == "Service")
    }

    /// Whether the API server refused the write: RBAC, admission or a quota did.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Api { source: kube::Error::Api(status), .. } if matches!(status.code, 403 | 422))
    }

    /// The reason for metrics, one of [`REASONS`].
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Clash { .. } => "NameClash",
            Self::Orphaned { .. } => "Orphaned",
            Self::Api { source, .. } => api_reason(source),
        }
    }
}

/// All reasons of a failed reconcile: those of [`ApplyError::reason`], of `api_reason`, and `Timeout`.
pub const REASONS: [&str; 11] = [
    "Conflict",
    "Forbidden",
    "Invalid",
    "NameClash",
    "NotFound",
    "Orphaned",
    "Refused",
    "ServerError",
    "Throttled",
    "Timeout",
    "Unreachable",
];

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn every_error_has_a_reason_of_the_closed_set() {
        for code in 400..600 {
            let error = kube::Error::Api(Box::new(Status { code, ..Status::default() }));
            assert!(REASONS.contains(&api_reason(&error)), "{code}");
        }
        let (kind, name) = ("Service".to_owned(), "orders".to_owned());
        let clash = ApplyError::Clash { kind: kind.clone(), name: name.clone(), owner: String::new() };
        for error in [clash, ApplyError::Orphaned { kind, name }] {
            assert!(REASONS.contains(&error.reason()), "{error}");
        }
    }
}
