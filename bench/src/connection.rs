//! A keep-alive connection that sends one request at a time.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;

use crate::event::{EVENT_BYTES, Events, format_time};
use crate::response::{Reader, Response};
use crate::tls;

pub struct Connection {
    stream: tls::Stream,
    reader: Reader,
    requests: Requests,
}

/// Builds requests with one event, or with a batch of events.
struct Requests {
    address: SocketAddr,
    events: Events,
    /// Events per request.
    count: usize,
    /// The latest request.
    bytes: Vec<u8>,
    /// The messageIds of its events.
    message_ids: Vec<u128>,
}

/// A request's response, and what it is about.
pub struct Answer<'a> {
    pub response: Response<'a>,
    /// The messageIds of the request's events.
    pub message_ids: &'a [u128],
}

const BATCH_DELIMITERS: [&str; 2] = [r#"{"batch":["#, "]}"];

impl Connection {
    /// Connects to `address`, to send `count` of the events in each request; over TLS, if there is a client for it.
    pub async fn open(
        address: SocketAddr,
        tls: Option<&TlsConnector>,
        events: Events,
        count: usize,
    ) -> Result<Connection> {
        let stream = tls::connect(address, tls).await.with_context(|| format!("connecting to {address}"))?;
        let requests = Requests { address, events, count, bytes: Vec::new(), message_ids: Vec::new() };
        Ok(Connection { stream, reader: Reader::default(), requests })
    }

    /// Sends one request and waits for its answer.
    pub async fn send(&mut self) -> std::io::Result<Answer<'_>> {
        let request = self.requests.next(Timestamp::now())?;
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        let response = self.reader.read(&mut self.stream).await?;
        Ok(Answer { response, message_ids: &self.requests.message_ids })
    }
}

impl Requests {
    fn next(&mut self, now: Timestamp) -> std::io::Result<&[u8]> {
        let now = format_time(now);
        self.bytes.clear();
        self.message_ids.clear();
        match self.count {
            1 => {
                self.write_head("/v1/track", EVENT_BYTES)?;
                self.write_event(&now)?;
            }
            count => {
                // Including a comma between any two events.
                let length = count * (EVENT_BYTES + 1) - 1 + BATCH_DELIMITERS.concat().len();
                self.write_head("/v1/batch", length)?;
                for number in 0..count {
                    let before = if number == 0 { BATCH_DELIMITERS[0] } else { "," };
                    self.bytes.extend_from_slice(before.as_bytes());
                    self.write_event(&now)?;
                }
                self.bytes.extend_from_slice(BATCH_DELIMITERS[1].as_bytes());
            }
        }
        Ok(&self.bytes)
    }

    fn write_event(&mut self, now: &str) -> std::io::Result<()> {
        self.message_ids.push(self.events.write(&mut self.bytes, now)?);
        Ok(())
    }

    fn write_head(&mut self, path: &str, length: usize) -> std::io::Result<()> {
        write!(
            self.bytes,
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            self.address
        )
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_request_has_its_content_length_and_number_of_events() {
        let events = Events::generate().unwrap();
        for (count, path) in [(1, "/v1/track"), (2, "/v1/batch"), (100, "/v1/batch")] {
            let address = (Ipv4Addr::LOCALHOST, 8080).into();
            let mut requests =
                Requests { address, events: events.clone(), count, bytes: Vec::new(), message_ids: Vec::new() };
            for _ in 0..2 {
                let request = requests.next(Timestamp::UNIX_EPOCH).unwrap().to_owned();
                let (head, body) = std::str::from_utf8(&request).unwrap().split_once("\r\n\r\n").unwrap();
                assert!(head.starts_with(&format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n")), "{head}");
                assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
                let body: serde_json::Value = serde_json::from_str(body).unwrap();
                let events = body["batch"].as_array().map_or(std::slice::from_ref(&body), Vec::as_slice);
                let sent: Vec<_> = events.iter().map(|event| event["messageId"].as_str().unwrap()).collect();
                let ids: Vec<_> = requests.message_ids.iter().map(|id| format!("{id:032x}")).collect();
                assert_eq!((sent.len(), sent), (count, ids.iter().map(String::as_str).collect()));
            }
        }
    }
}
