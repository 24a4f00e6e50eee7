//! Whether an answer is S3's, and how much of it is read.
//!
//! The SDK takes any 200 to a PUT for a stored object, and drops its body: a proxy's page, or
//! another server behind a wrong endpoint, would acknowledge what nobody stored. It also reads any
//! body into memory to its end. This interceptor bounds the body and turns an answer that S3 does
//! not give into an error, from which [`excerpt`] quotes the start.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextMut,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;
use hyper::body::{Body, Frame};

/// Bytes of an answer's body that are read. S3's errors have less than 2 KiB.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// Characters of a body that are quoted.
const MAX_EXCERPT_CHARS: usize = 100;

/// Length at which a run of letters and digits may be a key or a token: an access key ID has 20 characters.
const SECRET_RUN: usize = 20;

/// Bytes that an answer and the object have in common when the answer repeats the object.
const ECHO_BYTES: usize = 12;

/// The interceptor.
#[derive(Debug)]
pub(super) struct ResponseCheck;

#[derive(Debug, thiserror::Error)]
#[error("the answer is not S3's")]
struct NotS3;

impl Intercept for ResponseCheck {
    fn name(&self) -> &'static str {
        "ResponseCheck"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        if body.content_length().is_none_or(|length| length > MAX_RESPONSE_BYTES as u64) {
            let whole = std::mem::replace(body, SdkBody::taken());
            *body = SdkBody::from_body_1_x(Start { body: whole, left: MAX_RESPONSE_BYTES });
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.output_or_error().is_ok() && !is_success(context.response()) { Err(NotS3.into()) } else { Ok(()) }
    }
}

/// Whether S3 did what it was asked for: 200 is what it answers then, and no other status.
pub(super) fn is_success(response: &HttpResponse) -> bool {
    response.status().as_u16() == 200 && (has_amz_header(response) || has_etag(response))
}

/// A request ID, a checksum, the bucket's region, whichever S3 says.
pub(super) fn has_amz_header(response: &HttpResponse) -> bool {
    response.headers().iter().any(|(name, _)| name.starts_with("x-amz"))
}

/// The stored object's ETag, in an answer without a body as S3's is. A web server's page may have
/// one too.
fn has_etag(response: &HttpResponse) -> bool {
    response.headers().contains_key("etag") && response.body().bytes().is_some_and(<[u8]>::is_empty)
}

/// The start of a body, and no more.
struct Start {
    body: SdkBody,
    left: usize,
}

impl Body for Start {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            end => return Poll::Ready(end),
        };
        let frame = frame.map_data(|mut data| {
            data.truncate(self.left);
            self.left -= data.len();
            data
        });
        Poll::Ready(Some(Ok(frame)))
    }
}

/// The start of `body` for a sentence: on one line, without anything that looks like a credential,
/// and nothing at all of an answer that repeats the object `sent`, which is the client's data.
pub(super) fn excerpt(body: &[u8], sent: &[u8]) -> String {
    let body = &body[..body.len().min(4 * MAX_EXCERPT_CHARS)];
    let text = String::from_utf8_lossy(body);
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line: String = words.join(" ").chars().take(MAX_EXCERPT_CHARS).collect();
    let sent = &sent[..sent.len().min(MAX_RESPONSE_BYTES)];
    let echoes = |part: &[u8]| sent.windows(ECHO_BYTES).any(|window| window == part);
    if line.as_bytes().windows(ECHO_BYTES).any(echoes) {
        return "(the object itself)".to_owned();
    }
    without_secrets(&line)
}

/// Replaces what is long enough to be a key or a token.
fn without_secrets(line: &str) -> String {
    let is_secret = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-');
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_secret(c) != is_secret(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        out.push_str(if is_secret(first) && run.len() >= SECRET_RUN { "…" } else { run });
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full, StreamBody};
    use proptest::prelude::*;

    use super::*;

    fn response(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> HttpResponse {
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        for (name, value) in headers {
            response.headers_mut().insert(*name, *value);
        }
        response
    }

    #[test]
    fn a_200_with_a_mark_of_s3s_is_success() {
        for (status, headers, body, success) in [
            (200, &[("etag", "\"0\"")][..], "", true),
            (200, &[("x-amz-request-id", "1")], "", true),
            (200, &[("x-amz-id-2", "1")], "", true),
            (200, &[("x-amz-checksum-crc32", "AAAAAA==")], "", true),
            (200, &[("x-amz-request-id", "1")], "text", true),
            (200, &[], "", false),
            (200, &[("content-type", "text/html")], "<html>", false),
            // A page as web servers send it.
            (200, &[("etag", "W/\"1\"")], "<html>", false),
            (200, &[("etag", "\"1\"")], "<html>", false),
            (201, &[("etag", "\"0\"")], "", false),
            (202, &[("x-amz-request-id", "1")], "", false),
            (204, &[("x-amz-request-id", "1")], "", false),
            (206, &[("etag", "\"0\"")], "", false),
            (101, &[("x-amz-request-id", "1")], "", false),
        ] {
            assert_eq!(is_success(&response(status, headers, body)), success, "{status} {headers:?} {body:?}");
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_bound() {
        let endless =
            futures_util::stream::repeat_with(|| Ok::<_, BoxError>(Frame::data(Bytes::from(vec![b'x'; 1_000]))));
        let start = Start { body: SdkBody::from_body_1_x(StreamBody::new(endless)), left: 2_500 };
        assert_eq!(start.collect().await.unwrap().to_bytes().len(), 2_500);
        let short = Start { body: SdkBody::from_body_1_x(Full::new(Bytes::from("short"))), left: 2_500 };
        assert_eq!(short.collect().await.unwrap().to_bytes(), "short");
    }

    #[test]
    fn an_excerpt_is_one_short_line_without_secrets_or_events() {
        assert_eq!(excerpt(b"<html>\r\n\t<h1>Hello\x00you</h1>", b""), "<html> <h1>Hello you</h1>");
        assert_eq!(excerpt(b"", b""), "");
        assert_eq!(excerpt("é".repeat(300).as_bytes(), b"").chars().count(), 100);
        assert_eq!(excerpt(b"key ASIATRIBUTARYTESTS01, more", b""), "key \u{2026}, more");
        assert_eq!(
            excerpt(b"you sent {\"email\":\"a@example.com\"}", b"{\"email\":\"a@example.com\"}"),
            "(the object itself)"
        );
    }

    proptest! {
        #[test]
        fn an_excerpt_is_always_one_short_line(body in prop::collection::vec(any::<u8>(), 0..1_000)) {
            let line = excerpt(&body, b"");
            prop_assert!(line.chars().count() <= MAX_EXCERPT_CHARS);
            prop_assert!(!line.chars().any(|c| c.is_control() || c == '\n'));
        }
    }
}
