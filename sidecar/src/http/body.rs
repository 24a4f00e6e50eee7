//! A request's body, read whole: within a size, a time and the budget, and decompressed within the
//! same size.

use std::io::Read;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, EXPECT, HeaderMap};

use super::budget::{Budget, Reservation};

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes, as sent and again after decompression.
    pub(crate) bytes: usize,
    /// From the head to the body's last byte. hyper has no such limit (hyperium/hyper#2457).
    pub(crate) time: Duration,
}

/// Why there is no body.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BodyError {
    #[error("the body is over {0} bytes")]
    TooLarge(usize),
    #[error("the body is over {0} bytes when decompressed")]
    TooLargeDecompressed(usize),
    #[error("the body took over {} s", .0.as_secs())]
    TooSlow(Duration),
    #[error("the Content-Encoding \"{0}\" is not known here; send gzip or none")]
    UnknownEncoding(String),
    #[error("the body is not gzip, as its Content-Encoding says: {0}")]
    NotGzip(String),
    #[error("the sidecar is working on as many bytes as it has memory for")]
    OutOfBudget,
    #[error("the body ended early: {0}")]
    Broken(String),
}

/// A body, with the reservation of its memory.
#[derive(Debug)]
pub(crate) struct ReadBody {
    pub(crate) bytes: Bytes,
    /// Held for as long as the body's events are.
    pub(crate) reservation: Reservation,
}

/// How long the rest of a refused body is read, for nothing.
const LINGER: Duration = Duration::from_secs(10);

/// Reads a body.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    limits: Limits,
    budget: &Budget,
) -> Result<ReadBody, BodyError> {
    let gzip = is_gzip(headers)?;
    let mut reservation = budget.reserve_nothing();
    let collected = tokio::time::timeout(limits.time, collect(&mut body, limits, &mut reservation)).await;
    let bytes = match collected.unwrap_or(Err(BodyError::TooSlow(limits.time))) {
        Ok(bytes) => bytes,
        Err(error) => {
            // Whoever asked first has not sent anything, and is not to begin now.
            let sends_on = matches!(error, BodyError::TooLarge(_) | BodyError::OutOfBudget);
            if sends_on && !headers.contains_key(EXPECT) {
                tokio::spawn(tokio::time::timeout(LINGER, discard(body)));
            }
            return Err(error);
        }
    };
    let bytes = if gzip { gunzip(&bytes, limits.bytes, &mut reservation)? } else { bytes };
    Ok(ReadBody { bytes, reservation })
}

/// Reads what is left and keeps nothing: a client whose connection is closed while it still sends
/// never sees its answer.
async fn discard(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, BodyError> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(false) };
    match encoding.as_bytes() {
        b"" => Ok(false),
        name if name.eq_ignore_ascii_case(b"identity") => Ok(false),
        name if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") => Ok(true),
        name => Err(BodyError::UnknownEncoding(String::from_utf8_lossy(name).into_owned())),
    }
}

async fn collect(body: &mut Incoming, limits: Limits, reservation: &mut Reservation) -> Result<Bytes, BodyError> {
    let too_large = || BodyError::TooLarge(limits.bytes);
    // A Content-Length over the limit is refused before a byte of it is read.
    if body.size_hint().lower() > limits.bytes as u64 {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > limits.bytes {
            return Err(too_large());
        }
        if !reservation.grow(data.len()) {
            return Err(BodyError::OutOfBudget);
        }
        // Most bodies come in one piece, and stay where they are.
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(usize::try_from(body.size_hint().lower()).unwrap_or_default() + first.len() + data.len());
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Decompresses, member after member, and stops one byte past the limit: a bomb never unfolds.
fn gunzip(compressed: &[u8], limit: usize, reservation: &mut Reservation) -> Result<Bytes, BodyError> {
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(compressed).take(limit as u64 + 1);
    let mut chunk = [0; 16 << 10];
    loop {
        let read = decoder.read(&mut chunk).map_err(|error| BodyError::NotGzip(error.to_string()))?;
        if read == 0 {
            return Ok(plain.into());
        }
        if plain.len() + read > limit {
            return Err(BodyError::TooLargeDecompressed(limit));
        }
        if !reservation.grow(read) {
            return Err(BodyError::OutOfBudget);
        }
        plain.extend_from_slice(&chunk[..read]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(compressed: &[u8], limit: usize) -> Result<Bytes, BodyError> {
        gunzip(compressed, limit, &mut Budget::new(1 << 20).reserve_nothing())
    }

    #[test]
    fn gzip_is_unpacked_member_after_member() {
        let two = [gzip(b"one"), gzip(b"two")].concat();
        assert_eq!(unpacked(&two, 6).unwrap(), "onetwo");
    }

    #[test]
    fn a_bomb_never_unfolds() {
        let bomb = gzip(&vec![b'0'; 10 << 20]);
        assert_eq!(unpacked(&bomb, 1000).unwrap_err(), BodyError::TooLargeDecompressed(1000));
        assert_eq!(unpacked(&gzip(b"123"), 2).unwrap_err(), BodyError::TooLargeDecompressed(2));
        let mut small = Budget::new(100).reserve_nothing();
        assert_eq!(gunzip(&bomb, 20 << 20, &mut small).unwrap_err(), BodyError::OutOfBudget);
    }

    #[test]
    fn what_is_not_gzip_is_told_so() {
        assert!(matches!(unpacked(b"plain", 10), Err(BodyError::NotGzip(_))));
        let cut = gzip(b"cut short");
        assert!(matches!(unpacked(&cut[..cut.len() - 4], 10), Err(BodyError::NotGzip(_))));
    }

    #[test]
    fn encodings_are_named_in_any_case() {
        let headers = |name: &str| HeaderMap::from_iter([(CONTENT_ENCODING, name.parse().unwrap())]);
        assert_eq!(is_gzip(&HeaderMap::new()), Ok(false));
        assert_eq!(is_gzip(&headers("identity")), Ok(false));
        assert_eq!(is_gzip(&headers("GZIP")), Ok(true));
        assert_eq!(is_gzip(&headers("br")), Err(BodyError::UnknownEncoding("br".to_owned())));
    }
}
