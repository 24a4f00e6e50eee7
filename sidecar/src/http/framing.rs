//! Recognizes Transfer-Encodings that hyper accepts and a proxy may interpret differently: request smuggling. Pure.

use hyper::header::{HeaderMap, TRANSFER_ENCODING};

/// Whether it is unclear where the request's body ends: its Transfer-Encoding is anything but a single `chunked`. hyper
/// expects `chunked` at the end of the last coding; a proxy that follows another coding sees other requests in the same
/// bytes (RFC 9112, 11.2). A Content-Length beside it can't be checked here: hyper removes it, and makes the request
/// the last on its connection.
pub(crate) fn has_ambiguous_end(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.next().is_some_and(|first| !first.as_bytes().eq_ignore_ascii_case(b"chunked") || codings.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_chunked_coding_is_accepted() {
        let refused = |codings: &[&str]| {
            has_ambiguous_end(&codings.iter().map(|coding| (TRANSFER_ENCODING, coding.parse().unwrap())).collect())
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
