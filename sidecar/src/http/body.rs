//! A request's body, read whole: within a size, a time and the budget, and decompressed within the
//! same size (see [`super::encoding`]).

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{EXPECT, HeaderMap};
use tokio::sync::Semaphore;

use super::body_error::BodyError;
use super::body_rate::BodyRate;
use super::encoding::Encoding;
use crate::memory::{Budget, Growing, Reservation};

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes, as sent and again after decompression.
    pub(crate) bytes: usize,
    /// From the head to the body's last byte. hyper has no such limit (hyperium/hyper#2457).
    pub(crate) time: Duration,
}

/// A body, with the reservation of its memory.
#[derive(Debug)]
pub(crate) struct ReadBody {
    pub(crate) bytes: Bytes,
    /// Held for as long as the body's events are.
    pub(crate) reservation: Reservation,
}

/// How long the rest of a refused body is read, for nothing.
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bodies are decompressed at once: as many as there are worker threads at most by default. More threads
/// would only take the budget from one another, and refuse most bodies half-way.
static DECODERS: Semaphore = Semaphore::const_new(8);

/// Reads a body.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    limits: Limits,
    budget: &Budget,
) -> Result<ReadBody, BodyError> {
    let encoding = Encoding::of(headers)?;
    let mut reservation = budget.reserve_nothing();
    let collected = tokio::time::timeout(limits.time, collect(&mut body, limits, &mut reservation)).await;
    let bytes = match collected.unwrap_or(Err(BodyError::TooSlow(limits.time))) {
        Ok(bytes) => bytes,
        Err(error) => {
            if matches!(error, BodyError::TooLarge(_) | BodyError::OutOfBudget) {
                discard(headers, body);
            }
            return Err(error);
        }
    };
    if encoding == Encoding::Identity {
        return Ok(ReadBody { bytes, reservation });
    }
    // It is never closed, so this waits and nothing else.
    let _decoder = DECODERS.acquire().await;
    let bytes = encoding.decode(bytes, limits.bytes, &mut reservation)?;
    Ok(ReadBody { bytes, reservation })
}

/// Reads what is left for a while and keeps nothing: a client whose connection is closed while it still
/// sends never sees its answer.
pub(crate) fn discard(headers: &HeaderMap, mut body: Incoming) {
    // A client that asked first has not sent anything, and is not to begin now.
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    let all = async move { while let Some(Ok(_)) = body.frame().await {} };
    tokio::spawn(tokio::time::timeout(LINGER_TIMEOUT, all));
}

async fn collect(body: &mut Incoming, limits: Limits, reservation: &mut Reservation) -> Result<Bytes, BodyError> {
    let too_large = || BodyError::TooLarge(limits.bytes);
    // A Content-Length over the limit is refused before a byte of it is read.
    if body.size_hint().lower() > limits.bytes as u64 {
        return Err(too_large());
    }
    let mut rate = BodyRate::new();
    let mut first = Bytes::new();
    while first.is_empty() {
        let Some(data) = next_data(body, &mut rate).await? else { return Ok(first) };
        first = data;
    }
    if first.len() > limits.bytes {
        return Err(too_large());
    }
    if !reservation.grow(first.len()) {
        return Err(BodyError::OutOfBudget);
    }
    // Most bodies come in one piece, and stay where they are.
    let Some(mut data) = next_data(body, &mut rate).await? else { return Ok(first) };
    // It is reserved anew with all the others.
    reservation.keep(0);
    let length = body.size_hint().exact().and_then(|rest| usize::try_from(rest).ok());
    let most = length.map_or(limits.bytes, |rest| first.len() + data.len() + rest);
    let mut all = Growing::new(most, reservation);
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
        match next_data(body, &mut rate).await? {
            Some(next) => data = next,
            None => return Ok(all.into_bytes()),
        }
    }
}

/// The next piece of a body, if it comes fast enough; trailers are ignored.
async fn next_data(body: &mut Incoming, rate: &mut BodyRate) -> Result<Option<Bytes>, BodyError> {
    loop {
        let start = Instant::now();
        let Ok(frame) = tokio::time::timeout(rate.patience(), body.frame()).await else {
            if rate.window_ended() {
                continue;
            }
            return Err(BodyError::Stalled);
        };
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
        let data = frame.into_data().ok();
        if !rate.came(data.as_ref().map_or(0, Bytes::len), start.elapsed()) {
            return Err(BodyError::Stalled);
        }
        if data.is_some() {
            return Ok(data);
        }
    }
}
