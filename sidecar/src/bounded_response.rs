//! Limits how much of an AWS response is read into memory and shown.
//!
//! The server may be another one than AWS, since an endpoint's name may resolve to anything. The SDK's client, which
//! calls STS, reads every body to its end: the interceptor [`BoundedResponse`] refuses a body that is longer than any of
//! STS. A part of it is not read as an answer, since it may end within a secret, which could not be found and removed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;
use hyper::body::{Body, Frame};

/// Maximum size of a response body, in bytes. Errors and sessions take a few KiB.
pub(crate) const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// Maximum length of an error message, in characters: conditions and logs show it.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// Maximum length of an error code, in characters; AWS's longest have about 50.
const MAX_CODE_CHARS: usize = 64;

/// The message of an error without one, such as that of every HEAD request.
const NO_MESSAGE: &str = "no message";

/// The end of a sentence about an error: AWS's own message, if it has one.
pub(crate) fn aws_said(message: &str) -> String {
    if message == NO_MESSAGE { String::new() } else { format!(". AWS said: {message}") }
}

/// The message of an error. It is cut ([`cut_message`]) only after secrets are removed from it.
pub(crate) fn message(text: Option<&str>) -> String {
    text.unwrap_or(NO_MESSAGE).to_owned()
}

/// The message of an error, cut to [`MAX_MESSAGE_CHARS`], on one line.
pub(crate) fn cut_message(text: &str) -> String {
    on_one_line(text, MAX_MESSAGE_CHARS)
}

/// The code of an error, cut to [`MAX_CODE_CHARS`], on one line.
pub(crate) fn cut_code(text: &str) -> String {
    on_one_line(text, MAX_CODE_CHARS)
}

/// The first characters of a text, without control characters: a line break could forge a line of a log.
fn on_one_line(text: &str, max: usize) -> String {
    text.chars().take(max).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The interceptor that refuses response bodies of more than [`MAX_RESPONSE_BYTES`].
#[derive(Debug)]
pub(crate) struct BoundedResponse;

impl Intercept for BoundedResponse {
    fn name(&self) -> &'static str {
        "BoundedResponse"
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
            *body = SdkBody::from_body_1_x(Bounded { body: whole, left: MAX_RESPONSE_BYTES });
        }
        Ok(())
    }
}

/// A body that is an error if it has more than `left` bytes.
struct Bounded {
    body: SdkBody,
    left: usize,
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Some(Err("the answer is too long".into()))),
        }
        Poll::Ready(frame)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    #[test]
    fn a_message_is_cut_to_its_maximum() {
        assert_eq!(cut_message(&"é".repeat(60_000)).chars().count(), MAX_MESSAGE_CHARS);
        assert_eq!(cut_message("no\r\n\u{1b}[31m2026 INFO"), "no   [31m2026 INFO");
        assert_eq!(cut_code("Slow\nDown"), "Slow Down");
        assert_eq!(message(None), "no message");
        assert_eq!(aws_said(&message(None)), "");
        assert_eq!(aws_said("Access Denied"), ". AWS said: Access Denied");
    }

    #[tokio::test]
    async fn a_body_is_read_whole_or_not_at_all() {
        let endless =
            futures_util::stream::repeat_with(|| Ok::<_, BoxError>(Frame::data(Bytes::from(vec![b'x'; 1_000]))));
        let endless = Bounded { body: SdkBody::from_body_1_x(StreamBody::new(endless)), left: 2_500 };
        assert!(endless.collect().await.is_err());
        let whole = Bounded { body: SdkBody::from_body_1_x(Full::new(Bytes::from("whole"))), left: 5 };
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "whole");
    }
}
