//! PutObject: verifies the content, authorizes the caller, and stores the object.

use s3s::dto::{ETag, ETagCondition, PutObjectInput, PutObjectOutput, StorageClass};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::{content, region, tags};
use crate::accounts::{Accounts, Bucket};
use crate::caller::Caller;
use crate::policy::AccessRequest;
use crate::state::ServerState;
use crate::store::{PutError, StoredObject};
use crate::{arn, authorize};

/// The storage classes that a request may name; S3's others belong to other types of bucket.
const STORAGE_CLASSES: [&str; 8] = [
    StorageClass::STANDARD,
    StorageClass::REDUCED_REDUNDANCY,
    StorageClass::STANDARD_IA,
    StorageClass::ONEZONE_IA,
    StorageClass::INTELLIGENT_TIERING,
    StorageClass::GLACIER,
    StorageClass::GLACIER_IR,
    StorageClass::DEEP_ARCHIVE,
];

pub(super) async fn answer(
    state: &ServerState,
    mut req: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    // The body is always read; its errors are reported only to a caller who is allowed to write.
    let content = content::read_and_verify(&mut req.input, req.trailing_headers.as_ref()).await;
    let context = super::context(&req.extensions)?;
    let caller = super::caller(&context)?;
    let accounts = state.accounts();
    let bucket = region::bucket(&accounts, &req.input.bucket)?;
    if !region::is_signed_for_bucket_region(&req, bucket)? {
        return Err(region::wrong_region(&req, bucket));
    }
    let input = req.input;
    let encryption = Encryption::from_request(&input, caller, bucket)?;
    check_permissions(&accounts, caller, bucket, &input, &encryption)?;
    check_supported(&input)?;
    let if_absent = matches!(input.if_none_match, Some(ETagCondition::Any));
    let content = content?;

    let object = StoredObject {
        tags: input.tagging.as_deref().map_or(Ok(Vec::new()), tags::parse)?,
        bucket: input.bucket,
        key: input.key,
        body: content.bytes,
        content_type: input.content_type,
        content_encoding: input.content_encoding,
        encryption: encryption.header.clone(),
        kms_key_id: encryption.key.clone(),
        storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
        puts: 0,
    };
    state.store.put(object, if_absent).await.map_err(put_error)?;
    let checksum = content.checksum;
    Ok(S3Response::new(PutObjectOutput {
        e_tag: Some(ETag::Strong(content.etag)),
        server_side_encryption: Some(encryption.reported_method().to_owned().into()),
        ssekms_key_id: encryption.key,
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        ..PutObjectOutput::default()
    }))
}

/// How an object is encrypted.
struct Encryption {
    /// The request's `x-amz-server-side-encryption`.
    header: Option<String>,
    /// ARN of the KMS key: the request's or, if it has no encryption headers, the bucket's.
    key: Option<String>,
}

impl Encryption {
    fn from_request(input: &PutObjectInput, caller: &Caller, bucket: &Bucket) -> S3Result<Encryption> {
        let header = input.server_side_encryption.as_ref().map(|sse| sse.as_str().to_owned());
        let key = match (header.as_deref(), &input.ssekms_key_id) {
            (None, None) => bucket.kms_key_id.as_ref(),
            (Some("aws:kms" | "aws:kms:dsse"), key) => key.as_ref(),
            (Some("AES256"), None) => None,
            (None | Some("AES256"), Some(_)) => {
                return Err(s3_error!(
                    InvalidArgument,
                    "Server Side Encryption with AWS KMS managed key requires HTTP header \
                     x-amz-server-side-encryption : aws:kms"
                ));
            }
            (Some(_), _) => {
                return Err(s3_error!(InvalidArgument, "The encryption method specified is not supported"));
            }
        };
        let account = caller.names().account;
        let key = key.map(|key| arn::kms_key(bucket.partition, &bucket.region, account, key));
        Ok(Encryption { header, key })
    }

    /// The method to report in the answer: the request's, or else the bucket's default.
    fn reported_method(&self) -> &str {
        let default = if self.key.is_some() { "aws:kms" } else { "AES256" };
        self.header.as_deref().unwrap_or(default)
    }
}

/// Checks the bucket's owner and every permission that the request needs.
fn check_permissions(
    accounts: &Accounts,
    caller: &Caller,
    bucket: &Bucket,
    input: &PutObjectInput,
    encryption: &Encryption,
) -> S3Result<()> {
    let owner = input.expected_bucket_owner.as_ref();
    if owner.is_some_and(|owner| *owner != bucket.owner) {
        return Err(s3_error!(AccessDenied, "Access Denied"));
    }
    let object = arn::object(bucket.partition, &input.bucket, &input.key);
    let mut context = vec![("aws:SecureTransport", "true")];
    let class = input.storage_class.as_ref().map(StorageClass::as_str);
    context.extend(class.map(|class| ("s3:x-amz-storage-class", class)));
    let sse = encryption.header.as_deref();
    context.extend(sse.map(|sse| ("s3:x-amz-server-side-encryption", sse)));
    let key = encryption.key.as_deref();
    context.extend(key.map(|key| ("s3:x-amz-server-side-encryption-aws-kms-key-id", key)));

    let tagging = input.tagging.as_ref().map(|_| "s3:PutObjectTagging");
    for action in ["s3:PutObject"].into_iter().chain(tagging) {
        let request = AccessRequest { action, resource: &object, context: &context };
        authorize::bucket_access(accounts, caller, bucket, request)
            .map_err(|reason| s3_error!(AccessDenied, "{}", reason.message(caller, request)))?;
    }
    if let Some(key) = key {
        let via = format!("s3.{}.{}", bucket.region, bucket.partition.dns_suffix());
        let request =
            AccessRequest { action: "kms:GenerateDataKey", resource: key, context: &[("kms:ViaService", &via)] };
        authorize::by_identity_policies(accounts, caller, request)
            .map_err(|reason| s3_error!(AccessDenied, "{}", reason.message(caller, request)))?;
    }
    Ok(())
}

/// Refuses headers that are not implemented, which would otherwise be ignored silently.
fn check_supported(input: &PutObjectInput) -> S3Result<()> {
    let class = input.storage_class.as_ref().map(StorageClass::as_str);
    if class.is_some_and(|class| !STORAGE_CLASSES.contains(&class)) {
        return Err(s3_error!(InvalidStorageClass, "The storage class you specified is not valid"));
    }
    let unsupported = [
        ("If-Match", input.if_match.is_some()),
        ("If-None-Match other than *", matches!(input.if_none_match, Some(ETagCondition::ETag(_)))),
        ("x-amz-acl", input.acl.is_some()),
        ("x-amz-object-lock-mode", input.object_lock_mode.is_some()),
        ("x-amz-server-side-encryption-customer-algorithm", input.sse_customer_algorithm.is_some()),
        ("x-amz-write-offset-bytes", input.write_offset_bytes.is_some()),
    ];
    match unsupported.into_iter().find(|(_, present)| *present) {
        Some((header, _)) => Err(s3_error!(
            NotImplemented,
            "A header you provided implies functionality that is not implemented: {header}"
        )),
        None => Ok(()),
    }
}

fn put_error(error: PutError) -> S3Error {
    match error {
        PutError::Exists => {
            s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
        }
        PutError::Key(message) => s3_error!(InvalidRequest, "{message}"),
        PutError::Io(error) => {
            let message = format!("the object could not be written: {error}");
            s3_error!(error, InternalError, "{message}")
        }
    }
}
