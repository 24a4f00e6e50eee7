//! The two delivery modes, and how to read their objects.

use std::borrow::Cow;
use std::io::{Seek, Write};
use std::process::{Command, Stdio};

use jiff::Timestamp;
use serde_json::json;
use tributary_local_aws::StoredObject;
use tributary_tests::Function;

use crate::members::{Members, time};

/// A delivery mode.
#[derive(Clone, Copy)]
pub enum Mode {
    /// One object per event.
    Object,
    /// Objects of many events, one per line.
    Batch,
}

impl Mode {
    /// A function with this delivery mode.
    pub fn function(self) -> Function {
        match self {
            Mode::Object => Function::new(),
            // Libraries wait for an answer before they send more, and an answer waits for its batch.
            Mode::Batch => Function::new().with("delivery", json!({"mode": "Batch", "batch": {"maxAge": "100ms"}})),
        }
    }

    /// How many copies of an event may be stored that was sent `sent` times.
    pub fn copies(self, sent: usize) -> usize {
        match self {
            Mode::Object => 1,
            Mode::Batch => sent,
        }
    }

    /// The text of each stored event, and the object that contains it.
    pub fn read(self, objects: &[StoredObject]) -> Vec<(Cow<'_, str>, &StoredObject)> {
        match self {
            Mode::Object => objects.iter().map(|object| (line(object).into(), object)).collect(),
            Mode::Batch => objects.iter().flat_map(lines).collect(),
        }
    }

    /// Checks the object that contains the event `stored`; `timestamp` is the client's.
    pub fn check(self, object: &StoredObject, stored: &Members<'_>, timestamp: Option<Timestamp>) {
        let key = &object.key;
        let event_type = stored.text("type");
        let received = time(stored.get("receivedAt"));
        let (start, content_type) = match self {
            Mode::Object => {
                let millis = timestamp.unwrap_or(received).as_millisecond();
                (format!("{event_type}/{millis}-"), "application/json")
            }
            Mode::Batch => {
                let sealed = sealed(key).unwrap_or_else(|| panic!("{key} is not the key of a batch"));
                assert!(sealed >= received && sealed <= Timestamp::now(), "{key} was not sealed at {sealed}");
                let millis = sealed.as_millisecond();
                let partition = sealed.strftime("dt=%Y-%m-%d/hour=%H");
                (format!("type={event_type}/{partition}/{millis}-"), "application/x-ndjson")
            }
        };
        assert!(key.starts_with(&start), "{key} does not start with {start}");
        assert_eq!(object.content_type.as_deref(), Some(content_type), "{key}");
        assert_eq!(object.puts, 1, "{key} was written over");
    }
}

/// The time at which a batch was sealed, from its key.
fn sealed(key: &str) -> Option<Timestamp> {
    let name = key.rsplit('/').next()?.strip_suffix(".ndjson.gz")?;
    let (millis, _) = name.split_once('-')?;
    Timestamp::from_millisecond(millis.parse().ok()?).ok()
}

/// The only line of an event's object.
fn line(object: &StoredObject) -> &str {
    let line = text(&object.body).strip_suffix('\n').unwrap_or_else(|| panic!("{} ends within a line", object.key));
    assert!(!line.contains('\n'), "{} has several lines", object.key);
    line
}

/// The lines of a batch's object.
fn lines(object: &StoredObject) -> Vec<(Cow<'_, str>, &StoredObject)> {
    let decompressed = gunzip(&object.body);
    let lines = text(&decompressed).strip_suffix('\n').unwrap_or_else(|| panic!("{} ends within a line", object.key));
    lines.split('\n').map(|line| (line.to_owned().into(), object)).collect()
}

/// Decompresses with the command gzip, as readers of the bucket would, and not with the library that compressed it.
fn gunzip(packed: &[u8]) -> Vec<u8> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(packed).and_then(|()| file.rewind()).expect("a file to write to");
    let output = Command::new("gzip").arg("-dc").stdin(Stdio::from(file)).output().expect("the command gzip");
    assert!(output.status.success(), "gzip -dc: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the object is UTF-8")
}
