//! Texts and metric reasons for API server errors: kube's `Display` prints the whole `Status` twice.

use kube::runtime::watcher;
use tributary_runtime::errors::causes;

/// The text of a failed request: message, code and reason of the `Status`, else the chain of causes.
pub fn error_text(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({} {})", status.message, status.code, status.reason),
        _ => causes(error),
    }
}

/// The reason of a failed request for metrics, from a closed set ([`REASONS`](crate::apply::REASONS)).
pub fn api_reason(error: &kube::Error) -> &'static str {
    match error {
        kube::Error::Api(status) => match status.code {
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            422 => "Invalid",
            429 => "Throttled",
            500.. => "ServerError",
            _ => "Refused",
        },
        _ => "Unreachable",
    }
}

/// The text of a failed watch, like [`error_text`].
pub fn watch_error_text(error: &watcher::Error) -> String {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => error_text(error),
        WatchError(status) => error_text(&kube::Error::Api(status.clone())),
        NoResourceVersion => error.to_string(),
    }
}

/// Whether a request was refused because its namespace is being deleted.
pub fn is_namespace_terminating(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::json;

    use super::*;

    fn forbidden() -> kube::Error {
        let status: Status = serde_json::from_value(json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 403,
            "reason": "Forbidden", "message": "services \"orders\" is forbidden: it is being terminated",
            "details": {"name": "orders", "kind": "services", "causes": [
                {"reason": "NamespaceTerminating", "message": "namespace shop is being terminated", "field": "x"},
            ]},
        }))
        .unwrap();
        kube::Error::Api(Box::new(status))
    }

    #[test]
    fn an_error_text_is_the_message_with_code_and_reason() {
        let text = "services \"orders\" is forbidden: it is being terminated (403 Forbidden)";
        assert_eq!(error_text(&forbidden()), text);
        assert_eq!(watch_error_text(&watcher::Error::WatchStartFailed(forbidden())), text);
    }

    #[test]
    fn a_terminating_namespace_is_distinguished_from_other_refusals() {
        assert!(is_namespace_terminating(&forbidden()));
        let other = Status::failure("no", "Forbidden").with_code(403);
        assert!(!is_namespace_terminating(&kube::Error::Api(other.boxed())));
    }
}
