//! Reads a request's whole body, within limits of size, time and memory, and decompresses it within the same size (see
//! [`super::encoding`]).

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{EXPECT, HeaderMap};
use tokio::sync::Semaphore;

use super::body_error::BodyError;
use super::body_rate::BodyRate;
use super::encoding::Encoding;
use crate::memory::{Budget, GrowingBuffer, Reservation};

/// The limits of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Maximum size in bytes, as sent and again after decompression.
    pub(crate) bytes: usize,
    /// Time limit from the request's head to the body's last byte. hyper has no such limit (hyperium/hyper#2457).
    pub(crate) time: Duration,
}

/// A decompressed body, with the reservation of its memory.
#[derive(Debug)]
pub(crate) struct ReadBody {
    pub(crate) bytes: Bytes,
    /// Passed on to the body's events, which must hold it for as long as they live.
    pub(crate) reservation: Reservation,
}

/// How long the rest of a refused body is read and discarded.
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);

/// Limits how many bodies are decompressed concurrently, to the default maximum of worker threads. More would only compete
/// for the memory budget, and most bodies would be refused half-way.
static DECODERS: Semaphore = Semaphore::const_new(8);

/// Reads and decompresses a body. Its memory is reserved from `budget` as it arrives.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    limits: Limits,
    budget: &Budget,
) -> Result<ReadBody, BodyError> {
    let encoding = Encoding::of(headers)?;
    let mut reservation = budget.reserve_nothing();
    let bytes = match collect(&mut body, limits, &mut reservation).await {
        Ok(bytes) => bytes,
        Err(error) => {
            if matches!(error, BodyError::TooLarge(_) | BodyError::OutOfBudget) {
                discard(headers, body);
            }
            return Err(error);
        }
    };
    let encoding = encoding.recognized(&bytes);
    if encoding == Encoding::Identity {
        return Ok(ReadBody { bytes, reservation });
    }
    // The semaphore is never closed, so this can't fail.
    let _decoder = DECODERS.acquire().await;
    let bytes = encoding.decode(bytes, limits.bytes, &mut reservation)?;
    Ok(ReadBody { bytes, reservation })
}

/// Reads and discards the rest of a body in the background, for at most [`LINGER_TIMEOUT`]: a client whose connection
/// is closed while it still sends never sees its answer.
pub(crate) fn discard(headers: &HeaderMap, mut body: Incoming) {
    // A client that sent `Expect: 100-continue` waits before it sends the body, and reading would ask it to begin.
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    let all = async move { while let Some(Ok(_)) = body.frame().await {} };
    tokio::spawn(tokio::time::timeout(LINGER_TIMEOUT, all));
}

async fn collect(body: &mut Incoming, limits: Limits, reservation: &mut Reservation) -> Result<Bytes, BodyError> {
    let too_large = || BodyError::TooLarge(limits.bytes);
    // A Content-Length over the limit is refused before any of the body is read.
    if body.size_hint().lower() > limits.bytes as u64 {
        return Err(too_large());
    }
    let mut pace = Pace { rate: BodyRate::new(), deadline: Instant::now() + limits.time, limit: limits.time };
    let mut first = Bytes::new();
    while first.is_empty() {
        let Some(data) = next_data(body, &mut pace).await? else { return Ok(first) };
        first = data;
    }
    if first.len() > limits.bytes {
        return Err(too_large());
    }
    if !reservation.grow(first.len()) {
        return Err(BodyError::OutOfBudget);
    }
    // Most bodies arrive in one piece, which is used without a copy.
    if body.is_end_stream() {
        return Ok(first);
    }
    let Some(mut data) = next_data(body, &mut pace).await? else { return Ok(first) };
    // The first piece is copied into the buffer below, which reserves it again.
    reservation.keep(0);
    let length = body.size_hint().exact().and_then(|rest| usize::try_from(rest).ok());
    let max_bytes = length.map_or(limits.bytes, |rest| first.len() + data.len() + rest);
    let mut all = GrowingBuffer::new(max_bytes, reservation);
    if !all.extend(&first) {
        return Err(BodyError::OutOfBudget);
    }
    drop(first);
    loop {
        if all.len() + data.len() > limits.bytes {
            return Err(too_large());
        }
        if !all.extend(&data) {
            return Err(BodyError::OutOfBudget);
        }
        match next_data(body, &mut pace).await? {
            Some(next) => data = next,
            None => return Ok(all.into_bytes()),
        }
    }
}

/// How fast a body must arrive.
struct Pace {
    rate: BodyRate,
    /// When the whole body must have arrived.
    deadline: Instant,
    /// The time from its head to the deadline.
    limit: Duration,
}

/// The next piece of a body, `None` at its end. Fails if the client is too slow; trailers are ignored.
async fn next_data(body: &mut Incoming, pace: &mut Pace) -> Result<Option<Bytes>, BodyError> {
    let Pace { rate, deadline, limit } = pace;
    loop {
        let start = Instant::now();
        let left = deadline.saturating_duration_since(start);
        if left.is_zero() {
            return Err(BodyError::TooSlow(*limit));
        }
        // One timer for both limits, since most bodies need one.
        let Ok(frame) = tokio::time::timeout(left.min(rate.time_left()), body.frame()).await else {
            if Instant::now() >= *deadline || rate.window_ended() {
                continue;
            }
            return Err(BodyError::Stalled);
        };
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
        let data = frame.into_data().ok();
        if !rate.record(data.as_ref().map_or(0, Bytes::len), start.elapsed()) {
            return Err(BodyError::Stalled);
        }
        if data.is_some() {
            return Ok(data);
        }
    }
}
