//! What S3 has, against what it should have.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use tributary_local_aws::StoredObject;

/// The event that an object holds.
///
/// # Panics
/// If it holds none.
pub fn event(object: &StoredObject) -> Value {
    serde_json::from_slice(&object.body).unwrap_or_else(|error| panic!("{}: {error}", object.key))
}

/// The events that objects of many hold, a line each; objects are unpacked as their keys say.
///
/// # Panics
/// If an object is no newline-delimited JSON.
pub fn lines(objects: &[StoredObject]) -> Vec<Value> {
    let mut events = Vec::new();
    for object in objects {
        let text = unpacked(object);
        assert!(text.ends_with('\n'), "{} does not end with a line", object.key);
        for line in text[..text.len() - 1].split('\n') {
            events.push(serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", object.key)));
        }
    }
    events
}

/// An object's text.
///
/// # Panics
/// If it is none.
pub fn unpacked(object: &StoredObject) -> String {
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

/// How many objects there are of each `messageId`.
///
/// # Panics
/// If an object is no event.
pub fn by_message_id(objects: &[StoredObject]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for object in objects {
        let id = event(object)["messageId"].as_str().expect("a messageId").to_owned();
        *found.entry(id).or_default() += 1;
    }
    found
}

/// Each of these is one object, written once; there may be others.
///
/// # Panics
/// If not.
pub fn assert_stored_once<'a>(objects: &[StoredObject], ids: impl IntoIterator<Item = &'a String>) {
    assert_one_object_each(objects, ids);
    let rewritten = rewritten(objects);
    assert!(rewritten.is_empty(), "written more than once: {rewritten:?}");
}

/// Each of these is one object, however often it was written; there may be others.
///
/// # Panics
/// If not.
pub fn assert_one_object_each<'a>(objects: &[StoredObject], ids: impl IntoIterator<Item = &'a String>) {
    let found = by_message_id(objects);
    let missing: Vec<_> = ids.into_iter().filter(|id| !found.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} events are lost: {missing:?}", missing.len());
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "more than one object: {twice:?}");
}

/// The keys of the objects that were written more than once.
pub fn rewritten(objects: &[StoredObject]) -> Vec<&String> {
    objects.iter().filter(|object| object.puts != 1).map(|object| &object.key).collect()
}

/// These and no others are stored, each once.
///
/// # Panics
/// If not.
pub fn assert_exactly<'a>(objects: &[StoredObject], ids: impl IntoIterator<Item = &'a String>) {
    let ids: BTreeSet<_> = ids.into_iter().collect();
    assert_stored_once(objects, ids.iter().copied());
    assert_eq!(objects.len(), ids.len(), "there are objects that nobody sent");
}
