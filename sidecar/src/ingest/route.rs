//! Which path takes what. Pure.

use hyper::Method;

use crate::event::EventType;

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A single event of a type.
    Single(EventType),
    /// A batch.
    Batch,
    /// What a webhook destination sends: an event, or an array of events.
    Webhook,
    /// A browser that asks whether it may send to one of these.
    Preflight,
    /// A path of ours, but not with this method.
    MethodNotAllowed,
    /// No path of ours.
    NotFound,
}

/// Every label of a path that [`route`] gives, and `other`.
pub(crate) const PATHS: [&str; 9] =
    ["/v1/track", "/v1/identify", "/v1/page", "/v1/screen", "/v1/group", "/v1/alias", "/v1/batch", "/", OTHER_PATH];

/// The label of all paths that are not ours.
pub(crate) const OTHER_PATH: &str = "other";

/// Finds the route, and the path as a metric's label: from a closed set.
pub(crate) fn route(method: &Method, path: &str) -> (Route, &'static str) {
    // Several libraries end the path with a slash; the browser's has one letter for each type; the
    // older Java and Go ones send batches to `import`.
    let (route, label) = match path.strip_suffix('/').unwrap_or(path) {
        "/v1/track" | "/v1/t" => (Route::Single(EventType::Track), "/v1/track"),
        "/v1/identify" | "/v1/i" => (Route::Single(EventType::Identify), "/v1/identify"),
        "/v1/page" | "/v1/p" => (Route::Single(EventType::Page), "/v1/page"),
        "/v1/screen" | "/v1/s" => (Route::Single(EventType::Screen), "/v1/screen"),
        "/v1/group" | "/v1/g" => (Route::Single(EventType::Group), "/v1/group"),
        "/v1/alias" | "/v1/a" => (Route::Single(EventType::Alias), "/v1/alias"),
        "/v1/batch" | "/v1/b" | "/v1/import" => (Route::Batch, "/v1/batch"),
        // A request to an authority has no path at all.
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
        assert_eq!(post("/v1/track"), (Route::Single(EventType::Track), "/v1/track"));
        assert_eq!(post("/v1/alias"), (Route::Single(EventType::Alias), "/v1/alias"));
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
