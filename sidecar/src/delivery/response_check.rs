//! Verifies that S3 itself answered a request, and that the answer is about this object.
//!
//! Not every 200 to a PUT means a stored object: a proxy's page, another server behind a
//! wrong endpoint, or the answer to an earlier request on a desynchronized connection would acknowledge an object
//! that was never stored. An answer that is not S3's, or is about another object, is an error.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hyper::header::{ETAG, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

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

#[cfg(test)]
mod tests {
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
}
