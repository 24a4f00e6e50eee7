//! What S3's refusal of an object means. Pure.
//!
//! An answer is first sorted by its code, or where the code is not in the table by its status
//! ([`codes`]); the kind then decides what to do ([`classify`]) and what to say ([`sentences`]).

mod codes;
mod sentences;
#[cfg(test)]
mod tests;

use tributary_crds::conditions::Reason;

use crate::blocker::Blocker;
use crate::skew::{self, ClockOffset};
use codes::{Kind, S3Error};
use sentences::unreachable;

pub(crate) use sentences::{condition_not_set, no_answer, sessions_refused};

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
            let error = S3Error { status: *status, code, message, bucket_region: region.as_deref() };
            let class = classify_error(&error, target);
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

fn classify_error(error: &S3Error<'_>, target: Target<'_>) -> ErrorClass {
    let kind = error.kind(target.region);
    let blocker = || sentences::blocker(kind, error, target);
    match kind {
        Kind::PreconditionFailed => ErrorClass::PreconditionFailed,
        Kind::Conflict | Kind::Damaged | Kind::Redirected | Kind::Throttled | Kind::Unwell => {
            ErrorClass::Retry(blocker())
        }
        Kind::DeadSession => ErrorClass::Refresh(blocker()),
        Kind::UnknownHeader | Kind::NoSuchBucket | Kind::WrongRegion | Kind::BadSignature => {
            ErrorClass::Configuration(blocker())
        }
        Kind::Kms | Kind::Denied | Kind::Other => ErrorClass::Refused(blocker()),
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
