//! Completes the error answers of s3s: adds elements of S3's errors for which it has no field, and
//! rewrites errors of the signature check in STS's format.

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use s3s::Body;

use crate::answer::{self, element, escape};
use crate::arn::Partition;
use crate::call_context::CallContext;
use crate::call_context::Skew;
use crate::calls::Service;
use crate::clock::iso8601;
use crate::identity::MAX_SKEW;
use crate::s3::BUCKET_REGION;
use crate::sts;
use crate::target::Target;

/// The answer as the service would send it; successful answers are unchanged.
pub(crate) fn finished(response: Response<Body>, target: &Target, context: &CallContext) -> Response<Body> {
    if response.status().as_u16() < 300 {
        return response;
    }
    let body = answer::whole(&response);
    let xml = String::from_utf8_lossy(&body);
    match target.service {
        Service::S3 => complete(response, &xml, target, context),
        Service::Sts if !xml.contains("<ErrorResponse") => {
            let error = sts::translate(element(&xml, "Code").unwrap_or_default());
            answer::error(Service::Sts, error.code, &error.message, &context.request_id)
        }
        Service::Sts | Service::PodIdentity => response,
    }
}

fn complete(mut response: Response<Body>, xml: &str, target: &Target, context: &CallContext) -> Response<Body> {
    let code = element(xml, "Code").unwrap_or_default();
    let region = response.headers().get(BUCKET_REGION).and_then(|region| region.to_str().ok());
    let mut more = String::new();
    if element(xml, "Message").is_none() {
        more.push_str(&format!("<Message>{}</Message>", sentence(code)));
    }
    match (code, region) {
        ("AuthorizationHeaderMalformed", Some(region)) => {
            more.push_str(&format!("<Region>{region}</Region>"));
        }
        ("PermanentRedirect", Some(region)) => {
            let bucket = escape(target.bucket.as_deref().unwrap_or_default());
            let suffix = Partition::of_region(region).dns_suffix();
            more.push_str(&format!("<Endpoint>{bucket}.s3.{region}.{suffix}</Endpoint><Bucket>{bucket}</Bucket>"));
        }
        ("RequestTimeTooSkewed", _) => {
            if let Some(Skew { signed, received, .. }) = context.skew.get() {
                let (signed, received) = (escape(signed), iso8601(*received));
                let most = MAX_SKEW.as_millis();
                more.push_str(&format!(
                    "<RequestTime>{signed}</RequestTime><ServerTime>{received}</ServerTime>\
                     <MaxAllowedSkewMilliseconds>{most}</MaxAllowedSkewMilliseconds>"
                ));
            }
        }
        _ => {}
    }
    more.push_str(&format!("<RequestId>{}</RequestId></Error>", context.request_id));
    let xml = xml.replacen("</Error>", &more, 1);
    *response.body_mut() = Body::from(Bytes::from(xml));
    let kind = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// AWS's message for an error to which s3s gives none.
fn sentence(code: &str) -> &'static str {
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
pub(crate) fn code(response: &Response<Body>) -> String {
    let body = answer::whole(response);
    let text = String::from_utf8_lossy(&body);
    let json = || serde_json::from_slice::<serde_json::Value>(&body).ok();
    let code = element(&text, "Code").map(str::to_owned);
    let code = code.or_else(|| Some(json()?.get("code")?.as_str()?.to_owned()));
    code.unwrap_or_else(|| response.status().as_str().to_owned())
}
