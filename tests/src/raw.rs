//! A connection on which a test writes bytes as it likes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::Answer;

/// Longer than the longest time that a body may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The connection.
pub struct Raw {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    /// Connects.
    ///
    /// # Panics
    /// If nobody listens.
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("somebody who listens"), read: Vec::new() }
    }

    /// Writes.
    ///
    /// # Panics
    /// If the other side is gone.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("an open connection");
    }

    /// Writes as much as the other side takes.
    pub async fn try_write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Reads an answer: its head, and as much of a body as the head says.
    ///
    /// # Panics
    /// If there is none.
    pub async fn answer(&mut self) -> Answer {
        tokio::time::timeout(PATIENCE, self.read_answer()).await.expect("an answer in time")
    }

    async fn read_answer(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.read_more().await;
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).expect("a head of text");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let headers: HeaderMap = lines.filter_map(header).collect();
        let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
        while self.read.len() < length {
            self.read_more().await;
        }
        let body = Bytes::from(self.read.drain(..length).collect::<Vec<_>>());
        Answer { status: status.expect("a status line"), headers, body }
    }

    async fn read_more(&mut self) {
        let count = self.stream.read_buf(&mut self.read).await.expect("an open connection");
        assert!(count > 0, "the connection ended after {:?}", String::from_utf8_lossy(&self.read));
    }
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(": ")?;
    Some((name.parse().ok()?, value.parse().ok()?))
}
