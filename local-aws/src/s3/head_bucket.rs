//! HeadBucket: tells whether a bucket is there and where, also to those who may not list it.

use s3s::dto::{HeadBucketInput, HeadBucketOutput};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::place;
use crate::policy::Ask;
use crate::shared::Shared;
use crate::{arn, authorize};

pub(super) fn answer(shared: &Shared, req: &S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
    let note = super::note(&req.extensions)?;
    let caller = super::caller(&note)?;
    let accounts = shared.accounts();
    let name = &req.input.bucket;
    let bucket = place::bucket(&accounts, name)?;
    let told = |mut error: S3Error| {
        error.set_headers(place::region_header(bucket));
        error
    };
    if !place::is_right(req, bucket)? {
        return Err(told(place::redirect()));
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
