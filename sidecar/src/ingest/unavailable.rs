//! Builds the 503 for events that can't be stored now, without details that clients must not learn. Pure.
//!
//! Anyone who can reach the port can read these answers, and so can pages of allowed origins. They contain the reason
//! and a sentence from a fixed table, and never the blocker's own message, which names roles, accounts, buckets and
//! Secrets and quotes AWS. That message is in the function's conditions, at `/status` and in the log.

use tracing::debug;
use tributary_crds::conditions::Reason;

use crate::blocker::Blocker;
use crate::http::Answer;

/// The part of the message about where the function's owner finds the details.
const DETAILS: &str = "the function's owner finds the details in its conditions";

/// The 503 for a blocker: the same request may succeed later.
pub(super) fn unavailable(blocker: &Blocker) -> Answer {
    let Blocker { reason, message } = blocker;
    // A fault that affects only one request shows in no condition.
    debug!(%reason, "events were not stored: {message}");
    let message = format!("events can't be stored now: {}; send them again later; {DETAILS}", cause(*reason));
    Answer::unavailable(reason.to_string(), message)
}

/// The cause, as far as clients may know it.
fn cause(reason: Reason) -> &'static str {
    match reason {
        Reason::Ok => "a fault has only just ended",
        Reason::RenewalFailing => "the function's access to its storage is about to end",
        Reason::ClockSkewed => "the clock of the machine on which the function runs is wrong",
        Reason::ConditionalWritesUnsupported => "the storage does not answer as it should",
        Reason::Pending | Reason::NotYetWritten | Reason::Progressing => "the function is still starting",
        Reason::RoleNotAllowed
        | Reason::EndpointNotAllowed
        | Reason::SessionNameNotAllowed
        | Reason::ExternalIdNotAllowed
        | Reason::ResourcesOutOfBounds => "the platform's policy does not allow the function as it is configured",
        Reason::NameClash | Reason::RivalOperator | Reason::Invalid => {
            "the function can't be set up as it is configured"
        }
        Reason::Paused => "the function is paused",
        Reason::SecretNotFound | Reason::SecretKeyNotFound | Reason::InvalidExternalId => {
            "the function lacks a secret that it needs to reach its storage"
        }
        Reason::WriteKeyNotFound => "the function can't read the write keys that requests are checked against",
        Reason::SignatureNotFound => "the function can't read the signing secret that requests are checked against",
        Reason::TlsInvalid => "the function's certificate can't be used",
        Reason::AccessDenied => "the function is not allowed to write to its storage",
        Reason::NoBaseIdentity => "the function has no identity with which to reach its storage",
        Reason::PackedPolicyTooLarge => "the function's permissions are too large to be granted",
        Reason::StsUnreachable | Reason::StsError => "the service that grants access to the storage does not do so",
        Reason::Throttled => "the storage asks for fewer requests",
        Reason::NotEnforced => "the function's access to its storage is not protected as it must be",
        Reason::NoSuchBucket | Reason::WrongRegion => "the function's storage is not where it is configured to be",
        Reason::KmsDenied => "the function is not allowed to encrypt its objects",
        Reason::S3Unreachable => "the storage did not answer in time",
        Reason::S3Error => "the storage refused or failed",
        // It never keeps an event from being stored.
        Reason::EventsRejected => "some events were invalid",
        Reason::ImagePull
        | Reason::CrashLoop
        | Reason::Unschedulable
        | Reason::QuotaExceeded
        | Reason::OOMKilled
        | Reason::Forbidden
        | Reason::ContainerError
        | Reason::ProgressDeadlineExceeded
        | Reason::RolloutWaiting
        | Reason::RolloutFailed
        | Reason::RolloutHalted => "the function does not run",
        Reason::SidecarUnreachable | Reason::NoReplicas => "the function can't be reached",
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    /// Details that a blocker's message may contain and a client must not learn.
    const PLANTED: [&str; 8] = [
        "arn:aws:iam::123456789012:role/orders-writer",
        "123456789012",
        "orders-lake",
        "us-west-2",
        "https://minio.storage.svc:9000",
        "externalId",
        "AKIAIOSFODNN7EXAMPLE",
        "User is not authorized to perform",
    ];

    /// Every reason, from the schema, so that a new one is included.
    fn reasons() -> Vec<Reason> {
        let schema = schemars::schema_for!(Reason);
        let variants = schema.get("oneOf").and_then(|variants| variants.as_array()).unwrap();
        let named = variants.iter().map(|variant| serde_json::from_value(variant["const"].clone()).unwrap());
        named.collect()
    }

    #[tokio::test]
    async fn a_client_learns_the_reason_and_nothing_of_the_blockers_message() {
        let reasons = reasons();
        assert!(reasons.contains(&Reason::Ok) && reasons.contains(&Reason::NoReplicas), "{reasons:?} are not all");
        for reason in reasons {
            let blocker = Blocker { reason, message: PLANTED.join(" ") };
            let response = unavailable(&blocker).into_response();
            assert_eq!(response.status(), 503);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(answer["error"]["code"], reason.to_string());
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains(cause(reason)) && message.contains(DETAILS), "{message}");
            // The table's sentences do not name AWS services, fields or numbers either.
            for part in PLANTED.into_iter().chain(["arn:", "AWS", "STS", "S3", "KMS", "://", "spec."]) {
                assert!(!message.contains(part), "{reason}: {part} is in {message}");
            }
            assert!(!message.contains(|c: char| c.is_ascii_digit()), "{reason}: a number is in {message}");
        }
    }
}
