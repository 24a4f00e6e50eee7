//! The errors of reading a request's body; their texts are answered to the client.

use std::time::Duration;

use super::body_rate::MIN_BYTES_PER_SECOND;

/// Why a request's body could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BodyError {
    #[error("the body is over {0} bytes")]
    TooLarge(usize),
    #[error("the body is over {0} bytes when decompressed")]
    TooLargeDecompressed(usize),
    #[error("the body took over {} s", .0.as_secs())]
    TooSlow(Duration),
    #[error("the body arrived slower than {MIN_BYTES_PER_SECOND} bytes per second")]
    Stalled,
    #[error("the Content-Encoding \"{0}\" is not supported; send gzip, deflate, zstd or none")]
    UnknownEncoding(String),
    #[error("the body can't be decompressed as {0}: {1}")]
    NotAsEncoded(&'static str, String),
    #[error("the sidecar has no memory left for more requests")]
    OutOfBudget,
    #[error("the body ended early: {0}")]
    Broken(String),
}
