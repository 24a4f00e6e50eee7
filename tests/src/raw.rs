//! A connection on which a test writes bytes as it likes.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

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

    /// Connects as a client that has next to no room for answers.
    ///
    /// # Panics
    /// If nobody listens.
    pub async fn without_room(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(1_024).expect("a small buffer");
        Self { stream: socket.connect(address).await.expect("somebody who listens"), read: Vec::new() }
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

    /// Says that nothing more will be written.
    pub async fn finish(&mut self) {
        // Whoever is gone needs no telling.
        let _ = self.stream.shutdown().await;
    }

    /// Reads an answer: its head, and as much of a body as the head says.
    ///
    /// # Panics
    /// If there is none.
    pub async fn answer(&mut self) -> Answer {
        let answer = tokio::time::timeout(PATIENCE, self.read_answer()).await.expect("an answer in time");
        answer.expect("a connection that is open until it is answered")
    }

    /// Reads all answers until the other side closes the connection, or time is up; says whether it
    /// was closed.
    ///
    /// # Panics
    /// If it is closed in the midst of one.
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

    /// Reads what is left until the other side closes the connection: for an answer whose length its
    /// head does not say.
    ///
    /// # Panics
    /// If it is never closed.
    pub async fn rest(&mut self) -> String {
        let all = async { while self.read_more().await {} };
        tokio::time::timeout(PATIENCE, all).await.expect("an end in time");
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// None when the connection has ended.
    async fn read_answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if !self.read_more().await {
                assert!(self.read.is_empty(), "it ended after {:?}", String::from_utf8_lossy(&self.read));
                return None;
            }
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).expect("a head of text");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let headers: HeaderMap = lines.filter_map(header).collect();
        let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
        while self.read.len() < length {
            assert!(self.read_more().await, "it ended after {:?}", String::from_utf8_lossy(&self.read));
        }
        let body = Bytes::from(self.read.drain(..length).collect::<Vec<_>>());
        Some(Answer { status: status.expect("a status line"), headers, body })
    }

    /// Whether there was more: a connection that is reset, because not all was read that was
    /// written, has ended too.
    async fn read_more(&mut self) -> bool {
        match self.stream.read_buf(&mut self.read).await {
            Ok(count) => count > 0,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("a connection that can be read: {error}"),
        }
    }
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(": ")?;
    Some((name.parse().ok()?, value.parse().ok()?))
}
