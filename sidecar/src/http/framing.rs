//! Framing that hyper takes and another server may read otherwise. Pure.

use hyper::header::{CONNECTION, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use hyper::{Response, StatusCode};

use super::answer::{Answer, AnswerBody, RejectedEvents};

/// Refuses a body that is anything but in chunks once, and the connection with it. hyper looks for
/// `chunked` at the end of the last coding; a proxy that goes by another one sees other requests in
/// the same bytes (RFC 9112, 11.2). If it also has a Content-Length, hyper makes the connection's
/// last request and tells nobody.
pub(super) fn refuse(headers: &HeaderMap) -> Option<Response<AnswerBody>> {
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
    // Where the next request begins is as uncertain as where this one ends.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunked_is_the_only_coding_and_there_is_one() {
        let refused = |codings: &[&str]| {
            refuse(&codings.iter().map(|coding| (TRANSFER_ENCODING, coding.parse().unwrap())).collect()).is_some()
        };
        for taken in [&[][..], &["chunked"], &["CHUNKED"]] {
            assert!(!refused(taken), "{taken:?}");
        }
        for codings in
            [&["gzip, chunked"][..], &["chunked, chunked"], &["identity", "chunked"], &["chunked", "chunked"]]
        {
            assert!(refused(codings), "{codings:?}");
        }
    }
}
