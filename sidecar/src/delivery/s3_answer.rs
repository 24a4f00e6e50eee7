//! The answer to a request that S3 did not fulfil.

use crate::skew::ClockOffset;

/// Why a request to S3 failed: with an error, or without an answer from S3. Its texts can be shown: they contain no
/// secrets, and have a bounded length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum S3Answer {
    /// An error answer of S3, as far as it could be parsed.
    Error {
        /// The HTTP status.
        status: u16,
        /// AWS's error code; empty if the answer had none.
        code: String,
        /// AWS's error message.
        message: String,
        /// The header of the request that the error is about, if the answer names one.
        header: Option<String>,
        /// The bucket's region, if the answer names it.
        region: Option<String>,
        /// Offset of this machine's clock from S3's, if the answer has a date.
        offset: Option<ClockOffset>,
    },
    /// An answer that S3 does not give, such as a proxy's or another server's.
    Foreign {
        /// The HTTP status.
        status: u16,
        /// The start of its body, safe to quote in a message.
        start: String,
    },
    /// No connection, or a truncated answer, with the cause.
    NoResponse(String),
    /// No answer within the timeout of the request.
    Timeout,
}

impl S3Answer {
    /// Whether S3 may have stored the object nevertheless.
    pub(crate) fn leaves_in_doubt(&self) -> bool {
        match self {
            Self::Error { status, .. } | Self::Foreign { status, .. } => !(300..500).contains(status),
            Self::NoResponse(_) | Self::Timeout => true,
        }
    }
}
