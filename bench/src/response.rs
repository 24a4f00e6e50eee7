//! Reads HTTP responses with as little work as possible: only the status and Content-Length are parsed.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Maximum length of a response in bytes, head and body; the sidecar's have a few hundred.
const MAX_RESPONSE_BYTES: usize = 16 * 1024;

/// An HTTP response.
pub struct Response<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// The receiving side of a connection.
#[derive(Default)]
pub struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    /// Reads the response to the one request that is in flight.
    pub async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Response<'_>> {
        self.buffer.clear();
        let head = loop {
            self.read_more(stream).await?;
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
        };
        while self.buffer.len() < head.end {
            self.read_more(stream).await?;
        }
        Ok(Response { status: head.status, body: &self.buffer[head.body..head.end] })
    }

    async fn read_more(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<()> {
        if self.buffer.len() > MAX_RESPONSE_BYTES {
            return Err(Error::new(ErrorKind::InvalidData, "the answer is too long"));
        }
        match stream.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// A parsed head: the status, and where the body begins and ends.
#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    body: usize,
    end: usize,
}

/// Parses the head; `None` while it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(length) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let invalid = |what: &str| Error::new(ErrorKind::InvalidData, what);
    let text = std::str::from_utf8(&bytes[..length]).map_err(|_| invalid("the answer's head is not text"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let body_length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    let body = length + 4;
    Ok(Some(Head {
        status: status.ok_or_else(|| invalid("the answer is not HTTP/1.1"))?,
        body,
        end: body + body_length.ok_or_else(|| invalid("the answer has no Content-Length"))?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_parsed_once_it_is_complete() {
        let bytes = b"HTTP/1.1 503 Service Unavailable\r\nDate: x\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parse_head(bytes).unwrap(), Some(Head { status: 503, body: bytes.len() - 2, end: bytes.len() }));
        assert_eq!(parse_head(&bytes[..bytes.len() - 4]).unwrap(), None);
    }

    #[test]
    fn an_unsupported_response_is_an_error() {
        for bytes in ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "SSH-2.0\r\ncontent-length: 0\r\n\r\n"] {
            assert!(parse_head(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
