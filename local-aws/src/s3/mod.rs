//! Implements the hooks of s3s, the library that speaks the S3 protocol: secret keys, access checks, S3
//! operations, and a route for STS.

mod content;
mod head_bucket;
mod put_object;
mod region;
mod tags;

use std::sync::Arc;

use async_trait::async_trait;
use hyper::http::Extensions;
use hyper::{HeaderMap, Method, Uri};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{
    HeadBucketInput, HeadBucketOutput, ListObjectsV2Input, ListObjectsV2Output, PutObjectInput, PutObjectOutput,
};
use s3s::path::S3Path;
use s3s::route::S3Route;
use s3s::{Body, S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use crate::call_context::CallContext;
use crate::caller::Caller;
use crate::identity::IdentityError;
use crate::identity::{self};
use crate::state::ServerState;
use crate::sts;
use crate::target::Form;

pub(crate) use region::BUCKET_REGION;

/// Every hook of s3s, with one server's state.
#[derive(Clone)]
pub(crate) struct Hooks(pub(crate) Arc<ServerState>);

/// Looks up the secret keys with which s3s verifies signatures.
#[async_trait]
impl S3Auth for Hooks {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        identity::secret_key(&self.0, access_key).ok_or_else(|| identity_error(IdentityError::UnknownKey))
    }
}

/// Identifies the caller of every S3 operation, also of those that are not implemented.
#[async_trait]
impl S3Access for Hooks {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let context = context(cx.extensions_mut())?;
        if let S3Path::Object { key, .. } = cx.s3_path() {
            context.key.get_or_init(|| String::from(&**key));
        }
        let Some(credentials) = cx.credentials() else {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        };
        let caller = identity::caller(&self.0, &credentials.access_key, cx.headers(), cx.uri());
        let caller = caller.map_err(|error| {
            if let IdentityError::Skewed(skew) = &error {
                context.skew.get_or_init(|| skew.clone());
            }
            identity_error(error)
        })?;
        context.caller.get_or_init(|| caller);
        Ok(())
    }
}

/// Passes requests for STS to [`sts`], after s3s has verified their signatures too.
#[async_trait]
impl S3Route for Hooks {
    fn is_match(&self, _: &Method, _: &Uri, _: &HeaderMap, extensions: &mut Extensions) -> bool {
        extensions.get::<Form>().is_some()
    }

    async fn check_access(&self, _: &mut S3Request<Body>) -> S3Result<()> {
        // Some STS actions are unsigned, and `sts` refuses unsigned others with STS's own errors.
        Ok(())
    }

    async fn call(&self, req: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let context = context(&req.extensions)?;
        let form = req.extensions.get::<Form>().cloned().unwrap_or_default();
        let (parts, body) = sts::answer(&self.0, &req, &form, &context).into_parts();
        let mut response = S3Response::with_status(body, parts.status);
        response.headers = parts.headers;
        Ok(response)
    }
}

#[async_trait]
impl S3 for Hooks {
    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        put_object::answer(&self.0, req).await
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        head_bucket::answer(&self.0, &req)
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        head_bucket::list(&self.0, &req)
    }
}

/// The context that the server attached to the request.
fn context(extensions: &Extensions) -> S3Result<Arc<CallContext>> {
    let context = extensions.get::<Arc<CallContext>>().cloned();
    context.ok_or_else(|| s3_error!(InternalError, "the request did not pass through the server"))
}

fn caller(context: &CallContext) -> S3Result<&Caller> {
    let caller = context.caller.get();
    caller.ok_or_else(|| s3_error!(AccessDenied, "Access Denied"))
}

fn identity_error(reason: IdentityError) -> S3Error {
    match reason {
        IdentityError::UnknownKey => {
            s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
        }
        IdentityError::BadToken => s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid."),
        IdentityError::Expired => s3_error!(ExpiredToken, "The provided token has expired."),
        IdentityError::Skewed(_) => s3_error!(
            RequestTimeTooSkewed,
            "The difference between the request time and the current time is too large."
        ),
        IdentityError::NotSigned { header } => {
            s3_error!(AccessDenied, "There were headers present in the request which were not signed: {header}")
        }
        IdentityError::NotVersion4 => s3_error!(
            InvalidRequest,
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        ),
    }
}

/// An error with status 400 and a code that s3s does not know.
fn custom_error(code: &'static str, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(hyper::StatusCode::BAD_REQUEST);
    error
}
