//! Sends the AWS SDK's requests, each on a connection of its own: STS is called about twice an hour.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};

use super::{Connections, Connector, MAX_BODY_BYTES};

/// The SDK's HTTP client. The body of an answer that is longer than any of STS is replaced by an empty one: a part of it
/// may end within a secret, which could not be found and removed.
pub(crate) fn sdk_client(connector: Arc<Connector>) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(SdkConnector(connector));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug)]
struct SdkConnector(Arc<Connector>);

impl HttpConnector for SdkConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // Not shared, so that the connection is closed after the answer.
        let connections = Connections::new(Arc::clone(&self.0));
        HttpConnectorFuture::new(async move {
            let (origin, request) = own_form(request).map_err(|why| ConnectorError::user(why.into()))?;
            let response = connections.send(&origin, request).await;
            let response = response.map_err(|why| ConnectorError::io(why.into()))?;
            sdk_form(response).map_err(|why| ConnectorError::user(why.into()))
        })
    }
}

fn own_form(request: HttpRequest) -> Result<(Uri, Request<Full<Bytes>>), String> {
    let (head, body) = request.try_into_http1x().map_err(|error| error.to_string())?.into_parts();
    let body = Bytes::copy_from_slice(body.bytes().ok_or("the body is not in memory")?);
    split_origin(Request::from_parts(head, Full::new(body)))
}

/// Splits a request as the SDK builds it into the server's scheme, host and port, and the request in the form that is
/// sent: with the header Host, which the SDK leaves to its client, and without the origin in its target.
pub(crate) fn split_origin<B>(request: Request<B>) -> Result<(Uri, Request<B>), String> {
    let (mut head, body) = request.into_parts();
    let parts = head.uri.into_parts();
    let (scheme, authority) = (parts.scheme.ok_or("no scheme")?, parts.authority.ok_or("no host")?);
    let host = HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
    head.headers.entry(HOST).or_insert(host);
    let origin = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
    head.uri = parts.path_and_query.map(Uri::from).unwrap_or_default();
    Ok((origin.map_err(|error| error.to_string())?, Request::from_parts(head, body)))
}

fn sdk_form(response: Response<Bytes>) -> Result<HttpResponse, String> {
    let whole = |body: Bytes| if body.len() < MAX_BODY_BYTES { SdkBody::from(body) } else { SdkBody::empty() };
    HttpResponse::try_from(response.map(whole)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_form_that_is_sent() {
        let mut request = HttpRequest::new(SdkBody::from("Action=AssumeRole"));
        request.set_uri("https://sts.us-west-2.amazonaws.com:8443/path?a=b").unwrap();
        request.set_method("POST").unwrap();
        request.headers_mut().insert("x-amz-date", "now");
        let (origin, request) = own_form(request).unwrap();
        assert_eq!(origin, "https://sts.us-west-2.amazonaws.com:8443/");
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("POST", "/path?a=b"));
        assert_eq!(
            (&request.headers()[HOST], &request.headers()["x-amz-date"]),
            (&HeaderValue::from_static("sts.us-west-2.amazonaws.com:8443"), &HeaderValue::from_static("now"),)
        );
    }

    #[test]
    fn an_answer_is_used_whole_or_not_at_all() {
        let body =
            |length| sdk_form(Response::new(Bytes::from(vec![b'x'; length]))).unwrap().body().bytes().unwrap().len();
        assert_eq!((body(5), body(MAX_BODY_BYTES - 1), body(MAX_BODY_BYTES)), (5, MAX_BODY_BYTES - 1, 0));
    }
}
