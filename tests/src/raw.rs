//! A TCP connection on which a test writes arbitrary bytes and reads HTTP answers.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::event::track;
use crate::http::Answer;

/// Longer than a sidecar takes to answer or to close a connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The bytes of a request with the `i`th event.
pub fn post(i: usize) -> String {
    let event = track(i).to_string();
    format!("POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {}\r\n\r\n{event}", event.len())
}

/// Connects with a receive buffer of 1 KiB.
///
/// # Panics
/// If the connection is refused.
pub async fn connect_with_small_receive_buffer(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(1_024).expect("a small buffer");
    socket.connect(address).await.expect("a connection")
}

/// A TCP connection to a sidecar.
pub struct RawConnection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Panics
    /// If the connection is refused.
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("a connection"), read: Vec::new() }
    }

    /// Connects with a receive buffer of 1 KiB, as a client that does not read its answers.
    ///
    /// # Panics
    /// If the connection is refused.
    pub async fn with_small_receive_buffer(address: SocketAddr) -> Self {
        Self { stream: connect_with_small_receive_buffer(address).await, read: Vec::new() }
    }

    /// Writes all bytes.
    ///
    /// # Panics
    /// If the other side has closed the connection.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("an open connection");
    }

    /// Writes as many of the bytes as the other side accepts. Returns whether it accepted all.
    pub async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Closes the write side of the connection.
    pub async fn close_write(&mut self) {
        // Fails if the other side has closed the connection already.
        let _ = self.stream.shutdown().await;
    }

    /// Reads one answer: its head, and a body of the length in `Content-Length`.
    ///
    /// # Panics
    /// If there is none within 60 s, or the connection is closed first.
    pub async fn answer(&mut self) -> Answer {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.read_answer()).await.expect("an answer in time");
        answer.expect("an answer before the connection is closed")
    }

    /// Reads answers until the other side closes the connection or `within` has passed. Returns them, and whether the
    /// connection was closed.
    ///
    /// # Panics
    /// If it is closed within an answer.
    pub async fn answers(&mut self, within: Duration) -> (Vec<Answer>, bool) {
        let mut answers = Vec::new();
        let all = async {
            while let Some(answer) = self.read_answer().await {
                answers.push(answer);
            }
        };
        let closed = tokio::time::timeout(within, all).await.is_ok();
        (answers, closed)
    }

    /// Reads until the other side closes the connection, for an answer without `Content-Length`.
    ///
    /// # Panics
    /// If it is not closed within 60 s.
    pub async fn read_to_end(&mut self) -> String {
        let all = async { while self.read_more().await {} };
        tokio::time::timeout(ANSWER_TIMEOUT, all).await.expect("the connection is closed in time");
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Reads one answer; `None` if the connection is closed before it.
    async fn read_answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if !self.read_more().await {
                assert!(
                    self.read.is_empty(),
                    "the connection was closed after {:?}",
                    String::from_utf8_lossy(&self.read)
                );
                return None;
            }
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).expect("a head in UTF-8");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let headers: HeaderMap = lines.filter_map(header).collect();
        let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
        while self.read.len() < length {
            assert!(
                self.read_more().await,
                "the connection was closed after {:?}",
                String::from_utf8_lossy(&self.read)
            );
        }
        let body = Bytes::from(self.read.drain(..length).collect::<Vec<_>>());
        Some(Answer { status: status.expect("a status line"), headers, body })
    }

    /// Reads more bytes; false if the connection is closed. A reset, which a server sends if it closes before it has
    /// read everything, counts as closed.
    async fn read_more(&mut self) -> bool {
        match self.stream.read_buf(&mut self.read).await {
            Ok(count) => count > 0,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("reading from the connection: {error}"),
        }
    }
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(": ")?;
    Some((name.parse().ok()?, value.parse().ok()?))
}
