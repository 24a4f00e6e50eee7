//! What S3's refusal of an object means. Pure.
//!
//! An answer is first sorted by its code, or where the code is not in the table by its status
//! ([`kind`]); the kind then decides what to do and what to say ([`classify`]).

use tributary_crds::conditions::Reason;

use crate::blocker::Blocker;
use crate::skew::{self, ClockOffset};

/// What S3 said, or that it said nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum S3Answer {
    /// An error, as far as it could be read.
    Error {
        /// The HTTP status.
        status: u16,
        /// AWS's code; empty where the answer had no body.
        code: String,
        /// AWS's message.
        message: String,
        /// The bucket's region, where the answer names it.
        region: Option<String>,
        /// How far our clock is from S3's, where the answer says its time.
        offset: Option<ClockOffset>,
    },
    /// An answer that S3 does not give: a proxy's, or another server's.
    Foreign {
        /// The HTTP status.
        status: u16,
        /// The start of its body, as a sentence may quote it.
        start: String,
    },
    /// No connection, or an answer that broke off.
    Nothing(String),
    /// No answer in the time that an attempt may take.
    Timeout,
}

impl S3Answer {
    /// Whether the object may be stored all the same.
    pub(crate) fn leaves_in_doubt(&self) -> bool {
        match self {
            Self::Error { status, .. } | Self::Foreign { status, .. } => !(300..500).contains(status),
            Self::Nothing(_) | Self::Timeout => true,
        }
    }
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// The condition `If-None-Match: *` did not hold.
    PreconditionFailed,
    /// It may pass by itself: try again.
    Retry(Blocker),
    /// The session is no longer taken: get another one, then try again.
    Refresh(Blocker),
    /// A person has to fix it, and no object is stored until then.
    Configuration(Blocker),
    /// A person has to fix it; other keys may be stored meanwhile.
    Refused(Blocker),
}

/// What kind of answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
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

/// Sorts an error.
fn kind(status: u16, code: &str, said: &str, names_other_region: bool) -> Kind {
    if status == 412 {
        return if code == "PreconditionFailed" { Kind::PreconditionFailed } else { Kind::Other };
    }
    let known = KINDS.iter().find(|(known, _)| *known == code).map(|(_, kind)| *kind);
    match (known, status) {
        // The key's refusal comes as S3's own code, and only the message tells it apart.
        (Some(Kind::Denied), _) if said.contains("kms:") => Kind::Kms,
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
        (None, _) if code.starts_with("KMS.") || said.contains("kms:") => Kind::Kms,
        (None, 403) => Kind::Denied,
        (None, _) => Kind::Other,
    }
}

/// Where the object was to go, for the sentences.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) region: &'a str,
    pub(crate) role: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) owner: Option<&'a str>,
    /// Whether the bucket's name is made part of the host name of an endpoint other than AWS's.
    pub(crate) in_host_name: bool,
}

/// Every reason that [`classify`] gives.
pub(crate) const REASONS: [Reason; 8] = [
    Reason::AccessDenied,
    Reason::ClockSkewed,
    Reason::KmsDenied,
    Reason::NoSuchBucket,
    Reason::S3Error,
    Reason::S3Unreachable,
    Reason::Throttled,
    Reason::WrongRegion,
];

impl ErrorClass {
    /// The same class, with another cause: one that concerns every object.
    fn because_of(self, cause: Blocker) -> Self {
        match self {
            Self::PreconditionFailed => self,
            Self::Retry(_) => Self::Retry(cause),
            Self::Refresh(_) => Self::Refresh(cause),
            Self::Configuration(_) | Self::Refused(_) => Self::Configuration(cause),
        }
    }
}

/// Judges an answer.
pub(crate) fn classify(answer: &S3Answer, target: Target<'_>) -> ErrorClass {
    match answer {
        S3Answer::Error { status, code, message, region, offset } => {
            let class = classify_error(*status, code, message, region.as_deref(), target);
            // What is done stays the same: with the clock right, the answer may be another.
            match skew::blocker("S3", code, message, *offset) {
                Some(skewed) => class.because_of(skewed),
                None => class,
            }
        }
        S3Answer::Foreign { status, start } => foreign(*status, start),
        S3Answer::Timeout => ErrorClass::Retry(no_answer(target)),
        S3Answer::Nothing(why) => ErrorClass::Retry(unreachable(why, target)),
    }
}

fn classify_error(status: u16, code: &str, said: &str, bucket_region: Option<&str>, target: Target<'_>) -> ErrorClass {
    let Target { bucket, region, role, prefix, owner, .. } = target;
    let blocker = |reason, message| Blocker { reason, message };
    let elsewhere = bucket_region.filter(|elsewhere| *elsewhere != region);
    match kind(status, code, said, elsewhere.is_some()) {
        Kind::PreconditionFailed => ErrorClass::PreconditionFailed,
        Kind::Conflict => {
            ErrorClass::Retry(blocker(Reason::S3Error, format!("S3 answered {code} for a key in {bucket}: {said}")))
        }
        Kind::Damaged => {
            let message = format!("an object for {bucket} did not reach S3 as it was sent ({code}); it is sent again");
            ErrorClass::Retry(blocker(Reason::S3Error, message))
        }
        Kind::Redirected => {
            let message = format!(
                "S3 redirects requests to {bucket} for now, as it does while a bucket is new; uploads are tried again \
                 until it takes them"
            );
            ErrorClass::Retry(blocker(Reason::S3Error, message))
        }
        Kind::DeadSession => {
            let said = said.trim_end_matches('.');
            let message = format!("S3 does not accept the session of {role} ({code}: {said})");
            ErrorClass::Refresh(blocker(Reason::S3Error, message))
        }
        Kind::Throttled => {
            let message = format!("S3 asks for fewer requests to {bucket} ({code}); uploads go on more slowly");
            ErrorClass::Retry(blocker(Reason::Throttled, message))
        }
        Kind::Unwell => {
            let said = said.trim_end_matches('.');
            let message = format!("S3 answered {code} ({status}) for {bucket}: {said}; it is tried again until it can");
            ErrorClass::Retry(blocker(Reason::S3Error, message))
        }
        Kind::UnknownHeader => ErrorClass::Configuration(blocker(
            Reason::S3Error,
            format!(
                "the store does not know a header of the request ({said}); for one without If-None-Match set \
                 spec.s3.conditionalWrites: false, for one without CRC32 spec.s3.checksum: WhenRequired"
            ),
        )),
        Kind::NoSuchBucket => ErrorClass::Configuration(blocker(
            Reason::NoSuchBucket,
            format!("there is no bucket {bucket}; create it in {region}, or name the right one in spec.s3.bucket"),
        )),
        Kind::WrongRegion => ErrorClass::Configuration(wrong_region(target, elsewhere, said)),
        Kind::BadSignature => ErrorClass::Configuration(blocker(
            Reason::S3Error,
            format!(
                "S3 can't verify the signature of requests to {bucket} ({code}); check that no proxy before it changes \
                 requests, and for a store of your own that spec.s3.region is its region. AWS said: {said}"
            ),
        )),
        Kind::Kms => ErrorClass::Refused(blocker(
            Reason::KmsDenied,
            format!(
                "KMS refused {role} the key that encrypts the object; allow kms:GenerateDataKey on it in the role's \
                 policy and in the key's. AWS said: {said}"
            ),
        )),
        Kind::Denied => {
            let owner = owner.map_or_else(String::new, |owner| format!(", and that account {owner} owns the bucket"));
            ErrorClass::Refused(blocker(
                Reason::AccessDenied,
                format!(
                    "S3 refused {role} to put objects into {bucket}; check in this order: that the role's policy \
                     allows s3:PutObject on {bucket}/{prefix}*, that the bucket's policy does not deny it{owner}. AWS \
                     said: {said}"
                ),
            ))
        }
        Kind::Other => ErrorClass::Refused(blocker(
            Reason::S3Error,
            format!("S3 answered {} ({status}): {said}", if code.is_empty() { "without a code" } else { code }),
        )),
    }
}

/// An answer that S3 does not give, and what it is taken for.
fn foreign(status: u16, start: &str) -> ErrorClass {
    let begins =
        if start.is_empty() { "its body is empty".to_owned() } else { format!("its body begins with: {start}") };
    let what = format!("a PUT was answered {status}, and not as S3 answers; {begins}");
    let busy = matches!(status, 408 | 425 | 429 | 500..);
    if busy {
        let reason = if status == 429 { Reason::Throttled } else { Reason::S3Error };
        return ErrorClass::Retry(Blocker { reason, message: format!("{what}; it is tried again until S3 answers") });
    }
    let message = format!(
        "{what}; nothing is known to be stored: check that spec.s3.endpoint is the store's own, and that no proxy answers \
         in its place"
    );
    ErrorClass::Configuration(Blocker { reason: Reason::S3Error, message })
}

/// What is said where S3 lets uploads wait.
pub(crate) fn no_answer(target: Target<'_>) -> Blocker {
    let message = format!("S3 in {} did not answer in time; it is tried again until it does", target.region);
    Blocker { reason: Reason::S3Unreachable, message }
}

fn unreachable(why: &str, target: Target<'_>) -> Blocker {
    let hint = if target.in_host_name && why.contains("dns error") {
        "; for a store that has no host name for each bucket set spec.s3.forcePathStyle: true"
    } else {
        ""
    };
    let message = format!("S3 in {} can't be reached: {why}{hint}; it is tried again until it answers", target.region);
    Blocker { reason: Reason::S3Unreachable, message }
}

/// What it means that S3 refuses one session after the other, by its refusal of the last one.
pub(crate) fn sessions_refused(last: Blocker) -> Blocker {
    if last.reason == Reason::ClockSkewed {
        return last;
    }
    let Blocker { reason, message } = last;
    let message = format!(
        "{message}, nor the session that replaced it; check in this order: that spec.s3.endpoint and spec.sts.endpoint \
         are of the same store, in the partition of the role's account; that the store accepts session tokens; and that \
         spec.sts.endpoint is not STS's global endpoint, whose sessions some regions do not accept"
    );
    Blocker { reason, message }
}

/// What it means that a condition failed which was not set.
pub(crate) fn condition_not_set() -> Blocker {
    // Without the key, which names people: conditions are read by many.
    let message = "the store answered 412 (PreconditionFailed) to a PUT without If-None-Match, which is what \
                   spec.s3.conditionalWrites: false sends, so the object is not known to be stored; check whether a \
                   proxy before the store adds a condition";
    Blocker { reason: Reason::S3Error, message: message.to_owned() }
}

fn wrong_region(target: Target<'_>, elsewhere: Option<&str>, said: &str) -> Blocker {
    let Target { bucket, region, .. } = target;
    let place = elsewhere.map_or_else(|| "in another region".to_owned(), |place| format!("in {place}"));
    let right = elsewhere.unwrap_or("the bucket's region");
    let message =
        format!("the bucket {bucket} is {place}, not in {region}; set spec.s3.region to {right}. AWS said: {said}");
    Blocker { reason: Reason::WrongRegion, message }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TARGET: Target<'_> = Target {
        bucket: "lake",
        region: "us-west-2",
        role: "arn:r",
        prefix: "in/",
        owner: Some("123456789012"),
        in_host_name: false,
    };

    fn judge(status: u16, code: &str, message: &str, region: Option<&str>) -> ErrorClass {
        judge_at(None, status, code, message, region)
    }

    fn judge_at(
        offset: Option<ClockOffset>,
        status: u16,
        code: &str,
        message: &str,
        region: Option<&str>,
    ) -> ErrorClass {
        let (code, message, region) = (code.to_owned(), message.to_owned(), region.map(str::to_owned));
        let class = classify(&S3Answer::Error { status, code, message, region, offset }, TARGET);
        if let ErrorClass::Retry(blocker)
        | ErrorClass::Refresh(blocker)
        | ErrorClass::Configuration(blocker)
        | ErrorClass::Refused(blocker) = &class
        {
            assert!(REASONS.contains(&blocker.reason), "{} is not among the reasons", blocker.reason);
        }
        class
    }

    #[test]
    fn only_the_right_code_is_a_failed_precondition() {
        assert_eq!(judge(412, "PreconditionFailed", "", None), ErrorClass::PreconditionFailed);
        for (status, code) in
            [(412, ""), (412, "AccessDenied"), (200, "PreconditionFailed"), (400, "PreconditionFailed")]
        {
            let ErrorClass::Refused(blocker) = judge(status, code, "no", None) else { panic!("{status} {code}") };
            assert_eq!(blocker.reason, Reason::S3Error, "{status} {code}");
        }
    }

    #[test]
    fn what_may_pass_by_itself_is_tried_again() {
        for (status, code, reason) in [
            (503, "SlowDown", Reason::Throttled),
            (400, "Throttling", Reason::Throttled),
            (400, "ThrottlingException", Reason::Throttled),
            (400, "KMS.ThrottlingException", Reason::Throttled),
            (503, "RequestLimitExceeded", Reason::Throttled),
            (429, "TooManyRequests", Reason::Throttled),
            (429, "", Reason::Throttled),
            (200, "SlowDown", Reason::Throttled),
            (200, "InternalError", Reason::S3Error),
            (500, "InternalError", Reason::S3Error),
            (500, "", Reason::S3Error),
            (500, "KMS.InternalException", Reason::S3Error),
            (502, "", Reason::S3Error),
            (503, "ServiceUnavailable", Reason::S3Error),
            (504, "SomethingNew", Reason::S3Error),
            (408, "", Reason::S3Error),
            (400, "RequestTimeout", Reason::S3Error),
            (400, "ConnectionClosedByRequester", Reason::S3Error),
            (400, "BadDigest", Reason::S3Error),
            (400, "IncompleteBody", Reason::S3Error),
            (400, "XAmzContentSHA256Mismatch", Reason::S3Error),
            (400, "XAmzContentChecksumMismatch", Reason::S3Error),
            (409, "ConditionalRequestConflict", Reason::S3Error),
            (409, "OperationAborted", Reason::S3Error),
            (409, "", Reason::S3Error),
            (307, "TemporaryRedirect", Reason::S3Error),
            (307, "Redirect", Reason::S3Error),
            (307, "", Reason::S3Error),
        ] {
            let ErrorClass::Retry(blocker) = judge(status, code, "", None) else { panic!("{code} is not tried again") };
            assert_eq!(blocker.reason, reason, "{code}");
        }
        for nothing in [S3Answer::Nothing("connection refused".to_owned()), S3Answer::Timeout] {
            let class = classify(&nothing, TARGET);
            assert!(matches!(class, ErrorClass::Retry(Blocker { reason: Reason::S3Unreachable, .. })), "{class:?}");
        }
    }

    #[test]
    fn a_redirect_for_now_is_not_another_region() {
        let ErrorClass::Retry(blocker) = judge(307, "TemporaryRedirect", "", Some("eu-west-1")) else { panic!() };
        assert!(!blocker.message.contains("spec.s3.region"), "{}", blocker.message);
    }

    #[test]
    fn what_another_server_answers_is_quoted_and_tried_again_if_it_is_busy() {
        let judge = |status| classify(&S3Answer::Foreign { status, start: "<html>hello".to_owned() }, TARGET);
        for status in [101, 200, 201, 202, 204, 206, 302, 303, 308, 400, 401, 403, 404, 405, 407, 412, 413] {
            let ErrorClass::Configuration(blocker) = judge(status) else { panic!("{status}") };
            assert_eq!(blocker.reason, Reason::S3Error);
            for part in ["<html>hello", "spec.s3.endpoint", &status.to_string()] {
                assert!(blocker.message.contains(part), "{part}: {}", blocker.message);
            }
        }
        for (status, reason) in
            [(408, Reason::S3Error), (429, Reason::Throttled), (502, Reason::S3Error), (504, Reason::S3Error)]
        {
            let ErrorClass::Retry(blocker) = judge(status) else { panic!("{status}") };
            assert_eq!(blocker.reason, reason);
            assert!(blocker.message.contains("<html>hello"), "{}", blocker.message);
        }
    }

    #[test]
    fn an_object_may_be_stored_unless_it_was_refused() {
        let error = |status| S3Answer::Error {
            status,
            code: String::new(),
            message: String::new(),
            region: None,
            offset: None,
        };
        for (answer, in_doubt) in [
            (error(400), false),
            (error(412), false),
            (error(307), false),
            (error(500), true),
            (error(200), true),
            (S3Answer::Foreign { status: 200, start: String::new() }, true),
            (S3Answer::Foreign { status: 403, start: String::new() }, false),
            (S3Answer::Nothing(String::new()), true),
            (S3Answer::Timeout, true),
        ] {
            assert_eq!(answer.leaves_in_doubt(), in_doubt, "{answer:?}");
        }
    }

    #[test]
    fn a_host_name_of_the_buckets_own_that_is_not_known_is_explained() {
        let says = |why: &str, in_host_name| {
            let answer = S3Answer::Nothing(why.to_owned());
            match classify(&answer, Target { in_host_name, ..TARGET }) {
                ErrorClass::Retry(blocker) => blocker.message.contains("forcePathStyle: true"),
                other => panic!("{other:?}"),
            }
        };
        assert!(says("dns error: no such name", true));
        assert!(!says("dns error: no such name", false));
        assert!(!says("connection refused", true));
    }

    #[test]
    fn a_dead_session_is_renewed() {
        for (status, code) in [(400, "ExpiredToken"), (400, "InvalidToken"), (403, "InvalidAccessKeyId")] {
            assert!(matches!(judge(status, code, "", None), ErrorClass::Refresh(_)), "{code}");
        }
    }

    #[test]
    fn a_wrong_clock_is_blamed_for_what_it_causes_and_changes_nothing_about_what_is_done() {
        let judge = |code: &str, status, said: &str, behind| {
            judge_at(Some(ClockOffset::Behind(behind * Duration::from_secs(60))), status, code, said, None)
        };
        let ErrorClass::Retry(blocker) = judge("RequestTimeTooSkewed", 403, "too large", 20) else {
            panic!("no retry")
        };
        assert_eq!(blocker.reason, Reason::ClockSkewed);
        assert!(blocker.message.contains("20 minutes behind that of S3"), "{}", blocker.message);
        for (code, said, behind, reason) in [
            ("SignatureDoesNotMatch", "check your key", 20, Reason::ClockSkewed),
            ("SignatureDoesNotMatch", "check your key", 1, Reason::S3Error),
            ("AccessDenied", "Access Denied", 20, Reason::ClockSkewed),
        ] {
            let ErrorClass::Configuration(blocker) = judge(code, 403, said, behind) else { panic!("{code}") };
            assert_eq!(blocker.reason, reason, "{code}: {said}");
        }
        for (said, reason) in [
            ("u is not authorized to perform: s3:PutObject", Reason::AccessDenied),
            ("u is not authorized to perform: kms:GenerateDataKey", Reason::KmsDenied),
        ] {
            let ErrorClass::Refused(blocker) = judge("AccessDenied", 403, said, 20) else { panic!("{said}") };
            assert_eq!(blocker.reason, reason, "{said}");
        }
        let ErrorClass::Refresh(skewed) = judge("ExpiredToken", 400, "expired", 120) else { panic!("no refresh") };
        assert_eq!(skewed.reason, Reason::ClockSkewed);
        assert_eq!(sessions_refused(skewed.clone()), skewed);
        let ErrorClass::Refresh(invalid) = judge("InvalidToken", 400, "malformed.", 0) else { panic!("no refresh") };
        let message = sessions_refused(invalid).message;
        assert!(
            message.starts_with("S3 does not accept the session of arn:r (InvalidToken: malformed), nor"),
            "{message}"
        );
    }

    #[test]
    fn what_a_person_has_to_fix_says_how_and_whether_all_objects_are_affected() {
        for (status, code, said, region, reason, says, whole_bucket) in [
            (404, "NoSuchBucket", "", None, Reason::NoSuchBucket, "spec.s3.bucket", true),
            (
                301,
                "PermanentRedirect",
                "",
                Some("eu-west-1"),
                Reason::WrongRegion,
                "set spec.s3.region to eu-west-1",
                true,
            ),
            (301, "", "", None, Reason::WrongRegion, "another region", true),
            (400, "", "", Some("eu-west-1"), Reason::WrongRegion, "set spec.s3.region to eu-west-1", true),
            (
                400,
                "AuthorizationHeaderMalformed",
                "expecting 'eu-west-1'",
                None,
                Reason::WrongRegion,
                "eu-west-1",
                true,
            ),
            (400, "IllegalLocationConstraintException", "no", None, Reason::WrongRegion, "spec.s3.region", true),
            (501, "NotImplemented", "A header", None, Reason::S3Error, "conditionalWrites: false", true),
            (403, "SignatureDoesNotMatch", "calculated", None, Reason::S3Error, "no proxy", true),
            (403, "AccessDenied", "no", None, Reason::AccessDenied, "lake/in/*", false),
            (403, "AccessDenied", "no", None, Reason::AccessDenied, "account 123456789012", false),
            (403, "AllAccessDisabled", "no", None, Reason::AccessDenied, "lake/in/*", false),
            (200, "AccessDenied", "no", None, Reason::AccessDenied, "lake/in/*", false),
            (403, "", "no message", None, Reason::AccessDenied, "lake/in/*", false),
            (403, "AccountProblem", "unpaid", None, Reason::S3Error, "AccountProblem (403): unpaid", false),
            (403, "NotSignedUp", "nobody", None, Reason::S3Error, "nobody", false),
            (
                403,
                "AccessDenied",
                "not authorized to perform: kms:GenerateDataKey",
                None,
                Reason::KmsDenied,
                "GenerateDataKey",
                false,
            ),
            (400, "KMS.NotFoundException", "", None, Reason::KmsDenied, "key", false),
            (400, "KMS.DisabledException", "", None, Reason::KmsDenied, "key", false),
            (400, "InvalidStorageClass", "bad class", None, Reason::S3Error, "bad class", false),
            (400, "KeyTooLongError", "too long", None, Reason::S3Error, "too long", false),
            (400, "EntityTooLarge", "too large", None, Reason::S3Error, "too large", false),
            (405, "MethodNotAllowed", "not against this", None, Reason::S3Error, "not against this", false),
            (418, "SomethingNew", "new words", None, Reason::S3Error, "SomethingNew (418): new words", false),
        ] {
            let (blocker, whole) = match judge(status, code, said, region) {
                ErrorClass::Configuration(blocker) => (blocker, true),
                ErrorClass::Refused(blocker) => (blocker, false),
                other => panic!("{code}: {other:?}"),
            };
            assert_eq!((blocker.reason, whole), (reason, whole_bucket), "{code}");
            assert!(blocker.message.contains(says), "{code}: {}", blocker.message);
        }
    }
}
