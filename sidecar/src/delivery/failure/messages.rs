//! Writes the messages of failures: the cause, and the fix for people.

use tributary_crds::conditions::Reason;

use super::Target;
use super::codes::{Kind, S3Error};
use super::headers;
use crate::aws_message::said;
use crate::blocker::Blocker;

/// The reason and the message of an S3 error of this kind.
pub(super) fn blocker(kind: Kind, error: &S3Error<'_>, target: Target<'_>) -> Blocker {
    let reason = match kind {
        Kind::Throttled => Reason::Throttled,
        Kind::NoSuchBucket => Reason::NoSuchBucket,
        Kind::WrongRegion => Reason::WrongRegion,
        Kind::Kms => Reason::KmsDenied,
        Kind::Denied => Reason::AccessDenied,
        _ => Reason::S3Error,
    };
    Blocker {
        reason,
        message: transient_message(kind, error, target).unwrap_or_else(|| permanent_message(kind, error, target)),
    }
}

/// The message of an error that may pass without a person's help; `None` for other kinds.
fn transient_message(kind: Kind, error: &S3Error<'_>, target: Target<'_>) -> Option<String> {
    let S3Error { status, code, message, .. } = *error;
    let (bucket, role, sentence) = (target.bucket(), target.role(), message.trim_end_matches('.'));
    Some(match kind {
        Kind::Conflict => format!("S3 answered {code} for a key in {bucket}: {message}"),
        Kind::Corrupted => {
            format!("an object for {bucket} was damaged on its way to S3 ({code}); it is sent again")
        }
        Kind::Redirected => format!(
            "S3 redirects requests to {bucket} for now, as it does while a bucket is new; uploads are retried \
             until it accepts them"
        ),
        Kind::RejectedSession => format!("S3 does not accept the session of {role} ({code}: {sentence})"),
        Kind::Throttled => format!(
            "S3 asks for fewer requests to {bucket} ({code}); uploads are retried more slowly, and clients must send \
             refused events again. If it lasts: spec.delivery.mode Batch makes far fewer requests, and more prefixes \
             in spec.delivery.key spread them"
        ),
        Kind::TemporaryFault => {
            format!("S3 answered {code} ({status}) for {bucket}: {sentence}; it is retried until it succeeds")
        }
        _ => return None,
    })
}

/// The message of an error that a person has to fix.
fn permanent_message(kind: Kind, error: &S3Error<'_>, target: Target<'_>) -> String {
    let S3Error { status, code, message, .. } = *error;
    let (bucket, region, role) = (target.bucket(), target.region(), target.role());
    let said = said("S3", message);
    match kind {
        Kind::UnknownHeader => format!("{}{said}", headers::unsupported(error.header, &target.spec.s3)),
        Kind::NoSuchBucket => {
            format!("there is no bucket {bucket}; create it in {region}, or name the right one in spec.s3.bucket")
        }
        Kind::WrongRegion => {
            let other = error.other_region(region);
            let place = other.map_or_else(|| "in another region".to_owned(), |other| format!("in {other}"));
            let right = other.unwrap_or("the bucket's region");
            format!("the bucket {bucket} is {place}, not in {region}; set spec.s3.region to {right}{said}")
        }
        Kind::BadSignature => format!(
            "S3 {} can't verify the signature of requests to {bucket} ({code}); check that no proxy before it changes the \
             path, the host or the headers of requests, and for a store of your own that spec.s3.region is its region \
             and spec.sts.endpoint its own STS, whose credentials it knows{said}",
            target.place()
        ),
        Kind::Kms => format!(
            "KMS refused {role} the key that encrypts the object; allow kms:GenerateDataKey on it in the role's policy \
             and in the key's{said}"
        ),
        Kind::Denied => {
            let (prefix, owner) = (target.prefix(), target.owner());
            let owner = owner.map_or_else(String::new, |owner| format!(", and that account {owner} owns the bucket"));
            // MinIO and SeaweedFS answer so for a missing bucket too.
            let exists = if target.endpoint.is_store { "that the bucket exists, " } else { "" };
            format!(
                "S3 refused {role} to put objects into {bucket}; check in this order: {exists}that the role's policy allows \
                 s3:PutObject on {bucket}/{prefix}*, that the bucket's policy does not deny it (and allows it, if the \
                 bucket is in another account than the role){owner}{said}"
            )
        }
        _ => format!("S3 answered {} ({status}): {message}", if code.is_empty() { "without a code" } else { code }),
    }
}

/// The blocker of uploads that S3 did not answer in time.
pub(crate) fn no_answer(target: Target<'_>) -> Blocker {
    let message = format!("S3 {} did not answer in time; it is retried until it does", target.place());
    Blocker { reason: Reason::S3Unreachable, message }
}

pub(super) fn unreachable(why: &str, target: Target<'_>) -> Blocker {
    let hint = if target.endpoint.bucket_in_host_name() && why.contains("dns error") {
        "; for a store that has no host name for each bucket set spec.s3.forcePathStyle: true"
    } else {
        ""
    };
    let message = format!(
        "S3 {} can't be reached: {why}{hint}; check DNS, NetworkPolicies, the region and the endpoint; it is retried until \
         it answers",
        target.place()
    );
    Blocker { reason: Reason::S3Unreachable, message }
}

/// The blocker if S3 also refuses the session that replaced a refused one: the last refusal, with the settings to
/// check. A wrong clock explains both refusals, so its message stays unchanged.
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

/// The blocker if S3 answers 412 to a PUT that had no condition.
pub(crate) fn condition_not_set() -> Blocker {
    // The message omits the key, which may identify people: many can read conditions.
    let message = "the store answered 412 (PreconditionFailed) to a PUT without If-None-Match, which is what \
                   spec.s3.conditionalWrites: false sends, so the object is not known to be stored; check whether a \
                   proxy before the store adds a condition";
    Blocker { reason: Reason::S3Error, message: message.to_owned() }
}
