//! Classifies the errors of STS, and writes messages with the fix. Pure.

use tributary_crds::conditions::{Reason, SECRET_DELAY_HINT};

use super::schedule::FailureKind;
use crate::aws_message::{cut_code, cut_message, said};
use crate::blocker::Blocker;
use crate::redact::redact;
use crate::skew::{self, ClockOffset};

/// A failed call to STS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StsAnswer {
    /// An error answer.
    Error {
        /// The HTTP status.
        status: u16,
        /// AWS's error code; the HTTP status if the answer has none.
        code: String,
        /// AWS's message, cut to the length of [`aws_message`](crate::aws_message).
        message: String,
        /// The offset of this machine's clock from that of STS, if the answer shows it.
        offset: Option<ClockOffset>,
    },
    /// An answer that is neither a session nor an error of STS. The text says what is wrong with it.
    Invalid(&'static str),
    /// No answer: no connection, or a timeout. The text is the error.
    NoResponse(String),
}

impl StsAnswer {
    /// The answer without these secrets.
    pub(crate) fn redacted(self, secrets: &[&str]) -> Self {
        match self {
            Self::Error { status, code, message, offset } => {
                let (code, message) = (cut_code(&redact(&code, secrets)), cut_message(&redact(&message, secrets)));
                Self::Error { status, code, message, offset }
            }
            Self::Invalid(why) => Self::Invalid(why),
            Self::NoResponse(why) => Self::NoResponse(redact(&why, secrets)),
        }
    }
}

/// The role and the endpoint of a call, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) role: &'a str,
    pub(crate) endpoint: &'a str,
    /// Whether the endpoint is another store's, and not AWS's.
    pub(crate) is_store: bool,
}

/// Parts of the messages with which MinIO's STS answers AccessDenied to a wrong access key.
const KEY_REFUSALS: [&str; 2] =
    ["Access Key Id you provided does not exist", "request signature we calculated does not match"];

/// The blocker for a failed AssumeRole, with the fix.
pub(crate) fn blocker(answer: &StsAnswer, call: Call<'_>) -> Blocker {
    let Call { role, endpoint, is_store } = call;
    let (code, aws_message, status, offset) = match answer {
        StsAnswer::Error { status, code, message, offset } => (code.as_str(), message.as_str(), *status, *offset),
        StsAnswer::Invalid(why) => {
            let message = format!(
                "the answer of STS at {endpoint} can't be used: {why}; check that spec.sts.endpoint is that of an STS; \
                 it is retried"
            );
            return Blocker { reason: Reason::StsError, message };
        }
        StsAnswer::NoResponse(why) => {
            let message = format!(
                "STS at {endpoint} can't be reached: {why}; check DNS, NetworkPolicies, the region and the endpoint; it is \
                 retried until it answers"
            );
            return Blocker { reason: Reason::StsUnreachable, message };
        }
    };
    if let Some(skewed) = skew::blocker("STS", code, aws_message, offset) {
        return skewed;
    }
    let (reason, message) = match code {
        "AccessDenied" if KEY_REFUSALS.iter().any(|refusal| aws_message.contains(refusal)) => {
            (Reason::NoBaseIdentity, credentials_refused(code, aws_message))
        }
        "AccessDenied" if is_store => (
            Reason::AccessDenied,
            format!(
                "STS at {endpoint} refused {role}; check in this order: that the ARN is right, that the role's trust policy \
                 names this sidecar's principal, that its condition on sts:ExternalId has the Secret's value or, if the \
                 store ignores external IDs, that it has no such condition, and that the base identity may call \
                 sts:AssumeRole on it; {SECRET_DELAY_HINT}{}",
                said("STS", aws_message)
            ),
        ),
        // AWS gives the same answer for an unknown role, a wrong external ID and an untrusted principal.
        "AccessDenied" => (
            Reason::AccessDenied,
            format!(
                "STS refused {role}; check in this order: that the ARN is right, that the role's trust policy names \
                 this sidecar's principal, that its sts:ExternalId is the Secret's value, and that the base identity \
                 may call sts:AssumeRole on it; {SECRET_DELAY_HINT}{}",
                said("STS", aws_message)
            ),
        ),
        "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "MissingAuthenticationToken" => (Reason::NoBaseIdentity, credentials_refused(code, aws_message)),
        "PackedPolicyTooLarge" => (
            Reason::PackedPolicyTooLarge,
            format!(
                "the session policy and the session tags of {role} together are larger than STS accepts; shorten \
                 spec.s3.prefix, or pass fewer session tags{}",
                said("STS", aws_message)
            ),
        ),
        _ if throttled(code, status) => (
            Reason::Throttled,
            format!("STS asks for fewer requests ({code}); it is retried with growing pauses until it answers"),
        ),
        _ => (Reason::StsError, format!("STS refused {role} with {code} ({status}): {aws_message}")),
    };
    Blocker { reason, message }
}

fn credentials_refused(code: &str, aws_message: &str) -> String {
    format!(
        "STS does not accept the base identity's credentials ({code}: {aws_message}); give the sidecar valid ones through \
         IRSA, EKS Pod Identity or the credentials Secret"
    )
}

fn throttled(code: &str, status: u16) -> bool {
    status == 429
        || matches!(
            code,
            "Throttling"
                | "ThrottlingException"
                | "ThrottledException"
                | "RequestThrottled"
                | "RequestLimitExceeded"
                | "TooManyRequestsException"
                | "SlowDown"
        )
}

/// Whether a probe's answer proves enforcement: only `AccessDenied`, which STS answers without the right external ID.
pub(crate) fn refused(answer: &StsAnswer) -> bool {
    matches!(answer, StsAnswer::Error { code, .. } if code == "AccessDenied")
}

/// The kind of the failure, from which the schedule computes the pause before the next call.
pub(super) fn kind(blocker: &Blocker) -> FailureKind {
    if blocker.reason == Reason::Throttled { FailureKind::Throttled } else { FailureKind::Other }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn each_error_has_its_reason_and_names_the_fix() {
        let from = |offset, status, code: &str, aws_message: &str| StsAnswer::Error {
            status,
            code: code.to_owned(),
            message: aws_message.to_owned(),
            offset,
        };
        let error = |status, code: &str| from(None, status, code, "said");
        let late = |code: &str, aws_message: &str| from(Some(ClockOffset::Behind(20 * MINUTE)), 403, code, aws_message);
        let call = Call {
            role: "arn:aws:iam::123456789012:role/r",
            endpoint: "https://sts.us-west-2.amazonaws.com",
            is_store: false,
        };
        for (answer, reason, part) in [
            (
                error(403, "AccessDenied"),
                Reason::AccessDenied,
                "on it; the sidecar sees a change of a Secret after up to two minutes. STS said: said",
            ),
            (error(403, "InvalidClientTokenId"), Reason::NoBaseIdentity, "IRSA"),
            (error(403, "ExpiredToken"), Reason::NoBaseIdentity, "IRSA"),
            (
                from(None, 403, "AccessDenied", "The Access Key Id you provided does not exist in our records."),
                Reason::NoBaseIdentity,
                "IRSA",
            ),
            (
                from(None, 403, "AccessDenied", "The request signature we calculated does not match the signature"),
                Reason::NoBaseIdentity,
                "IRSA",
            ),
            (error(400, "PackedPolicyTooLarge"), Reason::PackedPolicyTooLarge, "shorten"),
            (error(400, "Throttling"), Reason::Throttled, "growing pauses"),
            (error(429, "Whatever"), Reason::Throttled, "growing pauses"),
            (error(500, "InternalFailure"), Reason::StsError, "InternalFailure (500): said"),
            (error(400, "ValidationError"), Reason::StsError, "said"),
            (
                late("SignatureDoesNotMatch", "Signature expired: now"),
                Reason::ClockSkewed,
                "20 minutes behind that of STS",
            ),
            (late("InvalidClientTokenId", "said"), Reason::ClockSkewed, "STS said: said"),
            (
                late("AccessDenied", "u is not authorized to perform: sts:AssumeRole"),
                Reason::AccessDenied,
                "trust policy",
            ),
            (StsAnswer::Invalid("it was cut short"), Reason::StsError, "amazonaws.com can't be used: it was cut short"),
            (StsAnswer::NoResponse("connection refused".to_owned()), Reason::StsUnreachable, "connection refused"),
        ] {
            let found = blocker(&answer, call);
            assert_eq!(found.reason, reason, "{answer:?}");
            assert!(found.message.contains(part), "{answer:?}: {}", found.message);
        }
    }

    #[test]
    fn a_store_that_refuses_the_role_may_ignore_external_ids() {
        let denied =
            StsAnswer::Error { status: 403, code: "AccessDenied".to_owned(), message: "no".to_owned(), offset: None };
        let endpoint = "https://weed.storage.svc:8333";
        let found = blocker(&denied, Call { role: "arn:aws:iam::123456789012:role/r", endpoint, is_store: true });
        assert_eq!(found.reason, Reason::AccessDenied);
        for part in [endpoint, "if the store ignores external IDs, that it has no such condition", "STS said: no"] {
            assert!(found.message.contains(part), "{}", found.message);
        }
    }

    #[test]
    fn only_access_denied_is_a_refusal() {
        let error =
            |code: &str| StsAnswer::Error { status: 403, code: code.to_owned(), message: String::new(), offset: None };
        assert!(refused(&error("AccessDenied")));
        assert!(!refused(&error("Throttling")));
        assert!(!refused(&StsAnswer::NoResponse("timed out".to_owned())));
    }
}
