//! Classifies requests to the API server by verb and kind, from two closed sets, for metrics. Pure.

use hyper::{Method, Request};

/// A verb as in RBAC and a kind as in manifests, or `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRequest {
    /// The verb, for example `patch`.
    pub verb: &'static str,
    /// The kind, for example `Deployment`.
    pub kind: &'static str,
}

/// The plurals in request paths, and their kinds.
const KINDS: [(&str, &str); 11] = [
    ("configmaps", "ConfigMap"),
    ("deployments", "Deployment"),
    ("destinationfunctions", "DestinationFunction"),
    ("events", "Event"),
    ("leases", "Lease"),
    ("networkpolicies", "NetworkPolicy"),
    ("poddisruptionbudgets", "PodDisruptionBudget"),
    ("pods", "Pod"),
    ("replicasets", "ReplicaSet"),
    ("serviceaccounts", "ServiceAccount"),
    ("services", "Service"),
];

/// The verb and kind of a request; subresources count as their kind.
pub fn describe<B>(request: &Request<B>) -> ApiRequest {
    let path = Path::of(request.uri().path());
    let kind = KINDS.iter().find(|(plural, _)| *plural == path.plural).map_or("other", |(_, kind)| kind);
    let verb = match *request.method() {
        Method::GET if is_watch(request) => "watch",
        Method::GET if path.named => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    };
    ApiRequest { verb, kind }
}

/// Whether the request has the query parameter `watch=true`.
pub fn is_watch<B>(request: &Request<B>) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"))
}

struct Path<'a> {
    plural: &'a str,
    named: bool,
}

impl<'a> Path<'a> {
    /// Parses `/api/v1/…` or `/apis/group/version/…`, with `namespaces/name/…` for namespaced objects.
    fn of(path: &'a str) -> Self {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let skipped = if segments.next() == Some("apis") { 2 } else { 1 };
        let mut segments = segments.skip(skipped).peekable();
        let mut plural = segments.next().unwrap_or_default();
        if plural == "namespaces" {
            let mut rest = segments.clone().skip(1);
            if let Some(within) = rest.next() {
                plural = within;
                return Self { plural, named: rest.next().is_some() };
            }
        }
        Self { plural, named: segments.peek().is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_classified_by_verb_and_kind() {
        for (method, uri, verb, kind) in [
            (Method::GET, "/api/v1/pods?watch=true&labelSelector=a", "watch", "Pod"),
            (Method::GET, "/apis/apps/v1/deployments?limit=500", "list", "Deployment"),
            (Method::GET, "/apis/apps/v1/namespaces/shop/deployments/orders", "get", "Deployment"),
            (Method::POST, "/api/v1/namespaces/shop/services", "create", "Service"),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/shop/events", "create", "Event"),
            (
                Method::PATCH,
                "/apis/tributary.dev/v1alpha1/namespaces/shop/destinationfunctions/orders/status?force=true",
                "patch",
                "DestinationFunction",
            ),
            (Method::DELETE, "/api/v1/namespaces/shop/configmaps/orders-1", "delete", "ConfigMap"),
            (Method::GET, "/api/v1/namespaces/shop", "get", "other"),
            (Method::GET, "/version", "list", "other"),
        ] {
            let request = Request::builder().method(method).uri(uri).body(()).unwrap();
            assert_eq!(describe(&request), ApiRequest { verb, kind }, "{uri}");
        }
    }
}
