//! Answers CORS requests: which web pages may send events from browsers. Pure.
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};
use tributary_crds::function;
use tributary_crds::values::Origin;

/// How long browsers may cache a preflight's answer, in seconds: the most that Chromium allows.
const PREFLIGHT_MAX_AGE_SECONDS: u32 = 7_200;

/// The origins whose pages may send events.
#[derive(Debug)]
pub(super) struct Cors {
    origins: Vec<Origin>,
}

/// The CORS headers of a request: `Origin` and, in a preflight, `Access-Control-Request-Headers`.
pub(super) struct CorsRequest {
    origin: Option<HeaderValue>,
    headers: Option<HeaderValue>,
}

impl CorsRequest {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self { origin: headers.get(ORIGIN).cloned(), headers: headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned() }
    }
}

impl Cors {
    pub(super) fn new(cors: &function::Cors) -> Self {
        Self { origins: cors.allowed_origins.clone() }
    }

    /// Adds the headers that allow the page to read the answer. For an origin that is not allowed they are absent, so its
    /// browser hides the answer from the page.
    pub(super) fn allow(&self, request: &CorsRequest, answer: &mut HeaderMap) {
        // The answer depends on the origin, so a cache must not serve it to another.
        answer.insert(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = request.origin.as_ref().filter(|origin| self.allows(origin)) {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
        }
    }

    /// Adds the headers of a preflight's answer. All requested headers are allowed: no header has more effect from a browser
    /// than from any other client.
    pub(super) fn allow_preflight(&self, request: &CorsRequest, answer: &mut HeaderMap) {
        self.allow(request, answer);
        if answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
            answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(PREFLIGHT_MAX_AGE_SECONDS));
            if let Some(headers) = &request.headers {
                answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
            }
        }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let same = |allowed: &Origin| allowed.as_str().as_bytes().eq_ignore_ascii_case(origin.as_bytes());
        self.origins.iter().any(|allowed| allowed.as_str() == "*" || same(allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str]) -> Cors {
        Cors { origins: origins.iter().map(|origin| origin.parse().unwrap()).collect() }
    }

    fn request(origin: Option<&'static str>) -> CorsRequest {
        CorsRequest {
            origin: origin.map(HeaderValue::from_static),
            headers: Some(HeaderValue::from_static("authorization,content-type")),
        }
    }

    fn answer(cors: &Cors, origin: Option<&'static str>) -> (Option<String>, Option<String>) {
        let mut headers = HeaderMap::new();
        cors.allow_preflight(&request(origin), &mut headers);
        assert_eq!(headers[VARY], "origin");
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        (text(ACCESS_CONTROL_ALLOW_ORIGIN), text(ACCESS_CONTROL_ALLOW_HEADERS))
    }

    #[test]
    fn only_allowed_origins_may_send() {
        let cors = cors(&["https://www.example.com", "http://localhost:3000"]);
        for origin in ["https://www.example.com", "http://localhost:3000"] {
            let headers = Some("authorization,content-type".to_owned());
            assert_eq!(answer(&cors, Some(origin)), (Some(origin.to_owned()), headers));
        }
        for origin in ["https://example.com", "http://www.example.com", "https://www.example.com.evil.org", "null"] {
            assert_eq!(answer(&cors, Some(origin)), (None, None), "{origin}");
        }
        assert_eq!(answer(&cors, None), (None, None));
    }

    #[test]
    fn a_star_allows_every_origin() {
        assert_eq!(answer(&cors(&["*"]), Some("https://any.example")).0.as_deref(), Some("https://any.example"));
    }

    #[test]
    fn an_answer_names_the_origin_and_no_more() {
        let mut headers = HeaderMap::new();
        cors(&["*"]).allow(&request(Some("https://a.example")), &mut headers);
        assert!(headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_METHODS));
    }
}
