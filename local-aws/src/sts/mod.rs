//! STS: answers AssumeRole, AssumeRoleWithWebIdentity and GetCallerIdentity, with STS's errors.

mod assume_role;
mod session_request;
mod web_identity;

use std::time::SystemTime;

use hyper::{Response, StatusCode};
use s3s::{Body, S3Request};

use crate::answer::{self, STS_NAMESPACE, escape};
use crate::call_context::CallContext;
use crate::call_context::Skew;
use crate::caller::Caller;
use crate::calls::Service;
use crate::clock::timestamp;
use crate::identity::IdentityError;
use crate::identity::MAX_SKEW;
use crate::identity::{self};
use crate::state::ServerState;
use crate::target::Form;

/// An error with STS's message; `code` decides the HTTP status.
#[derive(Debug)]
pub(crate) struct StsError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// The content of a successful answer's `…Result` element, or an error.
type Answer = Result<String, StsError>;

fn error(code: &'static str, message: impl Into<String>) -> StsError {
    StsError { code, message: message.into() }
}

/// Answers a request whose signature, if it has one, s3s has verified.
pub(crate) fn answer(state: &ServerState, req: &S3Request<Body>, form: &Form, context: &CallContext) -> Response<Body> {
    let action = form.get("Action").map_or("", String::as_str);
    let outcome = match action {
        "AssumeRoleWithWebIdentity" => web_identity::answer(state, form),
        _ => caller(state, req, context).and_then(|caller| match action {
            "AssumeRole" => assume_role::answer(state, form, caller),
            "GetCallerIdentity" => Ok(caller_identity(caller)),
            other => Err(error("InvalidAction", format!("Could not find operation {other} for version 2011-06-15"))),
        }),
    };
    let id = &context.request_id;
    match outcome {
        Ok(result) => {
            let body = format!(
                "<{action}Response xmlns=\"{STS_NAMESPACE}\"><{action}Result>{result}</{action}Result>\
                 <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{action}Response>"
            );
            answer::text_response(StatusCode::OK, "text/xml", body)
        }
        Err(StsError { code, message }) => answer::error(Service::Sts, code, &message, id),
    }
}

/// The caller who signed the request. Records it in the context.
fn caller<'a>(state: &ServerState, req: &S3Request<Body>, context: &'a CallContext) -> Result<&'a Caller, StsError> {
    let Some(credentials) = &req.credentials else {
        return Err(error("MissingAuthenticationToken", "Request is missing Authentication Token"));
    };
    if req.service.as_deref() != Some("sts") {
        return Err(error("SignatureDoesNotMatch", "Credential should be scoped to correct service: 'sts'."));
    }
    match identity::caller(state, &credentials.access_key, &req.headers, &req.uri) {
        Ok(caller) => Ok(context.caller.get_or_init(|| caller)),
        Err(error) => Err(identity_error(error)),
    }
}

fn identity_error(reason: IdentityError) -> StsError {
    match reason {
        IdentityError::UnknownKey | IdentityError::BadToken => {
            error("InvalidClientTokenId", "The security token included in the request is invalid.")
        }
        IdentityError::Expired => error("ExpiredToken", "The security token included in the request is expired"),
        IdentityError::Skewed(skew) => error("SignatureDoesNotMatch", skew_message(&skew)),
        IdentityError::NotSigned { header } => {
            error("SignatureDoesNotMatch", format!("'{header}' must be a 'SignedHeader' in the AWS Authorization."))
        }
        IdentityError::NotVersion4 => error("IncompleteSignature", "The request is not signed with AWS4-HMAC-SHA256"),
    }
}

/// STS's message for a signing time that is too far from the server's time.
fn skew_message(skew: &Skew) -> String {
    let Skew { signed, received, in_future } = skew;
    let minutes = MAX_SKEW.as_secs() / 60;
    let now = signature_time(*received);
    if *in_future {
        let latest = signature_time(*received + MAX_SKEW);
        format!("Signature not yet current: {signed} is still later than {latest} ({now} + {minutes} min.)")
    } else {
        let earliest = signature_time(*received - MAX_SKEW);
        format!("Signature expired: {signed} is now earlier than {earliest} ({now} - {minutes} min.)")
    }
}

/// A time in the format of signatures, `20260102T030405Z`.
fn signature_time(time: SystemTime) -> String {
    timestamp(time).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Translates an error of s3s's signature check, which has an S3 code, to STS's.
pub(crate) fn from_s3_code(s3_code: &str) -> StsError {
    match s3_code {
        "InvalidAccessKeyId" => identity_error(IdentityError::UnknownKey),
        "SignatureDoesNotMatch" => error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. \
             Check your AWS Secret Access Key and signing method.",
        ),
        other => error("IncompleteSignature", format!("The signature could not be read: {other}")),
    }
}

fn caller_identity(caller: &Caller) -> String {
    let names = caller.names();
    let (arn, account) = (escape(names.arn), names.account);
    let id = session_request::unique_id("AIDA", names.role_arn.unwrap_or(names.arn));
    format!("<Arn>{arn}</Arn><UserId>{id}</UserId><Account>{account}</Account>")
}
