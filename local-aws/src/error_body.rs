//! Completes the error answers of s3s: adds elements of S3's errors for which it has no field, and
//! rewrites errors of the signature check in STS's format.

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use s3s::Body;
use tributary_crds::values::Partition;

use crate::answer::{self, element, escape};
use crate::call_context::CallContext;
use crate::call_context::Skew;
use crate::calls::Service;
use crate::clock::iso8601;
use crate::identity::MAX_SKEW;
use crate::s3::BUCKET_REGION;
use crate::sts;
use crate::target::CallTarget;

/// Completes an error answer as the service would send it. Successful answers are unchanged.
pub(crate) fn complete(response: Response<Body>, target: &CallTarget, context: &CallContext) -> Response<Body> {
    if response.status().as_u16() < 300 {
        return response;
    }
    let body = answer::body_bytes(&response);
    let xml = String::from_utf8_lossy(&body);
    match target.service {
        Service::S3 => complete_s3_error(response, &xml, target, context),
        Service::Sts if !xml.contains("<ErrorResponse") => {
            let error = sts::from_s3_code(element(&xml, "Code").unwrap_or_default());
            answer::error(Service::Sts, error.code, &error.message, &context.request_id)
        }
        Service::Sts | Service::PodIdentity => response,
    }
}

fn complete_s3_error(
    mut response: Response<Body>,
    xml: &str,
    target: &CallTarget,
    context: &CallContext,
) -> Response<Body> {
    let code = element(xml, "Code").unwrap_or_default();
    let region = response.headers().get(BUCKET_REGION).and_then(|region| region.to_str().ok());
    let mut additions = String::new();
    if element(xml, "Message").is_none() {
        additions.push_str(&format!("<Message>{}</Message>", default_message(code)));
    }
    match (code, region) {
        ("AuthorizationHeaderMalformed", Some(region)) => {
            additions.push_str(&format!("<Region>{region}</Region>"));
        }
        ("PermanentRedirect", Some(region)) => {
            let bucket = escape(target.bucket.as_deref().unwrap_or_default());
            let suffix = Partition::of_region(region).unwrap_or_default().dns_suffix();
            additions.push_str(&format!("<Endpoint>{bucket}.s3.{region}.{suffix}</Endpoint><Bucket>{bucket}</Bucket>"));
        }
        ("RequestTimeTooSkewed", _) => {
            if let Some(Skew { signed, received, .. }) = context.skew.get() {
                let (signed, received) = (escape(signed), iso8601(*received));
                let max_skew = MAX_SKEW.as_millis();
                additions.push_str(&format!(
                    "<RequestTime>{signed}</RequestTime><ServerTime>{received}</ServerTime>\
                     <MaxAllowedSkewMilliseconds>{max_skew}</MaxAllowedSkewMilliseconds>"
                ));
            }
        }
        _ => {}
    }
    additions.push_str(&format!("<RequestId>{}</RequestId></Error>", context.request_id));
    let xml = xml.replacen("</Error>", &additions, 1);
    *response.body_mut() = Body::from(Bytes::from(xml));
    let kind = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// AWS's message for an error for which s3s has none.
fn default_message(code: &str) -> &'static str {
    match code {
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. \
             Check your key and signing method."
        }
        "KeyTooLongError" => "Your key is too long",
        "NotImplemented" => "A header you provided implies functionality that is not implemented",
        _ => "The request was refused",
    }
}

/// The code of an error answer, from XML or JSON; its HTTP status if the body has no code.
pub(crate) fn error_code(response: &Response<Body>) -> String {
    let body = answer::body_bytes(response);
    let text = String::from_utf8_lossy(&body);
    let json = || serde_json::from_slice::<serde_json::Value>(&body).ok();
    let code = element(&text, "Code").map(str::to_owned);
    let code = code.or_else(|| Some(json()?.get("code")?.as_str()?.to_owned()));
    code.unwrap_or_else(|| response.status().as_str().to_owned())
}
