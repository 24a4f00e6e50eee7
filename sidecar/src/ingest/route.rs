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
    /// A path of ours, but not with this method.
    MethodNotAllowed,
    /// No path of ours.
    NotFound,
}

/// Finds the route, and the path as a metric's label: from a closed set.
pub(crate) fn route(method: &Method, path: &str) -> (Route, &'static str) {
    let (route, label) = match path {
        "/v1/track" => (Route::Single(EventType::Track), "/v1/track"),
        "/v1/identify" => (Route::Single(EventType::Identify), "/v1/identify"),
        "/v1/page" => (Route::Single(EventType::Page), "/v1/page"),
        "/v1/screen" => (Route::Single(EventType::Screen), "/v1/screen"),
        "/v1/group" => (Route::Single(EventType::Group), "/v1/group"),
        "/v1/alias" => (Route::Single(EventType::Alias), "/v1/alias"),
        "/v1/batch" => (Route::Batch, "/v1/batch"),
        _ => return (Route::NotFound, "other"),
    };
    if method == Method::POST { (route, label) } else { (Route::MethodNotAllowed, label) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_route() {
        let post = |path| route(&Method::POST, path);
        assert_eq!(post("/v1/track"), (Route::Single(EventType::Track), "/v1/track"));
        assert_eq!(post("/v1/alias"), (Route::Single(EventType::Alias), "/v1/alias"));
        assert_eq!(post("/v1/batch"), (Route::Batch, "/v1/batch"));
        assert_eq!(post("/v1/tracks"), (Route::NotFound, "other"));
        assert_eq!(post("/v2/track"), (Route::NotFound, "other"));
        assert_eq!(route(&Method::GET, "/v1/track"), (Route::MethodNotAllowed, "/v1/track"));
    }
}
