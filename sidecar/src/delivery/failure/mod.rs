//! Classifies failed requests to S3: whether to retry, and what to report. Pure.
//!
//! An error is first classified by its code, or by its status if the code is not in the table ([`codes`]). Its kind
//! then decides the reaction ([`classify`]) and the message ([`messages`]). The delay before a retry is in
//! [`retry_delay`](super::retry_delay).

mod codes;
mod headers;
mod messages;
#[cfg(test)]
mod tests;

use tributary_crds::conditions::Reason;
use tributary_crds::function::DestinationFunctionSpec;
use tributary_crds::values::AccountId;

use super::s3::S3Endpoint;
use super::s3_answer::S3Answer;
use crate::blocker::Blocker;
use crate::redact;
use crate::skew;
use codes::{Kind, S3Error};
use messages::unreachable;

pub(crate) use messages::{condition_not_set, no_answer, sessions_refused};

/// How to react to a failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// S3 answered 412: the condition `If-None-Match: *` did not hold.
    PreconditionFailed,
    /// The failure may pass by itself: retry.
    Retry(Blocker),
    /// S3 does not accept the session: get a new one, then retry.
    Refresh(Blocker),
    /// A person has to fix it, and no object can be stored until then.
    Configuration(Blocker),
    /// A person has to fix it, but other keys may be stored meanwhile.
    Refused(Blocker),
}

/// The destination of the request, for classification and messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) spec: &'a DestinationFunctionSpec,
    pub(crate) endpoint: &'a S3Endpoint,
}

impl<'a> Target<'a> {
    fn bucket(self) -> &'a str {
        self.spec.s3.bucket.as_str()
    }

    fn region(self) -> &'a str {
        self.spec.s3.region.as_str()
    }

    fn role(self) -> &'a str {
        self.spec.role_arn.as_str()
    }

    fn prefix(self) -> &'a str {
        self.spec.s3.prefix.as_ref().map_or("", |prefix| prefix.as_str())
    }

    fn owner(self) -> Option<&'a str> {
        self.spec.s3.expected_bucket_owner.as_ref().map(AccountId::as_str)
    }

    /// Where S3 is: `at https://minio.storage.svc:9000`, `in us-west-2`.
    fn place(self) -> String {
        let origin = self.endpoint.url.as_deref().and_then(redact::origin);
        origin.map_or_else(|| format!("in {}", self.region()), |origin| format!("at {origin}"))
    }
}

/// All reasons that [`classify`] reports.
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
    /// The same class with another cause, which affects every object: `Refused` becomes `Configuration`.
    fn because_of(self, cause: Blocker) -> Self {
        match self {
            Self::PreconditionFailed => self,
            Self::Retry(_) => Self::Retry(cause),
            Self::Refresh(_) => Self::Refresh(cause),
            Self::Configuration(_) | Self::Refused(_) => Self::Configuration(cause),
        }
    }
}

/// Decides how to react to a failed request, and what to report.
pub(crate) fn classify(answer: &S3Answer, target: Target<'_>) -> ErrorClass {
    match answer {
        S3Answer::Error { status, code, message, header, region, offset } => {
            let (header, bucket_region) = (header.as_deref(), region.as_deref());
            let error = S3Error { status: *status, code, message, header, bucket_region };
            let class = classify_error(&error, target);
            // The reaction stays the same, but affects every object: once the clock is correct, S3 may answer
            // differently.
            match skew::blocker("S3", code, message, *offset) {
                Some(skewed) => class.because_of(skewed),
                None => class,
            }
        }
        S3Answer::Foreign { status, start } => foreign(*status, start),
        S3Answer::Timeout => ErrorClass::Retry(no_answer(target)),
        S3Answer::NoResponse(why) => ErrorClass::Retry(unreachable(why, target)),
    }
}

fn classify_error(error: &S3Error<'_>, target: Target<'_>) -> ErrorClass {
    let kind = error.kind(target.region());
    let blocker = || messages::blocker(kind, error, target);
    match kind {
        Kind::PreconditionFailed => ErrorClass::PreconditionFailed,
        Kind::Conflict | Kind::Corrupted | Kind::Redirected | Kind::Throttled | Kind::TemporaryFault => {
            ErrorClass::Retry(blocker())
        }
        Kind::RejectedSession => ErrorClass::Refresh(blocker()),
        Kind::UnknownHeader | Kind::NoSuchBucket | Kind::WrongRegion | Kind::BadSignature => {
            ErrorClass::Configuration(blocker())
        }
        Kind::Kms | Kind::Denied | Kind::Other => ErrorClass::Refused(blocker()),
    }
}

/// Classifies an answer that S3 does not give: that of a busy server is retried.
fn foreign(status: u16, start: &str) -> ErrorClass {
    let begins =
        if start.is_empty() { "its body is empty".to_owned() } else { format!("its body begins with: {start}") };
    let what = format!("a PUT was answered {status}, and not as S3 answers; {begins}");
    let busy = matches!(status, 408 | 425 | 429 | 500..);
    if busy {
        let reason = if status == 429 { Reason::Throttled } else { Reason::S3Error };
        return ErrorClass::Retry(Blocker { reason, message: format!("{what}; it is retried until S3 answers") });
    }
    let message = format!(
        "{what}; nothing is known to be stored: check that spec.s3.endpoint is the store's own, and that no proxy answers \
         in its place"
    );
    ErrorClass::Configuration(Blocker { reason: Reason::S3Error, message })
}
