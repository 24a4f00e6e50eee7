//! What S3's refusal of an object means. Pure.

use tributary_crds::conditions::Reason;

use crate::conditions::Blocker;

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
    },
    /// No connection, no time, no sense.
    Nothing(String),
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// The key has an object: what `If-None-Match: *` was asked for.
    Exists,
    /// Time may mend it: try again.
    Retry(Blocker),
    /// The session is no longer taken: get another one, then try again.
    Refresh(Blocker),
    /// A person must mend it.
    Configuration(Blocker),
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

/// Judges an answer.
pub(crate) fn classify(answer: &S3Answer, target: Target<'_>) -> ErrorClass {
    let Target { bucket, region, role, prefix, owner, in_host_name } = target;
    let (status, code, said, elsewhere) = match answer {
        S3Answer::Error { status, code, message, region } => (*status, code.as_str(), message, region.as_deref()),
        S3Answer::Nothing(why) => {
            let hint = if in_host_name && why.contains("dns error") {
                "; for a store that has no host name for each bucket set spec.s3.forcePathStyle: true"
            } else {
                ""
            };
            let message = format!("S3 in {region} can't be reached: {why}{hint}; it is tried again until it answers");
            return ErrorClass::Retry(Blocker { reason: Reason::S3Unreachable, message });
        }
    };
    let elsewhere = elsewhere.filter(|elsewhere| *elsewhere != region);
    let blocker = |reason, message| Blocker { reason, message };
    match (status, code) {
        (412, _) => ErrorClass::Exists,
        // Somebody is writing the same key at this moment.
        (409, _) => {
            ErrorClass::Retry(blocker(Reason::S3Error, format!("S3 answered {code} for a key in {bucket}: {said}")))
        }
        (
            _,
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "InvalidToken" | "InvalidAccessKeyId",
        ) => {
            let message = format!("S3 no longer takes the session of {role} ({code}); a new one is asked for");
            ErrorClass::Refresh(blocker(Reason::S3Error, message))
        }
        (429, _)
        | (_, "SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequests") => {
            let message = format!("S3 asks for fewer requests to {bucket} ({code}); uploads go on more slowly");
            ErrorClass::Retry(blocker(Reason::Throttled, message))
        }
        // 501: a store that does not know a header; it will not learn it.
        (501, _) => ErrorClass::Configuration(blocker(
            Reason::S3Error,
            format!(
                "the store does not know a header of the request ({said}); for one without If-None-Match set \
                 spec.s3.conditionalWrites: false, for one without CRC32 spec.s3.checksum: WhenRequired"
            ),
        )),
        (500.., _) | (_, "RequestTimeout" | "RequestTimeTooSkewed") => {
            let said = said.trim_end_matches('.');
            let message = format!("S3 answered {code} ({status}) for {bucket}: {said}; it is tried again until it can");
            ErrorClass::Retry(blocker(Reason::S3Error, message))
        }
        (_, "NoSuchBucket") => ErrorClass::Configuration(blocker(
            Reason::NoSuchBucket,
            format!("there is no bucket {bucket}; create it in {region}, or name the right one in spec.s3.bucket"),
        )),
        // 400 without a code: a HEAD that was signed for another region, which the answer names.
        (301 | 307, _) | (_, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            ErrorClass::Configuration(wrong_region(target, elsewhere, said))
        }
        (400, "") if elsewhere.is_some() => ErrorClass::Configuration(wrong_region(target, elsewhere, said)),
        (_, code) if code.starts_with("KMS.") || said.contains("kms:") => ErrorClass::Configuration(blocker(
            Reason::KmsDenied,
            format!(
                "KMS refused {role} the key that encrypts the object; allow kms:GenerateDataKey on it in the role's \
                 policy and in the key's. AWS said: {said}"
            ),
        )),
        (403, _) => {
            let owner = owner.map_or_else(String::new, |owner| format!(", and that account {owner} owns the bucket"));
            ErrorClass::Configuration(blocker(
                Reason::AccessDenied,
                format!(
                    "S3 refused {role} to put objects into {bucket}; check in this order: that the role's policy \
                     allows s3:PutObject on {bucket}/{prefix}*, that the bucket's policy does not deny it{owner}. AWS \
                     said: {said}"
                ),
            ))
        }
        _ => ErrorClass::Configuration(blocker(Reason::S3Error, format!("S3 answered {code} ({status}): {said}"))),
    }
}

/// What it means that S3 has an object under a key that was made only now.
pub(crate) fn taken_key(key: &str) -> Blocker {
    let message = format!(
        "S3 says that it has {key} already, a key that was made for this object alone; if the store answers every \
         If-None-Match with 412, set spec.s3.conditionalWrites: false"
    );
    Blocker { reason: Reason::S3Error, message }
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
        let region = region.map(str::to_owned);
        classify(&S3Answer::Error { status, code: code.to_owned(), message: message.to_owned(), region }, TARGET)
    }

    #[test]
    fn what_is_there_already_is_stored() {
        assert_eq!(judge(412, "PreconditionFailed", "", None), ErrorClass::Exists);
    }

    #[test]
    fn what_time_mends_is_tried_again() {
        for (status, code, reason) in [
            (503, "SlowDown", Reason::Throttled),
            (400, "Throttling", Reason::Throttled),
            (429, "", Reason::Throttled),
            (500, "InternalError", Reason::S3Error),
            (503, "ServiceUnavailable", Reason::S3Error),
            (400, "RequestTimeout", Reason::S3Error),
            (409, "ConditionalRequestConflict", Reason::S3Error),
        ] {
            let ErrorClass::Retry(blocker) = judge(status, code, "", None) else { panic!("{code} is not tried again") };
            assert_eq!(blocker.reason, reason, "{code}");
        }
        let nothing = classify(&S3Answer::Nothing("connection refused".to_owned()), TARGET);
        assert!(matches!(nothing, ErrorClass::Retry(Blocker { reason: Reason::S3Unreachable, .. })));
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
    fn what_a_person_must_mend_says_how() {
        for (status, code, said, region, reason, says) in [
            (404, "NoSuchBucket", "", None, Reason::NoSuchBucket, "spec.s3.bucket"),
            (301, "PermanentRedirect", "", Some("eu-west-1"), Reason::WrongRegion, "set spec.s3.region to eu-west-1"),
            (301, "", "", None, Reason::WrongRegion, "another region"),
            (400, "", "", Some("eu-west-1"), Reason::WrongRegion, "set spec.s3.region to eu-west-1"),
            (400, "AuthorizationHeaderMalformed", "expecting 'eu-west-1'", None, Reason::WrongRegion, "eu-west-1"),
            (403, "AccessDenied", "no", None, Reason::AccessDenied, "lake/in/*"),
            (403, "AccessDenied", "no", None, Reason::AccessDenied, "account 123456789012"),
            (
                403,
                "AccessDenied",
                "not authorized to perform: kms:GenerateDataKey",
                None,
                Reason::KmsDenied,
                "GenerateDataKey",
            ),
            (400, "KMS.NotFoundException", "", None, Reason::KmsDenied, "key"),
            (501, "NotImplemented", "A header", None, Reason::S3Error, "conditionalWrites: false"),
            (400, "InvalidStorageClass", "bad class", None, Reason::S3Error, "bad class"),
        ] {
            let ErrorClass::Configuration(blocker) = judge(status, code, said, region) else { panic!("{code}") };
            assert_eq!(blocker.reason, reason, "{code}");
            assert!(blocker.message.contains(says), "{code}: {}", blocker.message);
        }
    }
}
