//! Builds dead letters: lines of JSON, each with a rejected event and the reason, and the hashes that become their keys.
//! Pure, but for the memory that it reserves.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::event::{Rejected, may_have_write_key, without_write_key};
use crate::memory::Reservation;

/// Upper bound of the bytes of a line without its reason and its original: names, times and numbers.
const LINE_OVERHEAD_BYTES: usize = 256;

/// Bytes per object in addition to its body: its hash, and the allocator's rounding.
const LETTER_OVERHEAD_BYTES: usize = 256;

/// How rejected events are put into objects: like valid ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grouping {
    /// One object per event: an event has the same key in whichever request it is sent.
    PerEvent,
    /// One object per request: there are never more PUTs than requests.
    PerRequest,
}

/// The dead letters of one request.
#[derive(Debug)]
pub(crate) struct Letters {
    /// The objects, by the hash of the events that each holds, in hexadecimal digits.
    pub(super) all: BTreeMap<String, Letter>,
    /// The codes of their rejections.
    pub(super) codes: BTreeSet<&'static str>,
    /// Covers their memory.
    pub(super) reservation: Reservation,
}

/// An object of dead letters.
#[derive(Debug)]
pub(super) struct Letter {
    /// Its lines, one per event.
    pub(super) body: Bytes,
    /// The number of events.
    pub(super) events: u64,
}

/// A line, without the event itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    rejected_at: &'a str,
    code: &'static str,
    reason: &'a str,
    path: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
}

impl Letters {
    /// The dead letters of events that were sent in one request to `path`. `None` if their memory can't be reserved.
    pub(super) fn new(
        rejected: &[Rejected<'_>],
        path: &'static str,
        rejected_at: Timestamp,
        grouping: Grouping,
        mut reservation: Reservation,
    ) -> Option<Self> {
        let group = match grouping {
            Grouping::PerEvent => 1,
            Grouping::PerRequest => rejected.len().max(1),
        };
        let groups: Vec<_> = rejected.chunks(group).map(|group| (group, max_body_bytes(group))).collect();
        let bytes: usize = groups.iter().map(|(_, bytes)| LETTER_OVERHEAD_BYTES + bytes).sum();
        // An event with a write key is copied, to remove it.
        let copied = rejected.iter().map(|one| one.original).filter(|original| may_have_write_key(original));
        let copied = copied.map(<[u8]>::len).max().unwrap_or_default();
        if !reservation.grow(bytes + copied) {
            return None;
        }
        let rejected_at = format!("{rejected_at:.3}");
        let mut all = BTreeMap::new();
        for (group, max_bytes) in groups {
            let (hash, letter) = letter(group, max_bytes, path, &rejected_at);
            match all.entry(hash) {
                Entry::Vacant(new) => drop(new.insert(letter)),
                // The same event again is the same object.
                Entry::Occupied(mut first) => first.get_mut().events += letter.events,
            }
        }
        reservation.give_back(copied);
        let codes = rejected.iter().map(|one| one.rejection.code.as_str()).collect();
        Some(Self { all, codes, reservation })
    }
}

/// The object of these events, of at most `max_bytes`, and their hash.
fn letter(rejected: &[Rejected<'_>], max_bytes: usize, path: &'static str, rejected_at: &str) -> (String, Letter) {
    let mut body = Vec::with_capacity(max_bytes);
    let mut hash = Sha256::new();
    for one in rejected {
        let Rejected { index, rejection, original } = one;
        let original = without_write_key(original);
        // Neither the time nor the reason, which another version may word differently, distinguishes two events.
        hash.update(path);
        hash.update([0]);
        hash.update((original.len() as u64).to_be_bytes());
        hash.update(&*original);
        // A reason may quote the event.
        let reason = without_write_key(rejection.message.as_bytes());
        let reason = String::from_utf8_lossy(&reason);
        let line = Line { rejected_at, code: rejection.code.as_str(), reason: &reason, path, index: *index };
        push_json(&mut body, &line);
        // The line's `}` follows the event.
        body.pop();
        push_original(&mut body, &original);
        body.extend_from_slice(b"}\n");
    }
    let events = rejected.len() as u64;
    (hex::encode(hash.finalize()), Letter { body: body.into(), events })
}

/// Appends the event as text or, if that is impossible or would be half as long again, in Base64: a control character
/// becomes six bytes.
fn push_original(line: &mut Vec<u8>, original: &[u8]) {
    match str::from_utf8(original) {
        Ok(text) if json_bytes(original) <= max_text_bytes(original) => {
            line.extend_from_slice(b",\"original\":");
            push_json(line, &text);
        }
        _ => {
            line.extend_from_slice(b",\"originalBase64\":\"");
            base64_simd::STANDARD.encode_append(original, line);
            line.push(b'"');
        }
    }
}

/// Maximum bytes of an event as a JSON string.
fn max_text_bytes(original: &[u8]) -> usize {
    2 + original.len() + original.len() / 2
}

/// Upper bound of the lines' bytes, also without write keys: that shortens an event, but may turn its text into Base64.
fn max_body_bytes(rejected: &[Rejected<'_>]) -> usize {
    let line = |one: &Rejected<'_>| {
        let base64 = 2 + one.original.len().div_ceil(3) * 4;
        let original = json_bytes(one.original).min(max_text_bytes(one.original)).max(base64);
        LINE_OVERHEAD_BYTES + json_bytes(one.rejection.message.as_bytes()) + original
    };
    rejected.iter().map(line).sum()
}

fn push_json(to: &mut Vec<u8>, value: &impl Serialize) {
    // Writing text and numbers to a `Vec` never fails.
    let _ = serde_json::to_writer(to, value);
}

/// The bytes of `text` as a JSON string.
fn json_bytes(text: &[u8]) -> usize {
    let byte = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + text.iter().copied().map(byte).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::event::{Code, Rejection};
    use crate::memory::Budget;

    fn rejected(index: Option<usize>, original: &str) -> Rejected<'_> {
        let rejection = Rejection { code: Code::NoUserAnonId, message: "no \"user\"".to_owned() };
        Rejected { index, rejection, original: original.as_bytes() }
    }

    fn letters(rejected: &[Rejected<'_>], at: &str, grouping: Grouping) -> Letters {
        let reservation = Budget::new(1 << 20).reserve_nothing();
        Letters::new(rejected, "/v1/batch", at.parse().unwrap(), grouping, reservation).unwrap()
    }

    fn lines(letters: &Letters) -> Vec<Value> {
        let lines = letters.all.values().flat_map(|letter| letter.body.split_inclusive(|byte| *byte == b'\n'));
        lines.map(|line| serde_json::from_slice(line.strip_suffix(b"\n").unwrap()).unwrap()).collect()
    }

    const AT: &str = "2026-11-30T08:00:00.1234Z";

    #[test]
    fn a_line_has_the_reason_and_the_event_as_sent() {
        let event = "{\"type\" :\n1.0,\"é\":\"\\u00e9\"}";
        let found = letters(&[rejected(Some(3), event)], AT, Grouping::PerEvent);
        let expected = serde_json::json!({
            "rejectedAt": "2026-11-30T08:00:00.123Z", "code": "no_user_anon_id", "reason": "no \"user\"",
            "path": "/v1/batch", "index": 3, "original": event,
        });
        assert_eq!(lines(&found), [expected]);
        assert_eq!(found.codes.iter().copied().collect::<Vec<_>>(), ["no_user_anon_id"]);
        let alone = lines(&letters(&[rejected(None, event)], AT, Grouping::PerEvent));
        assert!(alone[0].get("index").is_none());
    }

    #[test]
    fn an_event_has_the_same_key_whenever_it_is_sent() {
        let hashes = |rejected: &[Rejected<'_>], at: &str, grouping| {
            letters(rejected, at, grouping).all.into_keys().collect::<Vec<_>>()
        };
        let (one, two) = (rejected(Some(0), "{}"), rejected(Some(1), "[]"));
        let both = [one.clone(), two.clone()];
        let per_event = hashes(&both, AT, Grouping::PerEvent);
        assert_eq!(per_event.len(), 2);
        let other_index = rejected(Some(7), "[]");
        let alone = hashes(std::slice::from_ref(&other_index), "2027-01-01T00:00:00Z", Grouping::PerEvent);
        assert!(alone.len() == 1 && per_event.contains(&alone[0]));
        let twice = letters(&[two.clone(), one.clone(), other_index], AT, Grouping::PerEvent);
        assert!(twice.all.keys().eq(&per_event));
        assert_eq!(twice.all[&alone[0]].events, 2);
        let per_request = hashes(&both, AT, Grouping::PerRequest);
        assert_eq!(per_request, hashes(&both, "2027-01-01T00:00:00Z", Grouping::PerRequest));
        assert_eq!(per_request.len(), 1);
        // The boundary between two events is part of the hash.
        let moved = [rejected(None, "{}["), rejected(None, "]")];
        assert_ne!(per_request, hashes(&moved, AT, Grouping::PerRequest));
        assert!(hashes(&[], AT, Grouping::PerRequest).is_empty());
    }

    #[test]
    fn the_memory_is_reserved_or_nothing_is_built() {
        let budget = Budget::new(10_000);
        let build = |original: &str| {
            let one = [rejected(None, original)];
            Letters::new(&one, "/", AT.parse().unwrap(), Grouping::PerEvent, budget.reserve_nothing())
        };
        let built = build(&"x".repeat(3_000)).unwrap();
        assert!(budget.reserved() > 4_000 && budget.reserved() < 5_000);
        drop(built);
        assert!(build(&"x".repeat(9_000)).is_none());
        assert_eq!(budget.reserved(), 0);
    }

    proptest! {
        #[test]
        fn every_text_is_found_again(originals in prop::collection::vec(any::<String>(), 1..5), per_event: bool) {
            let all: Vec<_> = originals.iter().map(|original| rejected(None, original)).collect();
            let grouping = if per_event { Grouping::PerEvent } else { Grouping::PerRequest };
            let found = letters(&all, AT, grouping);
            prop_assert_eq!(found.all.values().map(|letter| letter.events).sum::<u64>(), originals.len() as u64);
            let bytes: usize = found.all.values().map(|letter| letter.body.len()).sum();
            prop_assert!(bytes <= max_body_bytes(&all));
            let stored: BTreeSet<_> = lines(&found).iter().map(|line| match &line["original"] {
                Value::String(text) => text.clone(),
                _ => {
                    let bytes = base64_simd::STANDARD.decode_to_vec(line["originalBase64"].as_str().unwrap()).unwrap();
                    String::from_utf8(bytes).unwrap()
                }
            }).collect();
            prop_assert_eq!(stored, originals.into_iter().collect::<BTreeSet<_>>());
        }

        #[test]
        fn the_length_of_a_json_string_is_exact(text: String) {
            prop_assert_eq!(json_bytes(text.as_bytes()), serde_json::to_string(&text).unwrap().len());
        }
    }
}
