//! Compares the objects in S3 with the events that were sent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use tributary_local_aws::StoredObject;

/// The event in an object of Object mode.
///
/// # Panics
/// If the object is not one line of JSON.
pub fn event(object: &StoredObject) -> Value {
    let text = std::str::from_utf8(&object.body).expect("the object is UTF-8");
    let line = text.strip_suffix('\n').unwrap_or_else(|| panic!("{} does not end with a newline", object.key));
    assert!(!line.contains(['\n', '\r']), "{} has several lines: {line}", object.key);
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", object.key))
}

/// The events in objects of Batch mode, one per line. Objects are decompressed according to their keys' extensions.
///
/// # Panics
/// If an object is not newline-delimited JSON.
pub fn ndjson_events(objects: &[StoredObject]) -> Vec<Value> {
    let mut events = Vec::new();
    for object in objects {
        let text = decompressed(object);
        assert!(text.ends_with('\n'), "{} does not end with a line", object.key);
        for line in text[..text.len() - 1].split('\n') {
            events.push(serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", object.key)));
        }
    }
    events
}

/// The text of an object, decompressed according to its key's extension.
///
/// # Panics
/// If it can't be decompressed, or is not UTF-8.
pub fn decompressed(object: &StoredObject) -> String {
    let mut text = String::new();
    let body: &[u8] = &object.body;
    let read = match object.key.rsplit('.').next() {
        Some("gz") => MultiGzDecoder::new(body).read_to_string(&mut text),
        Some("zst") => zstd::Decoder::new(body).and_then(|mut decoder| decoder.read_to_string(&mut text)),
        _ => { body }.read_to_string(&mut text),
    };
    read.unwrap_or_else(|error| panic!("{}: {error}", object.key));
    text
}

/// How many objects there are per `messageId`.
///
/// # Panics
/// If an object is not an event.
pub fn objects_by_message_id(objects: &[StoredObject]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for object in objects {
        let id = event(object)["messageId"].as_str().expect("a messageId").to_owned();
        *found.entry(id).or_default() += 1;
    }
    found
}

/// Asserts that each of these events is exactly one object, written once. Other objects are allowed, written once too.
///
/// # Panics
/// If not.
pub fn assert_stored_once<'a>(objects: &[StoredObject], ids: impl IntoIterator<Item = &'a String>) {
    assert_one_object_each(objects, ids);
    let rewritten = rewritten(objects);
    assert!(rewritten.is_empty(), "written more than once: {rewritten:?}");
}

/// Asserts that each of these events is exactly one object, which may have been written several times. Other events are
/// allowed.
///
/// # Panics
/// If not.
pub fn assert_one_object_each<'a>(objects: &[StoredObject], ids: impl IntoIterator<Item = &'a String>) {
    let found = objects_by_message_id(objects);
    let missing: Vec<_> = ids.into_iter().filter(|id| !found.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} events are lost: {missing:?}", missing.len());
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "more than one object per event: {twice:?}");
}

/// The keys of the objects that were written more than once.
pub fn rewritten(objects: &[StoredObject]) -> Vec<&String> {
    objects.iter().filter(|object| object.puts != 1).map(|object| &object.key).collect()
}

/// Asserts that these events and no others are stored, each as one object, written once.
///
/// # Panics
/// If not.
pub fn assert_exactly<'a>(objects: &[StoredObject], ids: impl IntoIterator<Item = &'a String>) {
    let ids: BTreeSet<_> = ids.into_iter().collect();
    assert_stored_once(objects, ids.iter().copied());
    assert_eq!(objects.len(), ids.len(), "there are objects of events that were not sent");
}
