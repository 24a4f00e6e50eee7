//! HeadBucket and ListObjectsV2: report whether a bucket exists, and its region even to callers that may not list it.
//! No listing is implemented.

use s3s::dto::{HeadBucketInput, HeadBucketOutput, ListObjectsV2Input, ListObjectsV2Output};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::region;
use crate::policy::AccessRequest;
use crate::state::ServerState;
use crate::{arn, authorize};

pub(super) fn answer(state: &ServerState, req: &S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
    let bucket_region = check(state, req, &req.input.bucket, req.input.expected_bucket_owner.as_ref())?;
    Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(bucket_region), ..HeadBucketOutput::default() }))
}

pub(super) fn list(
    state: &ServerState,
    req: &S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    check(state, req, &req.input.bucket, req.input.expected_bucket_owner.as_ref())?;
    Err(s3_error!(NotImplemented, "The embedded S3 lists no objects"))
}

/// Returns the region of the bucket if the caller may list it.
fn check<T>(state: &ServerState, req: &S3Request<T>, name: &str, owner: Option<&String>) -> S3Result<String> {
    let context = super::context(&req.extensions)?;
    let caller = super::caller(&context)?;
    let accounts = state.accounts();
    let bucket = region::bucket(&accounts, name)?;
    let with_region = |mut error: S3Error| {
        error.set_headers(region::region_header(bucket));
        error
    };
    if !region::is_signed_for_bucket_region(req, bucket)? {
        return Err(with_region(region::permanent_redirect()));
    }
    let request = AccessRequest {
        action: "s3:ListBucket",
        resource: &arn::bucket(bucket.partition, name),
        context: &[("aws:SecureTransport", "true")],
    };
    if owner.is_some_and(|owner| *owner != bucket.owner) {
        return Err(with_region(s3_error!(AccessDenied, "Access Denied")));
    }
    if let Err(reason) = authorize::bucket_access(&accounts, caller, bucket, request) {
        return Err(with_region(s3_error!(AccessDenied, "{}", reason.message(caller, request))));
    }
    Ok(bucket.region.clone())
}
