//! The events that the libraries sent, and how they must be stored.

use std::collections::HashMap;
use std::io::Read;

use bytes::Bytes;
use flate2::read::GzDecoder;
use hyper::header::CONTENT_ENCODING;
use hyper::{Method, Request};
use jiff::Timestamp;

use crate::members::{Members, time};

/// Fields that the sidecar sets; among them `timestamp`, with the corrected time.
const STAMPED: [&str; 5] = ["originalTimestamp", "receivedAt", "sentAt", "timestamp", "version"];

/// How many of `events` events get their messageId from the library, which generates a new one in each run.
pub fn without_message_id(events: usize) -> usize {
    events / 10
}

/// The events that were sent, by messageId.
pub struct Sent<'a>(pub HashMap<String, Event<'a>>);

/// An event, and the `sentAt` of each request that contained it.
pub struct Event<'a> {
    members: Members<'a>,
    pub sent_at: Vec<&'a str>,
}

/// The bodies of the requests with events, decompressed.
pub fn bodies(requests: &[Request<Bytes>]) -> Vec<String> {
    // Browsers also ask with OPTIONS whether the page may send.
    requests.iter().filter(|request| request.method() == Method::POST).map(body).collect()
}

fn body(request: &Request<Bytes>) -> String {
    let mut text = String::new();
    let mut bytes: &[u8] = request.body();
    let read = match request.headers().get(CONTENT_ENCODING) {
        Some(encoding) if encoding == "gzip" => GzDecoder::new(bytes).read_to_string(&mut text),
        _ => bytes.read_to_string(&mut text),
    };
    read.expect("a body that can be decompressed");
    text
}

impl<'a> Sent<'a> {
    /// Parses the bodies of requests: each a batch or a single event.
    pub fn read(bodies: &'a [String]) -> Sent<'a> {
        let mut sent = Sent(HashMap::new());
        for body in bodies {
            let request: Members<'a> = serde_json::from_str(body).expect("a request's body is JSON");
            match request.0.get("batch") {
                Some(batch) => {
                    let batch: Vec<Members<'a>> = serde_json::from_str(batch).expect("a batch is an array");
                    batch.into_iter().for_each(|event| sent.add(event, request.0.get("sentAt").copied()));
                }
                None => sent.add(request, None),
            }
        }
        sent
    }

    fn add(&mut self, mut members: Members<'a>, batch_sent_at: Option<&'a str>) {
        let id = members.text("messageId");
        let sent_at = members.0.remove("sentAt").or(batch_sent_at).expect("the event or its batch has sentAt");
        // The write key authenticates the request and is not part of the event.
        members.0.remove("writeKey");
        // RudderStack's library sets `originalTimestamp` to the time of the call; the event may have its own
        // `timestamp`.
        if let Some(handed) = members.0.remove("originalTimestamp") {
            members.0.entry("timestamp".to_owned()).or_insert(handed);
        }
        let event = self.0.entry(id).or_insert_with(|| Event { members: members.clone(), sent_at: Vec::new() });
        assert_eq!(event.members, members, "an event changed when it was sent again");
        event.sent_at.push(sent_at);
    }
}

impl Event<'_> {
    /// The client's timestamp of the event.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.members.0.get("timestamp").map(|json| time(json))
    }

    /// Checks that `stored` is this event as the sidecar must store it. An error names the difference.
    pub fn check(&self, stored: &Members<'_>, started: Timestamp) -> Result<(), String> {
        for (name, value) in &self.members.0 {
            let name = if name == "timestamp" { "originalTimestamp" } else { name };
            if stored.0.get(name) != Some(value) {
                return Err(format!("{name} was sent as {value}"));
            }
        }
        if let Some(name) = stored.0.keys().find(|name| !self.members.0.contains_key(*name) && !stamped(name)) {
            return Err(format!("{name} was not sent"));
        }
        if !self.sent_at.contains(&stored.get("sentAt")) {
            return Err(format!("sentAt was {:?}", self.sent_at));
        }
        if stored.get("version") != "2" {
            return Err("version is not 2".to_owned());
        }
        let received = time(stored.get("receivedAt"));
        // `receivedAt` is truncated to milliseconds.
        if received.as_millisecond() < started.as_millisecond() || received > Timestamp::now() {
            return Err("receivedAt is not when it was received".to_owned());
        }
        let happened = match self.timestamp() {
            Some(timestamp) => received - time(stored.get("sentAt")).duration_since(timestamp),
            None if stored.get("originalTimestamp") != stored.get("receivedAt") => {
                return Err("originalTimestamp is not when it was received".to_owned());
            }
            None => received,
        };
        if happened.as_millisecond() != time(stored.get("timestamp")).as_millisecond() {
            return Err(format!("timestamp is not {happened}, as its client's clock has it"));
        }
        Ok(())
    }
}

fn stamped(name: &str) -> bool {
    STAMPED.contains(&name)
}
