//! Compares a bucket's region with the request's, and builds the errors for a mismatch. The region that
//! a request is signed for counts as the region of the endpoint.

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use crate::accounts::{Accounts, Bucket};

/// The header with a bucket's region, which S3 also sends to callers without access.
pub(crate) const BUCKET_REGION: &str = "x-amz-bucket-region";

/// The bucket with this name, or `NoSuchBucket`.
pub(super) fn bucket<'a>(accounts: &'a Accounts, name: &str) -> S3Result<&'a Bucket> {
    let bucket = accounts.buckets.get(name);
    bucket.ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
}

/// Whether the request is signed for the bucket's region; an error if it is signed for another service.
pub(super) fn is_signed_for_bucket_region<T>(req: &S3Request<T>, bucket: &Bucket) -> S3Result<bool> {
    if req.service.as_deref() != Some("s3") {
        return Err(s3_error!(
            AuthorizationHeaderMalformed,
            "The authorization header is malformed; incorrect service. This endpoint belongs to \"s3\"."
        ));
    }
    Ok(signing_region(req) == bucket.region)
}

/// The error for an object in a bucket of another region: us-east-1 answers 400, other regions redirect.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html>
pub(super) fn wrong_region<T>(req: &S3Request<T>, bucket: &Bucket) -> S3Error {
    let (signing_region, bucket_region) = (signing_region(req), &bucket.region);
    let mut error = if signing_region == "us-east-1" {
        s3_error!(
            AuthorizationHeaderMalformed,
            "The authorization header is malformed; the region 'us-east-1' is wrong; expecting '{bucket_region}'"
        )
    } else {
        permanent_redirect()
    };
    error.set_headers(region_header(bucket));
    error
}

/// `PermanentRedirect` (301), for a bucket of another region.
pub(super) fn permanent_redirect() -> S3Error {
    let mut error = S3Error::with_message(
        S3ErrorCode::PermanentRedirect,
        "The bucket you are attempting to access must be addressed using the specified endpoint. \
         Please send all future requests to this endpoint.",
    );
    error.set_status_code(StatusCode::MOVED_PERMANENTLY);
    error
}

/// The header with the bucket's region.
pub(super) fn region_header(bucket: &Bucket) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(region) = HeaderValue::from_str(&bucket.region) {
        headers.insert(BUCKET_REGION, region);
    }
    headers
}

fn signing_region<T>(req: &S3Request<T>) -> &str {
    req.region.as_ref().map_or("", |region| region.as_str())
}
