//! Builds HTTP answers: errors in each service's format, canned answers of faults; escapes XML.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use s3s::Body;

use crate::calls::Service;
use crate::error_codes::status_of;
use crate::fault::CannedResponse;

/// The XML namespace of STS's answers.
pub(crate) const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// An error in the format of `service`, with AWS's status for `code`, or 400 if the code is not known.
pub(crate) fn error(service: Service, code: &str, message: &str, request_id: &str) -> Response<Body> {
    let status = status_of(service, code).unwrap_or(StatusCode::BAD_REQUEST);
    let (code, message) = (escape(code), escape(message));
    let (kind, body) = match service {
        Service::S3 => (
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                 <Error><Code>{code}</Code><Message>{message}</Message></Error>"
            ),
        ),
        Service::Sts => {
            let fault = if status.is_server_error() { "Receiver" } else { "Sender" };
            (
                "text/xml",
                format!(
                    "<ErrorResponse xmlns=\"{STS_NAMESPACE}\"><Error><Type>{fault}</Type><Code>{code}</Code>\
                 <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
                ),
            )
        }
        Service::PodIdentity => ("application/json", serde_json::json!({"code": code, "message": message}).to_string()),
    };
    text_response(status, kind, body)
}

/// An answer with a text body of this content type.
pub(crate) fn text_response(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// The canned answer of a fault; invalid headers are left out, and an invalid status becomes 200.
pub(crate) fn canned(canned: &CannedResponse) -> Response<Body> {
    let mut response = Response::new(Body::from(canned.body.clone()));
    *response.status_mut() = StatusCode::from_u16(canned.status).unwrap_or_default();
    for (name, value) in &canned.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The text of the first XML element `name`, still escaped.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once('<').map(|(text, _)| text)
}

/// Escapes `text` for the content of an XML element.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Most control characters are not allowed in XML 1.0, not even escaped.
            c if c.is_control() && !matches!(c, '\n' | '\r' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The body of an answer, if it is in memory, as for the answers built here; empty for a stream.
pub(crate) fn body_bytes(response: &Response<Body>) -> Bytes {
    response.body().bytes().unwrap_or_default()
}
