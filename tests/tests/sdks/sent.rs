//! What the libraries sent, and what must be stored of it.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::members::{Members, time};

/// Members that the sidecar sets; `timestamp` is one of them, as the corrected time.
const STAMPED: [&str; 5] = ["originalTimestamp", "receivedAt", "sentAt", "timestamp", "version"];

/// How many of so many events get their messageId from the library, which makes a new one each time.
pub fn unnamed(events: usize) -> usize {
    events / 10
}

/// What was sent, by messageId.
pub struct Sent<'a>(pub HashMap<String, Event<'a>>);

/// One event, and the `sentAt` of each time that it was sent.
pub struct Event<'a> {
    members: Members<'a>,
    pub sent_at: Vec<&'a str>,
}

impl<'a> Sent<'a> {
    /// Reads records of requests: each has a batch, or is an event.
    pub fn read(records: &[&'a String]) -> Sent<'a> {
        let mut sent = Sent(HashMap::new());
        for line in records.iter().flat_map(|record| record.lines()) {
            let request: Members<'a> = serde_json::from_str(line).expect("a request's body is JSON");
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
        let sent_at = members.0.remove("sentAt").or(batch_sent_at).expect("a library says when it sends");
        // The key that lets an event in is no part of it.
        members.0.remove("writeKey");
        // RudderStack's library says so when it was handed the event; an event may say itself when it happened.
        if let Some(handed) = members.0.remove("originalTimestamp") {
            members.0.entry("timestamp".to_owned()).or_insert(handed);
        }
        let event = self.0.entry(id).or_insert_with(|| Event { members: members.clone(), sent_at: Vec::new() });
        assert_eq!(event.members, members, "sent again, it is the same event");
        event.sent_at.push(sent_at);
    }
}

impl Event<'_> {
    /// When it happened, as the client says it.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.members.0.get("timestamp").map(|json| time(json))
    }

    /// What is wrong with `stored` as this event.
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
        // It is cut to the millisecond.
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
