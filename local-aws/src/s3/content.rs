//! Reads an object's content, and verifies it against every checksum of the request.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{Checksum, PutObjectInput, StreamingBlob};
use s3s::{S3Error, S3Result, StdError, TrailingHeaders, s3_error};

/// An object's bytes and their digests.
pub(super) struct Content {
    pub(super) bytes: Bytes,
    /// MD5 in hexadecimal, which is the ETag of an object uploaded in one part.
    pub(super) etag: String,
    /// The computed checksums, of the kinds that the request has.
    pub(super) checksum: Checksum,
}

/// Reads the body of `input`; an error if a checksum of the request does not match it.
pub(super) async fn read_and_verify(
    input: &mut PutObjectInput,
    trailers: Option<&TrailingHeaders>,
) -> S3Result<Content> {
    let bytes = match input.body.take() {
        Some(body) => collect(body).await?,
        None => Bytes::new(),
    };
    let requested = requested_checksums(input, trailers);
    let mut hasher = ChecksumHasher {
        crc32: requested.checksum_crc32.as_ref().map(|_| Default::default()),
        crc32c: requested.checksum_crc32c.as_ref().map(|_| Default::default()),
        crc64nvme: requested.checksum_crc64nvme.as_ref().map(|_| Default::default()),
        sha1: requested.checksum_sha1.as_ref().map(|_| Default::default()),
        sha256: requested.checksum_sha256.as_ref().map(|_| Default::default()),
    };
    hasher.update(&bytes);
    let checksum = hasher.finalize();
    if let Some(mismatch) = first_mismatch(&requested, &checksum) {
        return Err(s3_error!(BadDigest, "The {mismatch} you specified did not match the calculated checksum."));
    }
    let md5 = Md5::checksum(&bytes);
    if let Some(requested) = &input.content_md5 {
        let Ok(requested) = base64_simd::STANDARD.decode_to_vec(requested) else {
            return Err(s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."));
        };
        if requested != md5 {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
        }
    }
    Ok(Content { bytes, etag: hex::encode(md5), checksum })
}

async fn collect(mut body: StreamingBlob) -> S3Result<Bytes> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| body_error(&error))?;
        if first.is_empty() {
            first = chunk;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&chunk);
        }
    }
    // A body in one chunk, as most are, is not copied.
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Maps an error of the body to S3's. The text decides, because s3s keeps the error types private.
fn body_error(error: &StdError) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        return super::custom_error(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch, "the signature of a chunk does not match");
    }
    s3_error!(IncompleteBody, "The body can't be read: {text}")
}

/// The checksums of the request, from headers or from trailers after the body.
fn requested_checksums(input: &PutObjectInput, trailers: Option<&TrailingHeaders>) -> Checksum {
    let trailer = |name: &str| {
        let value = trailers?.read(|headers| headers.get(name).cloned())??;
        value.to_str().ok().map(str::to_owned)
    };
    let either = |header: &Option<String>, name| header.clone().or_else(|| trailer(name));
    Checksum {
        checksum_crc32: either(&input.checksum_crc32, "x-amz-checksum-crc32"),
        checksum_crc32c: either(&input.checksum_crc32c, "x-amz-checksum-crc32c"),
        checksum_crc64nvme: either(&input.checksum_crc64nvme, "x-amz-checksum-crc64nvme"),
        checksum_sha1: either(&input.checksum_sha1, "x-amz-checksum-sha1"),
        checksum_sha256: either(&input.checksum_sha256, "x-amz-checksum-sha256"),
        checksum_type: None,
    }
}

fn first_mismatch(a: &Checksum, b: &Checksum) -> Option<&'static str> {
    let pairs = [
        ("CRC32", &a.checksum_crc32, &b.checksum_crc32),
        ("CRC32C", &a.checksum_crc32c, &b.checksum_crc32c),
        ("CRC64NVME", &a.checksum_crc64nvme, &b.checksum_crc64nvme),
        ("SHA1", &a.checksum_sha1, &b.checksum_sha1),
        ("SHA256", &a.checksum_sha256, &b.checksum_sha256),
    ];
    pairs.into_iter().find(|(_, a, b)| a != b).map(|(name, ..)| name)
}
