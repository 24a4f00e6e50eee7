//! HeadBucket: reports whether a bucket exists, and its region, even to callers who may not list it.

use s3s::dto::{HeadBucketInput, HeadBucketOutput};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::region;
use crate::policy::Ask;
use crate::state::ServerState;
use crate::{arn, authorize};

pub(super) fn answer(state: &ServerState, req: &S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
    let context = super::context(&req.extensions)?;
    let caller = super::caller(&context)?;
    let accounts = state.accounts();
    let name = &req.input.bucket;
    let bucket = region::bucket(&accounts, name)?;
    let told = |mut error: S3Error| {
        error.set_headers(region::region_header(bucket));
        error
    };
    if !region::is_signed_for(req, bucket)? {
        return Err(told(region::redirect()));
    }
    let ask = Ask {
        action: "s3:ListBucket",
        resource: &arn::bucket(bucket.partition, name),
        context: &[("aws:SecureTransport", "true")],
    };
    let owner = req.input.expected_bucket_owner.as_ref();
    if owner.is_some_and(|owner| *owner != bucket.owner) {
        return Err(told(s3_error!(AccessDenied, "Access Denied")));
    }
    if let Err(because) = authorize::on_bucket(&accounts, caller, bucket, ask) {
        return Err(told(s3_error!(AccessDenied, "{}", because.message(caller, ask))));
    }
    Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(bucket.region.clone()), ..HeadBucketOutput::default() }))
}
