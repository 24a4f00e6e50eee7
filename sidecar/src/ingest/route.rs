//! Routes requests by method and path. Pure.

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

/// Returns the route, and the path's metric label, which is one of [`PATHS`].
pub(crate) fn route(method: &Method, path: &str) -> (Route, &'static str) {
    // Several libraries end the path with a slash; the browser's uses one letter per type; older Java and Go libraries
    // send batches to `import`.
    let (route, label) = match path.strip_suffix('/').unwrap_or(path) {
        "/v1/track" | "/v1/t" => (Route::Single(EventType::Segment(SegmentType::Track)), "/v1/track"),
        "/v1/identify" | "/v1/i" => (Route::Single(EventType::Segment(SegmentType::Identify)), "/v1/identify"),
        "/v1/page" | "/v1/p" => (Route::Single(EventType::Segment(SegmentType::Page)), "/v1/page"),
        "/v1/screen" | "/v1/s" => (Route::Single(EventType::Segment(SegmentType::Screen)), "/v1/screen"),
        "/v1/group" | "/v1/g" => (Route::Single(EventType::Segment(SegmentType::Group)), "/v1/group"),
        "/v1/alias" | "/v1/a" => (Route::Single(EventType::Segment(SegmentType::Alias)), "/v1/alias"),
        "/v1/batch" | "/v1/b" | "/v1/import" => (Route::Batch, "/v1/batch"),
        // The comparison excludes an empty path, which a CONNECT request has.
        "" if path == "/" => (Route::Webhook, "/"),
        _ => return (Route::NotFound, OTHER_PATH),
    };
    match *method {
        Method::POST => (route, label),
        Method::OPTIONS => (Route::Preflight, label),
        _ => (Route::MethodNotAllowed, label),
    }
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
        for path in ["/v1/b", "/v1/import", "/v1/import/", "/v1/batch/"] {
            assert_eq!(post(path), (Route::Batch, "/v1/batch"), "{path}");
        }
        for (path, r#type) in
            [("t", "track"), ("i", "identify"), ("p", "page"), ("s", "screen"), ("g", "group"), ("a", "alias")]
        {
            let (long, label) = post(&format!("/v1/{type}/"));
            assert_eq!(long, Route::Single(EventType::parse(r#type).unwrap()));
            assert_eq!(label, format!("/v1/{type}"));
            assert_eq!(post(&format!("/v1/{path}")), (long, label));
        }
        assert_eq!(post("/"), (Route::Webhook, "/"));
        assert_eq!(post("//"), (Route::NotFound, "other"));
        assert_eq!(post(""), (Route::NotFound, "other"));
        assert_eq!(post("/v1/track//"), (Route::NotFound, "other"));
        assert_eq!(post("/v1/tracks"), (Route::NotFound, "other"));
        assert_eq!(post("/v2/track"), (Route::NotFound, "other"));
        assert_eq!(route(&Method::GET, "/v1/track"), (Route::MethodNotAllowed, "/v1/track"));
        assert_eq!(route(&Method::OPTIONS, "/v1/t"), (Route::Preflight, "/v1/track"));
        assert_eq!(route(&Method::OPTIONS, "/v2/t"), (Route::NotFound, "other"));
    }
}
