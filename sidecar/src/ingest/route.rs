//! Routes requests by method and path: events, preflights and load balancers' health checks. Pure.

use hyper::Method;
use tributary_crds::function::SegmentType;

use crate::event::EventType;

/// The route of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A single event, whose type the path gives.
    Single(EventType),
    /// A batch of events.
    Batch,
    /// A request of Segment's webhook destination: an event, or an array of events.
    Webhook,
    /// A browser's CORS preflight for one of these paths.
    Preflight,
    /// A load balancer's health check.
    Health,
    /// A known path with a method other than POST and OPTIONS.
    MethodNotAllowed,
    /// An unknown path.
    NotFound,
}

/// Every label that [`route`] returns for a path, [`OTHER_PATH`] included.
pub(crate) const PATHS: [&str; 9] =
    ["/v1/track", "/v1/identify", "/v1/page", "/v1/screen", "/v1/group", "/v1/alias", "/v1/batch", "/", OTHER_PATH];

/// The label of all unknown paths.
pub(crate) const OTHER_PATH: &str = "other";

/// Returns the route, and the path's label for metrics and logs, which is one of [`PATHS`].
pub(crate) fn route(method: &Method, path: &str) -> (Route, &'static str) {
    // An Application Load Balancer and Google's load balancers check `/` by default; `/readyz` is the admin port's.
    if matches!(*method, Method::GET | Method::HEAD) && matches!(path, "/" | "/healthz" | "/readyz") {
        return (Route::Health, OTHER_PATH);
    }
    let single = |event_type| Route::Single(EventType::Segment(event_type));
    // Several libraries end the path with a slash.
    let (route, label) = match name(path.strip_suffix('/').unwrap_or(path)) {
        Some("track" | "t") => (single(SegmentType::Track), "/v1/track"),
        Some("identify" | "i") => (single(SegmentType::Identify), "/v1/identify"),
        Some("page" | "p") => (single(SegmentType::Page), "/v1/page"),
        Some("screen" | "s") => (single(SegmentType::Screen), "/v1/screen"),
        Some("group" | "g") => (single(SegmentType::Group), "/v1/group"),
        Some("alias" | "a") => (single(SegmentType::Alias), "/v1/alias"),
        // Older Java and Go libraries send batches to `import`.
        Some("batch" | "b" | "import") => (Route::Batch, "/v1/batch"),
        _ if path == "/" => (Route::Webhook, "/"),
        _ => return (Route::NotFound, OTHER_PATH),
    };
    match *method {
        Method::POST => (route, label),
        Method::OPTIONS => (Route::Preflight, label),
        _ => (Route::MethodNotAllowed, label),
    }
}

/// The part of a path that names the type. A proxy in front of the sidecar may have removed `/v1`, the libraries for
/// browsers and mobile devices use one letter per type, and RudderStack's beacons have a prefix of their own.
fn name(path: &str) -> Option<&str> {
    ["/v1/", "/beacon/v1/", "/"].iter().find_map(|prefix| path.strip_prefix(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_route() {
        let post = |path: &str| {
            let (route, label) = route(&Method::POST, path);
            assert!(PATHS.contains(&label), "{label}");
            (route, label)
        };
        assert_eq!(post("/v1/track"), (Route::Single(EventType::Segment(SegmentType::Track)), "/v1/track"));
        assert_eq!(post("/v1/alias"), (Route::Single(EventType::Segment(SegmentType::Alias)), "/v1/alias"));
        assert_eq!(post("/v1/batch"), (Route::Batch, "/v1/batch"));
        for path in ["/v1/b", "/v1/import", "/v1/import/", "/v1/batch/", "/b", "/batch", "/beacon/v1/batch"] {
            assert_eq!(post(path), (Route::Batch, "/v1/batch"), "{path}");
        }
        for (path, r#type) in
            [("t", "track"), ("i", "identify"), ("p", "page"), ("s", "screen"), ("g", "group"), ("a", "alias")]
        {
            let (long, label) = post(&format!("/v1/{type}/"));
            assert_eq!(long, Route::Single(EventType::parse(r#type).unwrap()));
            assert_eq!(label, format!("/v1/{type}"));
            for same in [format!("/v1/{path}"), format!("/{path}"), format!("/{type}"), format!("/{path}/")] {
                let (route, seen) = post(&same);
                assert_eq!((&route, seen), (&long, label), "{same}");
            }
        }
        assert_eq!(post("/"), (Route::Webhook, "/"));
        assert_eq!(post("//"), (Route::NotFound, "other"));
        assert_eq!(post(""), (Route::NotFound, "other"));
        assert_eq!(post("/v1/track//"), (Route::NotFound, "other"));
        for unknown in ["/v1/tracks", "/v1", "/v1/", "/v1/v1/track", "/beacon/batch", "/x/track", "/T", "/v1//t"] {
            assert_eq!(post(unknown), (Route::NotFound, "other"), "{unknown}");
        }
        assert_eq!(post("/v2/track"), (Route::NotFound, "other"));
        assert_eq!(route(&Method::GET, "/v1/track"), (Route::MethodNotAllowed, "/v1/track"));
        for path in ["/", "/healthz", "/readyz"] {
            assert_eq!(route(&Method::GET, path).0, Route::Health, "{path}");
            assert_eq!(route(&Method::HEAD, path).0, Route::Health, "{path}");
        }
        assert_eq!(post("/healthz"), (Route::NotFound, "other"));
        assert_eq!(route(&Method::PUT, "/"), (Route::MethodNotAllowed, "/"));
        assert_eq!(route(&Method::OPTIONS, "/v1/t"), (Route::Preflight, "/v1/track"));
        assert_eq!(route(&Method::OPTIONS, "/v2/t"), (Route::NotFound, "other"));
    }
}
