//! What S3 has, against what it should have.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tributary_local_aws::StoredObject;

/// The event that an object holds.
///
/// # Panics
/// If it holds none.
pub fn event(object: &StoredObject) -> Value {
    serde_json::from_slice(&object.body).unwrap_or_else(|error| panic!("{}: {error}", object.key))
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
    let found = by_message_id(objects);
    let missing: Vec<_> = ids.into_iter().filter(|id| !found.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} events are lost: {missing:?}", missing.len());
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "more than one object: {twice:?}");
    let rewritten: Vec<_> = objects.iter().filter(|object| object.puts != 1).map(|object| &object.key).collect();
    assert!(rewritten.is_empty(), "written more than once: {rewritten:?}");
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
