//! Refuses Transfer-Encodings that hyper accepts and a proxy may interpret differently: request smuggling. Pure.

use hyper::header::{CONNECTION, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use hyper::{Response, StatusCode};

use super::answer::{Answer, AnswerBody, RejectedEvents};

/// Refuses a request whose Transfer-Encoding is anything but a single `chunked`, and closes the connection. hyper
/// expects `chunked` at the end of the last coding; a proxy that follows another coding sees other requests in the same
/// bytes (RFC 9112, 11.2). A Content-Length beside it can't be checked here: hyper removes it, and makes the request
/// the last on its connection.
pub(crate) fn refuse(headers: &HeaderMap) -> Option<Response<AnswerBody>> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = codings.next()?.as_bytes().eq_ignore_ascii_case(b"chunked");
    if chunked && codings.next().is_none() {
        return None;
    }
    let refused = Answer::Refused {
        status: StatusCode::BAD_REQUEST,
        code: "unknown_transfer_encoding",
        message: "the Transfer-Encoding is not just \"chunked\"".to_owned(),
        rejected: RejectedEvents::default(),
    };
    let mut response = refused.into_response();
    // Where the next request begins is unknown, since it is unknown where this one ends.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_chunked_coding_is_accepted() {
        let refused = |codings: &[&str]| {
            refuse(&codings.iter().map(|coding| (TRANSFER_ENCODING, coding.parse().unwrap())).collect()).is_some()
        };
        for accepted in [&[][..], &["chunked"], &["CHUNKED"]] {
            assert!(!refused(accepted), "{accepted:?}");
        }
        for codings in
            [&["gzip, chunked"][..], &["chunked, chunked"], &["identity", "chunked"], &["chunked", "chunked"]]
        {
            assert!(refused(codings), "{codings:?}");
        }
    }
}
