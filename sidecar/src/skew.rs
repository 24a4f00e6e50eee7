//! Detects clock skew from the answers of STS and S3. Pure.
//!
//! AWS refuses a signature whose time is far from its own, with error codes that differ by service and that are partly
//! the same as for wrong keys. Every answer has the service's time in its `Date` header, so the offset is known
//! for every code.

use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use tributary_crds::conditions::Reason;

use crate::aws_message::said;
use crate::blocker::Blocker;

/// The smallest offset that is blamed for a refusal: more than latency and rounding can explain, and just below the
/// tolerance that AWS documents ("within five minutes").
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/signing-elements.html>
const MIN_BLAMED_SKEW: Duration = Duration::from_secs(4 * 60);

/// The offset of this machine's clock from that of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockOffset {
    /// This machine's clock is earlier.
    Behind(Duration),
    /// This machine's clock is later.
    Ahead(Duration),
}

impl ClockOffset {
    /// Computes the offset from the `Date` header of an answer received at `now`; `None` without a valid date.
    pub(crate) fn of_answer(date: Option<&str>, now: SystemTime) -> Option<Self> {
        let date = DateTime::from_str(date?, Format::HttpDate).ok()?;
        let date = SystemTime::try_from(date).ok()?;
        Some(match now.duration_since(date) {
            Ok(ahead) => Self::Ahead(ahead),
            Err(behind) => Self::Behind(behind.duration()),
        })
    }

    /// The service's time when this machine's clock shows `now`.
    pub(crate) fn service_time(self, now: SystemTime) -> SystemTime {
        let time = match self {
            Self::Behind(by) => now.checked_add(by),
            Self::Ahead(by) => now.checked_sub(by),
        };
        time.unwrap_or(now)
    }

    /// The offset as text, if it is at least [`MIN_BLAMED_SKEW`].
    fn blamed(self) -> Option<String> {
        let (by, direction) = match self {
            Self::Behind(by) => (by, "behind"),
            Self::Ahead(by) => (by, "ahead of"),
        };
        (by >= MIN_BLAMED_SKEW).then(|| format!("{} {direction}", rounded(by)))
    }
}

/// The blocker for an error of `service` ("STS" or "S3"), if clock skew explains it; `offset` is from that service's
/// clock.
pub(crate) fn blocker(service: &str, code: &str, aws_message: &str, offset: Option<ClockOffset>) -> Option<Blocker> {
    let offset = offset.and_then(ClockOffset::blamed);
    let message = match offset {
        Some(offset) if is_clock_skew(code, aws_message) => format!(
            "this node's clock is {offset} that of {service}, which therefore refuses its signatures ({code}); \
             correct the clock (NTP), nothing else is wrong"
        ),
        Some(offset) if may_be_clock_skew(code, aws_message) => format!(
            "this node's clock is {offset} that of {service}, which refused a request ({code}); correct the clock \
             (NTP) before you look for another cause{}",
            said(service, aws_message)
        ),
        // No `Date` header, or one that shows no skew, as in a cached answer.
        None if is_clock_skew(code, aws_message) => format!(
            "{service} says that this node's clock is wrong ({code}: {aws_message}); correct the clock (NTP), nothing else is \
             wrong"
        ),
        _ => return None,
    };
    Some(Blocker { reason: Reason::ClockSkewed, message })
}

/// Whether the error can only mean clock skew.
fn is_clock_skew(code: &str, aws_message: &str) -> bool {
    matches!(code, "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture")
        || ["Signature expired", "Signature not yet current", "Request has expired"]
            .iter()
            .any(|sentence| aws_message.starts_with(sentence))
}

/// Whether clock skew is one of several possible causes of the error. The codes `""` (S3) and `403` (STS) stand for an
/// answer without an error code.
fn may_be_clock_skew(code: &str, aws_message: &str) -> bool {
    // AWS checks permissions only after it has accepted the signature.
    !aws_message.contains("not authorized to perform")
        && matches!(
            code,
            "" | "403"
                | "AccessDenied"
                | "SignatureDoesNotMatch"
                | "InvalidSignatureException"
                | "IncompleteSignature"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "InvalidAccessKeyId"
                | "InvalidToken"
                | "ExpiredToken"
                | "ExpiredTokenException"
        )
}

/// Formats a duration of at least four minutes, rounded to minutes, hours or days.
fn rounded(duration: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = duration.as_secs();
    let (unit, name) = match seconds {
        ..=7199 => (MINUTE, "minutes"),
        7200..=172_799 => (HOUR, "hours"),
        _ => (DAY, "days"),
    };
    format!("{} {name}", (seconds + unit / 2) / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_offset_is_computed_from_an_answers_date() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_268_800);
        let offset = |now| ClockOffset::of_answer(Some("Thu, 01 Jan 2026 12:00:00 GMT"), now);
        assert_eq!(offset(noon - 20 * MINUTE), Some(ClockOffset::Behind(20 * MINUTE)));
        assert_eq!(offset(noon + 3 * MINUTE), Some(ClockOffset::Ahead(3 * MINUTE)));
        assert_eq!(ClockOffset::of_answer(None, noon), None);
        assert_eq!(ClockOffset::of_answer(Some("noon"), noon), None);
    }

    #[test]
    fn a_duration_is_rounded_for_people() {
        for (seconds, words) in [
            (240, "4 minutes"),
            (1190, "20 minutes"),
            (7199, "120 minutes"),
            (7200, "2 hours"),
            (86_400, "24 hours"),
            (172_800, "2 days"),
            (31_536_000, "365 days"),
        ] {
            assert_eq!(rounded(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn clock_skew_is_reported_for_the_errors_that_it_explains() {
        let behind = |minutes| Some(ClockOffset::Behind(minutes * MINUTE));
        let ahead = |minutes| Some(ClockOffset::Ahead(minutes * MINUTE));
        let expired = "Signature expired: 20260101T114000Z is now earlier than 20260101T114500Z";
        let early = "Signature not yet current: 20260101T122000Z is still later than 20260101T121500Z";
        let denied = "User: arn:aws:iam::1:user/u is not authorized to perform: sts:AssumeRole on resource: r";
        for (code, aws_message, offset, part) in [
            (
                "SignatureDoesNotMatch",
                expired,
                behind(20),
                Some("20 minutes behind that of STS, which therefore refuses"),
            ),
            (
                "SignatureDoesNotMatch",
                early,
                ahead(20),
                Some("20 minutes ahead of that of STS, which therefore refuses"),
            ),
            ("InvalidSignatureException", expired, behind(20), Some("20 minutes behind")),
            ("RequestExpired", "Request has expired.", behind(2000), Some("33 hours behind")),
            ("RequestTimeTooSkewed", "too large", ahead(60 * 24 * 9), Some("9 days ahead of")),
            ("AccessDenied", "Request has expired", ahead(20), Some("nothing else is wrong")),
            // The date does not show the skew: the service's message is sufficient.
            ("RequestTimeTooSkewed", "too large", None, Some("STS says that this node's clock is wrong")),
            ("SignatureDoesNotMatch", expired, behind(1), Some("STS says that this node's clock is wrong")),
            ("SignatureDoesNotMatch", "does not match the signature", behind(20), Some("before you look")),
            ("InvalidClientTokenId", "invalid", behind(5), Some("before you look")),
            ("AccessDenied", "Access Denied", ahead(16), Some("STS said: Access Denied")),
            ("", "no message", ahead(16), Some("16 minutes ahead of")),
            // The clock is about right.
            ("AccessDenied", "Access Denied", ahead(3), None),
            ("SignatureDoesNotMatch", "does not match", behind(3), None),
            ("SignatureDoesNotMatch", "does not match", None, None),
            // The clock is wrong but is not the cause.
            ("AccessDenied", denied, behind(10), None),
            ("NoSuchBucket", "no such bucket", behind(20), None),
            ("Throttling", "Rate exceeded", behind(20), None),
        ] {
            let found = blocker("STS", code, aws_message, offset);
            assert_eq!(found.is_some(), part.is_some(), "{code}: {aws_message}, {offset:?}: {found:?}");
            let (Some(found), Some(part)) = (found, part) else { continue };
            assert_eq!(found.reason, Reason::ClockSkewed);
            assert!(found.message.contains(part) && found.message.contains("NTP"), "{code}: {}", found.message);
        }
    }
}
