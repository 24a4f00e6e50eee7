//! Sorts S3's errors by their codes, or where a code is not known by their status.

/// An error of S3's, as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct S3Error<'a> {
    pub(super) status: u16,
    pub(super) code: &'a str,
    pub(super) message: &'a str,
    /// The bucket's region, where the answer names it.
    pub(super) bucket_region: Option<&'a str>,
}

/// What kind of answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    PreconditionFailed,
    /// Two writers of the same key at this moment, or of the bucket's settings.
    Conflict,
    /// The object did not arrive as it was sent.
    Damaged,
    /// A new bucket, whose name is not yet known everywhere.
    Redirected,
    DeadSession,
    Throttled,
    /// S3's own trouble.
    Unwell,
    UnknownHeader,
    NoSuchBucket,
    WrongRegion,
    Kms,
    Denied,
    /// A credential that S3 knows, and a request that it can't verify.
    BadSignature,
    Other,
}

/// The kinds of S3's codes, whatever their status: an error may come with status 200 too.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const KINDS: &[(&str, Kind)] = &[
    ("ConditionalRequestConflict", Kind::Conflict),
    ("OperationAborted", Kind::Conflict),
    ("BadDigest", Kind::Damaged),
    ("IncompleteBody", Kind::Damaged),
    ("XAmzContentSHA256Mismatch", Kind::Damaged),
    ("XAmzContentChecksumMismatch", Kind::Damaged),
    ("TemporaryRedirect", Kind::Redirected),
    ("Redirect", Kind::Redirected),
    ("ExpiredToken", Kind::DeadSession),
    ("ExpiredTokenException", Kind::DeadSession),
    ("TokenRefreshRequired", Kind::DeadSession),
    ("InvalidToken", Kind::DeadSession),
    ("InvalidAccessKeyId", Kind::DeadSession),
    ("SlowDown", Kind::Throttled),
    ("Throttling", Kind::Throttled),
    ("ThrottlingException", Kind::Throttled),
    ("KMS.ThrottlingException", Kind::Throttled),
    ("RequestLimitExceeded", Kind::Throttled),
    ("TooManyRequests", Kind::Throttled),
    ("InternalError", Kind::Unwell),
    ("ServiceUnavailable", Kind::Unwell),
    ("RequestTimeout", Kind::Unwell),
    ("ConnectionClosedByRequester", Kind::Unwell),
    ("RequestTimeTooSkewed", Kind::Unwell),
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
    /// The bucket's region, if it is another than that of the request.
    pub(super) fn other_region(&self, region: &str) -> Option<&'a str> {
        self.bucket_region.filter(|other| *other != region)
    }

    /// Sorts the error. The request was signed for `region`.
    pub(super) fn kind(&self, region: &str) -> Kind {
        let Self { status, code, message, .. } = *self;
        let names_other_region = self.other_region(region).is_some();
        if status == 412 {
            return if code == "PreconditionFailed" { Kind::PreconditionFailed } else { Kind::Other };
        }
        let known = KINDS.iter().find(|(known, _)| *known == code).map(|(_, kind)| *kind);
        match (known, status) {
            // The key's refusal comes as S3's own code, and only the message tells it apart.
            (Some(Kind::Denied), _) if message.contains("kms:") => Kind::Kms,
            (Some(kind), _) => kind,
            (None, 301) => Kind::WrongRegion,
            // 400 without a code: a HEAD that was signed for another region, which the answer names.
            (None, 400) if code.is_empty() && names_other_region => Kind::WrongRegion,
            (None, 307) => Kind::Redirected,
            (None, 408) => Kind::Unwell,
            (None, 409) => Kind::Conflict,
            (None, 429) => Kind::Throttled,
            (None, 501) => Kind::UnknownHeader,
            (None, 500..) => Kind::Unwell,
            (None, _) if code.starts_with("KMS.") || message.contains("kms:") => Kind::Kms,
            (None, 403) => Kind::Denied,
            (None, _) => Kind::Other,
        }
    }
}
