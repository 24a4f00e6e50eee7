//! Classifies S3's errors by their code, or by their HTTP status if the code is unknown.

/// The fields of an S3 error that decide its kind and its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct S3Error<'a> {
    pub(super) status: u16,
    pub(super) code: &'a str,
    pub(super) message: &'a str,
    /// The header of the request that the error is about, if the answer names one.
    pub(super) header: Option<&'a str>,
    /// The bucket's region, if the answer names it.
    pub(super) bucket_region: Option<&'a str>,
}

/// The kinds of S3 errors, each with its own reaction or message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    PreconditionFailed,
    /// Concurrent writers of the same key, or a concurrent change of the bucket's settings.
    Conflict,
    /// The object arrived damaged.
    Corrupted,
    /// A temporary redirect, as S3 answers while the name of a new bucket propagates.
    Redirected,
    /// S3 does not accept the session's credentials.
    RejectedSession,
    Throttled,
    /// A temporary fault of S3, or of the connection to it.
    TemporaryFault,
    /// The store does not implement a header of the request.
    UnknownHeader,
    NoSuchBucket,
    WrongRegion,
    /// KMS refuses the key that encrypts the object.
    Kms,
    /// The role may not put the object, by its own policies or the bucket's.
    Denied,
    /// S3 knows the access key, but can't verify the signature.
    BadSignature,
    Other,
}

/// The kinds of S3's error codes, for any status: an error may also come with status 200.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const KINDS: &[(&str, Kind)] = &[
    ("ConditionalRequestConflict", Kind::Conflict),
    ("OperationAborted", Kind::Conflict),
    ("BadDigest", Kind::Corrupted),
    ("IncompleteBody", Kind::Corrupted),
    ("XAmzContentSHA256Mismatch", Kind::Corrupted),
    ("XAmzContentChecksumMismatch", Kind::Corrupted),
    ("TemporaryRedirect", Kind::Redirected),
    ("Redirect", Kind::Redirected),
    ("ExpiredToken", Kind::RejectedSession),
    ("ExpiredTokenException", Kind::RejectedSession),
    ("TokenRefreshRequired", Kind::RejectedSession),
    ("InvalidToken", Kind::RejectedSession),
    ("InvalidAccessKeyId", Kind::RejectedSession),
    ("SlowDown", Kind::Throttled),
    ("Throttling", Kind::Throttled),
    ("ThrottlingException", Kind::Throttled),
    ("KMS.ThrottlingException", Kind::Throttled),
    ("RequestLimitExceeded", Kind::Throttled),
    ("TooManyRequests", Kind::Throttled),
    ("InternalError", Kind::TemporaryFault),
    ("ServiceUnavailable", Kind::TemporaryFault),
    ("RequestTimeout", Kind::TemporaryFault),
    ("ConnectionClosedByRequester", Kind::TemporaryFault),
    ("RequestTimeTooSkewed", Kind::TemporaryFault),
    ("NotImplemented", Kind::UnknownHeader),
    ("NoSuchBucket", Kind::NoSuchBucket),
    ("PermanentRedirect", Kind::WrongRegion),
    ("AuthorizationHeaderMalformed", Kind::WrongRegion),
    ("IllegalLocationConstraintException", Kind::WrongRegion),
    ("AccessDenied", Kind::Denied),
    ("AllAccessDisabled", Kind::Denied),
    ("SignatureDoesNotMatch", Kind::BadSignature),
    ("AccountProblem", Kind::Other),
    ("NotSignedUp", Kind::Other),
];

impl<'a> S3Error<'a> {
    /// The bucket's region, if the answer names another than the request's.
    pub(super) fn other_region(&self, region: &str) -> Option<&'a str> {
        self.bucket_region.filter(|other| *other != region)
    }

    /// Classifies the error of a request that was signed for `region`.
    pub(super) fn kind(&self, region: &str) -> Kind {
        let Self { status, code, message, .. } = *self;
        let names_other_region = self.other_region(region).is_some();
        if status == 412 {
            return if code == "PreconditionFailed" { Kind::PreconditionFailed } else { Kind::Other };
        }
        let known = KINDS.iter().find(|(known, _)| *known == code).map(|(_, kind)| *kind);
        match (known, status) {
            // KMS refuses a key with AccessDenied too; only the message distinguishes it.
            (Some(Kind::Denied), _) if message.contains("kms:") => Kind::Kms,
            (Some(kind), _) => kind,
            (None, 301) => Kind::WrongRegion,
            // 400 without a code: the answer to a HEAD that was signed for another region, which it names.
            (None, 400) if code.is_empty() && names_other_region => Kind::WrongRegion,
            (None, 307) => Kind::Redirected,
            (None, 408) => Kind::TemporaryFault,
            (None, 409) => Kind::Conflict,
            (None, 429) => Kind::Throttled,
            (None, 501) => Kind::UnknownHeader,
            (None, 500..) => Kind::TemporaryFault,
            (None, _) if code.starts_with("KMS.") || message.contains("kms:") => Kind::Kms,
            (None, 403) => Kind::Denied,
            (None, _) => Kind::Other,
        }
    }
}
