//! Verifies that S3 itself answered a request, and that the answer is about this object.
//!
//! Not every 200 to a PUT means a stored object: a proxy's page, another server behind a
//! wrong endpoint, or the answer to an earlier request on a desynchronized connection would acknowledge an object
//! that was never stored. An answer that is not S3's, or is about another object, is an error, from which [`excerpt`]
//! quotes the start.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hyper::header::{ETAG, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use crate::aws_client::MAX_BODY_BYTES;
use crate::redact::redact;

/// Maximum characters of a body that are quoted.
const MAX_EXCERPT_CHARS: usize = 100;

/// Length from which a run of letters, digits and `+/=_-` may be a key or a token: an access key ID has 20
/// characters.
const MIN_SECRET_CHARS: usize = 20;

/// Length in bytes of a sequence from the object that marks an answer as an echo of it.
const ECHO_BYTES: usize = 12;

/// Recognizes success. There is one per store, since it remembers whether the store returns checksums.
#[derive(Debug, Default)]
pub(super) struct ResponseCheck {
    /// Whether the store has returned a checksum: then it returns one for each PUT, and an answer without it belongs
    /// to another request.
    repeats: AtomicBool,
}

impl ResponseCheck {
    /// Whether S3 has fulfilled the request: it answers 200 then, and no other status. An upload has `sent` a checksum; a
    /// store that returns any checksum returns each.
    pub(super) fn is_success(&self, response: &Response<Bytes>, sent: Option<(&HeaderName, &HeaderValue)>) -> bool {
        let headers = response.headers();
        // Whether the answer has the same checksum; `None` if it has none of this kind.
        let repeated = sent.and_then(|(name, value)| headers.get(name).map(|stored| stored == value));
        // S3 answers a PUT without a body. If there is one, a proxy in between may have kept S3's headers.
        let is_s3s = response.body().is_empty() && (headers.contains_key(ETAG) || has_request_id(headers));
        let is_done = match repeated {
            Some(is_same) => is_same,
            None => is_s3s && !(sent.is_some() && self.repeats.load(Ordering::Relaxed)),
        };
        // Read before it is written: a write invalidates the cache line of other cores, a read does not.
        if repeated == Some(true) && !self.repeats.load(Ordering::Relaxed) {
            self.repeats.store(true, Ordering::Relaxed);
        }
        response.status() == StatusCode::OK && is_done
    }
}

/// Whether the answer has a header that only S3 sets. Other AWS services have headers that look similar
/// (`x-amz-cf-id`, `x-amzn-requestid`).
pub(super) fn has_request_id(headers: &HeaderMap) -> bool {
    ["x-amz-request-id", "x-amz-id-2", "x-amz-bucket-region"].iter().any(|name| headers.contains_key(*name))
}

/// The start of `body` for a message: on one line, without the `secrets` and without anything that looks like a
/// credential. An answer that repeats `sent`, the object, is not quoted at all, since that is the client's data.
pub(super) fn excerpt(body: &[u8], sent: &[u8], secrets: &[&str]) -> String {
    let text = redact(&String::from_utf8_lossy(body), secrets);
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line: String = words.join(" ").chars().take(MAX_EXCERPT_CHARS).collect();
    let sent = &sent[..sent.len().min(4 * MAX_BODY_BYTES)];
    let echoes = |part: &[u8]| sent.windows(ECHO_BYTES).any(|window| window == part);
    if line.as_bytes().windows(ECHO_BYTES).any(echoes) {
        return "(the object itself)".to_owned();
    }
    without_secrets(&line)
}

/// Replaces runs of characters that are long enough to be a key or a token with an ellipsis.
fn without_secrets(line: &str) -> String {
    let is_secret = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-');
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_secret(c) != is_secret(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        out.push_str(if is_secret(first) && run.len() >= MIN_SECRET_CHARS { "…" } else { run });
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    static CHECKSUM_NAME: HeaderName = HeaderName::from_static("x-amz-checksum-crc32");
    static CHECKSUM: HeaderValue = HeaderValue::from_static("AAAAAA==");
    /// The checksum of the upload.
    static SENT: Option<(&HeaderName, &HeaderValue)> = Some((&CHECKSUM_NAME, &CHECKSUM));

    fn response(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status.try_into().unwrap();
        for (name, value) in headers {
            response.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        response
    }

    #[test]
    fn only_a_200_with_s3s_headers_is_success() {
        for (status, headers, body, success) in [
            (200, &[("etag", "\"0\"")][..], "", true),
            (200, &[("x-amz-request-id", "1")], "", true),
            (200, &[("x-amz-id-2", "1")], "", true),
            (200, &[("x-amz-checksum-crc32", "AAAAAA==")], "", true),
            (200, &[("x-amz-checksum-crc32", "BBBBBB=="), ("etag", "\"0\"")], "", false),
            (200, &[("x-amz-checksum-sha256", "AAAAAA==")], "", false),
            (200, &[("x-amz-checksum-type", "FULL_OBJECT")], "", false),
            (200, &[("x-amz-checksum-type", "FULL_OBJECT")], "<html>", false),
            (200, &[("x-amz-request-id", "1")], "<ListBucketResult/>", false),
            (200, &[("x-amz-request-id", "1"), ("x-amz-checksum-crc32", "AAAAAA==")], " ", true),
            // CloudFront, API Gateway, a load balancer.
            (200, &[("x-amz-cf-id", "1")], "", false),
            (200, &[("x-amzn-requestid", "1"), ("x-amz-apigw-id", "1")], "{}", false),
            (200, &[("x-amzn-trace-id", "1")], "ok", false),
            (200, &[], "", false),
            (200, &[("content-type", "text/html")], "<html>", false),
            // A web server's page with an ETag.
            (200, &[("etag", "W/\"1\"")], "<html>", false),
            (200, &[("etag", "\"1\"")], "<html>", false),
            (201, &[("etag", "\"0\"")], "", false),
            (202, &[("x-amz-request-id", "1")], "", false),
            (204, &[("x-amz-request-id", "1")], "", false),
            (206, &[("etag", "\"0\"")], "", false),
            (101, &[("x-amz-request-id", "1")], "", false),
        ] {
            let answer = response(status, headers, body);
            let is_success = ResponseCheck::default().is_success(&answer, SENT);
            assert_eq!(is_success, success, "{status} {headers:?} {body:?}");
        }
    }

    #[test]
    fn a_store_that_returned_a_checksum_must_return_each() {
        let check = ResponseCheck::default();
        let is_success = |headers| {
            let answer = response(200, headers, "");
            check.is_success(&answer, SENT)
        };
        assert!(is_success(&[("etag", "\"0\"")][..]), "it may never do so");
        assert!(!is_success(&[("x-amz-checksum-crc32", "BBBBBB=="), ("etag", "\"0\"")]));
        assert!(is_success(&[("etag", "\"0\"")]), "a wrong checksum does not count");
        assert!(is_success(&[("x-amz-checksum-crc32", "AAAAAA==")]));
        assert!(!is_success(&[("etag", "\"0\""), ("x-amz-request-id", "1")]), "the answer to another request");
        assert!(is_success(&[("x-amz-checksum-crc32", "AAAAAA==")]));
        let head = response(200, &[("x-amz-request-id", "1"), ("x-amz-bucket-region", "us-west-2")], "");
        assert!(check.is_success(&head, None), "HeadBucket sends no checksum");
    }

    #[test]
    fn an_excerpt_is_one_short_line_without_secrets_or_events() {
        assert_eq!(excerpt(b"<html>\r\n\t<h1>Hello\x00you</h1>", b"", &[]), "<html> <h1>Hello you</h1>");
        assert_eq!(excerpt(b"", b"", &[]), "");
        assert_eq!(excerpt("é".repeat(300).as_bytes(), b"", &[]).chars().count(), 100);
        assert_eq!(excerpt(b"key ASIATRIBUTARYTESTS01, more", b"", &[]), "key \u{2026}, more");
        assert_eq!(
            excerpt(b"you sent {\"email\":\"a@example.com\"}", b"{\"email\":\"a@example.com\"}", &[]),
            "(the object itself)"
        );
        for (body, expected) in [
            ("Cannot PUT /lake/jane%40example.com/m1.json?x-id=PutObject", "Cannot PUT /lake/…?x-id=PutObject"),
            ("<pre>Cannot PUT /lake/jane&#64;example.com/m1.json</pre>", "<pre>Cannot PUT /lake/…</pre>"),
            ("{\"token\":\"Fwo\\/Gz+X\"}", "{\"token\":\"…\"}"),
        ] {
            assert_eq!(excerpt(body.as_bytes(), b"", &["jane@example.com/m1.json", "Fwo/Gz+X"]), expected);
        }
        let cut = format!("{:95}Fwo/Gz+X", "<").replace(' ', "-");
        assert!(!excerpt(cut.as_bytes(), b"", &["Fwo/Gz+X"]).contains("Fwo"), "removed before the text is cut");
    }

    proptest! {
        #[test]
        fn an_excerpt_is_always_one_short_line(body in prop::collection::vec(any::<u8>(), 0..1_000)) {
            let line = excerpt(&body, b"", &[]);
            prop_assert!(line.chars().count() <= MAX_EXCERPT_CHARS);
            prop_assert!(!line.chars().any(|c| c.is_control() || c == '\n'));
        }
    }
}
