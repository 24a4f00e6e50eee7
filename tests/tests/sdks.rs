//! Segment's own libraries, as they are released, send to the sidecar's binary: every event is
//! one object, also when it is sent twice, and the object says what the library sent.
//!
//! `tests/run clients` installs the libraries below the target folder and runs this.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::Timestamp;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tributary_local_aws::StoredObject;
use tributary_tests::{Aws, Setup, SidecarProcess, World};

/// Events of one run of a client.
const EVENTS: usize = 20_000;
/// How many of them get their messageId from the library, which makes a new one each time.
const UNNAMED: usize = EVENTS / 10;
/// Members that the sidecar sets; `timestamp` is one of them, as the corrected time.
const STAMPED: [&str; 5] = ["originalTimestamp", "receivedAt", "sentAt", "timestamp", "version"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_library_delivers_every_event_once() {
    delivers_every_event_once(Client::Node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_library_delivers_every_event_once() {
    delivers_every_event_once(Client::Python { gzip: false }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_library_with_gzip_delivers_every_event_once() {
    delivers_every_event_once(Client::Python { gzip: true }).await;
}

async fn delivers_every_event_once(client: Client) {
    let started = Timestamp::now();
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let folder = tempfile::tempdir().expect("a temporary folder");

    let first = client.send(&sidecar, folder.path().join("first")).await;
    let sent = Sent::read(&[&first]);
    assert_eq!(sent.0.len(), EVENTS, "the library left events out");
    check(&aws.objects(), &sent, started);

    let second = client.send(&sidecar, folder.path().join("second")).await;
    let sent = Sent::read(&[&first, &second]);
    assert_eq!(sent.0.len(), EVENTS + UNNAMED, "all but the unnamed are the same events");
    check(&aws.objects(), &sent, started);
}

/// One object an event, and in each what was sent, stamped.
fn check(objects: &[StoredObject], sent: &Sent<'_>, started: Timestamp) {
    let mut missing: BTreeMap<&str, &Event<'_>> = sent.0.iter().map(|(id, event)| (id.as_str(), event)).collect();
    for object in objects {
        let body = std::str::from_utf8(&object.body).expect("objects are text");
        let stored: Members<'_> =
            serde_json::from_str(body).unwrap_or_else(|error| panic!("{}: {error}: {body}", object.key));
        let id: String = stored.text("messageId");
        let event = missing.remove(id.as_str());
        let event = event.unwrap_or_else(|| panic!("{} is a second object of {id}, or nobody sent it", object.key));
        event.check(&stored, started).unwrap_or_else(|error| panic!("{}: {error}: {body}", object.key));
        let start = format!("{}/{}-", event.members.text("type"), event.timestamp().as_millisecond());
        assert!(object.key.starts_with(&start), "{} does not start with {start}", object.key);
        assert_eq!(object.content_type.as_deref(), Some("application/json"), "{}", object.key);
        assert_eq!(object.puts, 1, "{} was written over", object.key);
    }
    let ids: Vec<_> = missing.keys().take(5).collect();
    assert!(missing.is_empty(), "{} events are not stored, among them {ids:?}", missing.len());
}

/// A library and how it is used.
#[derive(Clone, Copy)]
enum Client {
    Node,
    Python { gzip: bool },
}

impl Client {
    /// Runs the client to its end. Returns the bodies of its requests, one a line.
    async fn send(self, sidecar: &SidecarProcess, record: PathBuf) -> String {
        let mut command = self.command();
        command
            .arg(format!("http://{}", sidecar.events))
            .arg(EVENTS.to_string())
            .arg(&record)
            .args(matches!(self, Client::Python { gzip: true }).then_some("--gzip"))
            // A machine's proxy is not for what is on the machine itself.
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1")
            .stdin(Stdio::null());
        let run = tokio::task::spawn_blocking(move || command.output());
        let output = run.await.expect("a client to wait for").expect("a client that can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the client ended with {}: {said}\n{}", output.status, sidecar.output());
        fs::read_to_string(record).expect("the client's record")
    }

    fn command(self) -> Command {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        let installed = target().join("clients");
        let (program, needed) = match self {
            Client::Node => (PathBuf::from("node"), installed.join("node/node_modules/@segment/analytics-node")),
            Client::Python { .. } => {
                let python = installed.join("python/bin/python");
                (python.clone(), python)
            }
        };
        assert!(
            needed.exists(),
            "{} is missing: run tests/run clients, which installs the clients' libraries",
            needed.display()
        );
        let mut command = Command::new(program);
        match self {
            Client::Node => {
                // A module finds packages beside itself, wherever it is started.
                let script = installed.join("node/send.mjs");
                fs::copy(sources.join("node/send.mjs"), &script).expect("the script can be copied");
                command.arg(script)
            }
            Client::Python { .. } => command.arg(sources.join("python/send.py")),
        };
        command
    }
}

/// What was sent, by messageId.
struct Sent<'a>(HashMap<String, Event<'a>>);

/// One event, and the `sentAt` of each request that it was in.
struct Event<'a> {
    members: Members<'a>,
    sent_at: Vec<&'a str>,
}

impl<'a> Sent<'a> {
    fn read(records: &[&'a String]) -> Sent<'a> {
        let mut sent: HashMap<String, Event<'a>> = HashMap::new();
        for line in records.iter().flat_map(|record| record.lines()) {
            let request: Members<'a> = serde_json::from_str(line).expect("a request's body is JSON");
            let batch: Vec<Members<'a>> = serde_json::from_str(request.get("batch")).expect("a batch is an array");
            for members in batch {
                let id = members.text("messageId");
                let event = sent.entry(id).or_insert_with(|| Event { members: members.clone(), sent_at: Vec::new() });
                assert_eq!(event.members, members, "sent again, it is the same event");
                event.sent_at.push(request.get("sentAt"));
            }
        }
        Sent(sent)
    }
}

impl Event<'_> {
    fn timestamp(&self) -> Timestamp {
        time(self.members.get("timestamp"))
    }

    /// What is wrong with `stored` as the object of this event.
    fn check(&self, stored: &Members<'_>, started: Timestamp) -> Result<(), String> {
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
        let corrected = received - time(stored.get("sentAt")).duration_since(self.timestamp());
        if corrected.as_millisecond() != time(stored.get("timestamp")).as_millisecond() {
            return Err(format!("timestamp is not {corrected}, as its client's clock has it"));
        }
        Ok(())
    }
}

fn stamped(name: &str) -> bool {
    STAMPED.contains(&name)
}

fn time(json: &str) -> Timestamp {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json} is not a time: {error}"))
}

/// An object's members, each value as the text that it is.
#[derive(Clone, Debug, PartialEq)]
struct Members<'a>(BTreeMap<String, &'a str>);

impl<'a> Members<'a> {
    fn get(&self, name: &str) -> &'a str {
        self.0.get(name).unwrap_or_else(|| panic!("{name} is missing: {self:?}"))
    }

    fn text(&self, name: &str) -> String {
        serde_json::from_str(self.get(name)).unwrap_or_else(|error| panic!("{name} is not a string: {error}"))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = BTreeMap<String, &'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            if members.insert(name.clone(), value.get()).is_some() {
                return Err(A::Error::custom(format!("{name} is there twice")));
            }
        }
        Ok(members)
    }
}

/// The folder that cargo builds in: this is `target/debug/deps/sdks-<hash>`.
fn target() -> PathBuf {
    let exe = std::env::current_exe().expect("a process has a path");
    exe.ancestors().nth(3).expect("tests are built in target/debug/deps").to_owned()
}
