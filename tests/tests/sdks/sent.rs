//! The events that the libraries sent, and how they must be stored.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use bytes::Bytes;
use flate2::read::GzDecoder;
use hyper::header::CONTENT_ENCODING;
use hyper::{Method, Request};
use jiff::Timestamp;

use crate::members::{Members, time};

/// Members that the sidecar sets; among them `timestamp`, with the corrected time, and `messageId`, if there is none.
const STAMPED: [&str; 6] = ["messageId", "originalTimestamp", "receivedAt", "sentAt", "timestamp", "version"];

/// Members of a batch that the sidecar merges into its events.
const SHARED: [&str; 2] = ["context", "integrations"];

/// The events that were sent, by [`identity`].
pub struct Sent<'a>(pub HashMap<String, Event<'a>>);

/// An event, and the `sentAt` of each request that contained it.
#[derive(Clone)]
pub struct Event<'a> {
    members: Members<'a>,
    /// The event's objects to which its batch adds members.
    merged: BTreeMap<&'static str, Members<'a>>,
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

/// The `messageId` or, if the library sets none, the `context`, which is then different in each of the test's events.
fn identity(members: &Members<'_>) -> String {
    match members.values.get("messageId") {
        Some(_) => members.text("messageId"),
        None => members.get("context").to_owned(),
    }
}

impl<'a> Sent<'a> {
    /// Parses the bodies of requests: each a batch or a single event.
    pub fn read(bodies: &'a [String]) -> Sent<'a> {
        let mut sent = Sent(HashMap::new());
        for body in bodies {
            let request = Members::parse(body);
            match request.values.get("batch") {
                Some(batch) => {
                    let events: Vec<Members<'a>> = serde_json::from_str(batch).expect("a batch is an array");
                    events.into_iter().for_each(|event| sent.add(event, Some(&request)));
                }
                None => sent.add(request, None),
            }
        }
        sent
    }

    fn add(&mut self, mut members: Members<'a>, batch: Option<&Members<'a>>) {
        let id = identity(&members);
        let of_batch = |name: &str| batch.and_then(|batch| batch.values.get(name).copied());
        let sent_at = members.values.remove("sentAt").or_else(|| of_batch("sentAt"));
        let sent_at = sent_at.expect("the event or its batch has sentAt");
        // The write key authenticates the request and is not part of the event.
        members.values.remove("writeKey");
        // RudderStack's libraries set `originalTimestamp` to the time of the call; the event may have its own
        // `timestamp`.
        if let Some(handed) = members.values.remove("originalTimestamp") {
            members.values.entry("timestamp".to_owned()).or_insert(handed);
        }
        let mut merged = BTreeMap::new();
        for name in SHARED {
            if let Some(shared) = of_batch(name) {
                let mut object = Members::parse(members.values.remove(name).unwrap_or("{}"));
                for (name, value) in Members::parse(shared).values {
                    object.values.entry(name).or_insert(value);
                }
                merged.insert(name, object);
            }
        }
        let event = Event { members, merged, sent_at: Vec::new() };
        let first = self.0.entry(id).or_insert_with(|| event.clone());
        assert_eq!(first.members, event.members, "an event changed when it was sent again");
        first.sent_at.push(sent_at);
    }

    /// The identity of the event that is stored as `stored`, and the event as it was sent.
    pub fn find(&self, stored: &Members<'_>) -> Option<(&str, &Event<'a>)> {
        let by_id = self.0.get_key_value(&stored.text("messageId"));
        let found = by_id.or_else(|| self.0.get_key_value(stored.get("context")));
        found.map(|(identity, event)| (identity.as_str(), event))
    }
}

impl Event<'_> {
    /// The client's timestamp of the event.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.members.values.get("timestamp").map(|json| time(json))
    }

    /// Checks that `stored` is this event as the sidecar must store it. An error names the difference.
    pub fn check(&self, stored: &Members<'_>, started: Timestamp) -> Result<(), String> {
        if !stored.repeated.is_empty() {
            return Err(format!("{:?} are there twice", stored.repeated));
        }
        for (name, value) in &self.members.values {
            let name = if name == "timestamp" { "originalTimestamp" } else { name };
            if stored.values.get(name) != Some(value) {
                return Err(format!("{name} was sent as {value}"));
            }
        }
        for (name, object) in &self.merged {
            if Members::parse(stored.get(name)).values != object.values {
                return Err(format!("{name} was sent as {object:?}"));
            }
        }
        if let Some(name) = stored.values.keys().find(|name| !self.sets(name)) {
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

    /// Whether the client, its batch or the sidecar sets this member.
    fn sets(&self, name: &str) -> bool {
        self.members.values.contains_key(name) || self.merged.contains_key(name) || STAMPED.contains(&name)
    }
}
