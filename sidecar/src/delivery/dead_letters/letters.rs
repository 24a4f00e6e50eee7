//! Builds dead letters: lines of JSON, each with a rejected event and the reason, and the hashes that become their keys.
//! Pure, but for the memory that it reserves.

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::event::{Rejected, without_write_key};
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
    pub(super) all: Vec<Letter>,
    /// The codes of their rejections.
    pub(super) codes: BTreeSet<&'static str>,
    /// Covers their memory.
    pub(super) reservation: Reservation,
}

/// An object of dead letters.
#[derive(Debug)]
pub(super) struct Letter {
    /// The hash of the events that it holds, in hexadecimal digits.
    pub(super) hash: String,
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
        let groups = rejected.chunks(group);
        let bytes: usize = groups.clone().map(|group| LETTER_OVERHEAD_BYTES + max_body_bytes(group)).sum();
        // An event with a write key is copied, to remove it.
        let copied = rejected.iter().map(|one| one.original.len()).max().unwrap_or_default();
        if !reservation.grow(bytes + copied) {
            return None;
        }
        let rejected_at = format!("{rejected_at:.3}");
        let all = groups.map(|group| letter(group, path, &rejected_at)).collect();
        reservation.give_back(copied);
        let codes = rejected.iter().map(|one| one.rejection.code.as_str()).collect();
        Some(Self { all, codes, reservation })
    }
}

fn letter(rejected: &[Rejected<'_>], path: &'static str, rejected_at: &str) -> Letter {
    let mut body = Vec::with_capacity(max_body_bytes(rejected));
    let mut hash = Sha256::new();
    for one in rejected {
        let Rejected { index, rejection, original } = one;
        let original = without_write_key(original);
        // Neither the time nor the reason, which another version may word differently, distinguishes two events.
        hash.update(path);
        hash.update([0]);
        hash.update((original.len() as u64).to_be_bytes());
        hash.update(original.as_bytes());
        let (code, reason, index) = (rejection.code.as_str(), rejection.message.as_str(), *index);
        push_json(&mut body, &Line { rejected_at, code, reason, path, index });
        // The line's `}` follows the event.
        body.pop();
        push_original(&mut body, &original);
        body.extend_from_slice(b"}\n");
    }
    let events = rejected.len() as u64;
    Letter { hash: hex::encode(hash.finalize()), body: body.into(), events }
}

/// Appends the event as text or, if that would be more than twice as long, in Base64: a control character becomes six
/// bytes.
fn push_original(line: &mut Vec<u8>, original: &str) {
    if has_compact_json(original) {
        line.extend_from_slice(b",\"original\":");
        push_json(line, &original);
    } else {
        line.extend_from_slice(b",\"originalBase64\":\"");
        base64_simd::STANDARD.encode_append(original, line);
        line.push(b'"');
    }
}

/// Whether the text as a JSON string is at most twice as long, quotes aside.
fn has_compact_json(text: &str) -> bool {
    json_bytes(text) <= 2 + 2 * text.len()
}

/// Upper bound of the lines' bytes. The bound of an event is also that of one without its write key, which is shorter.
fn max_body_bytes(rejected: &[Rejected<'_>]) -> usize {
    let line = |one: &Rejected<'_>| {
        let original = 2 + 2 * one.original.len().max(2);
        LINE_OVERHEAD_BYTES + json_bytes(&one.rejection.message) + original
    };
    rejected.iter().map(line).sum()
}

fn push_json(to: &mut Vec<u8>, value: &impl Serialize) {
    // Writing text and numbers to a `Vec` never fails.
    let _ = serde_json::to_writer(to, value);
}

/// The bytes of `text` as a JSON string.
fn json_bytes(text: &str) -> usize {
    let byte = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + text.bytes().map(byte).sum::<usize>()
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
        Rejected { index, rejection, original }
    }

    fn letters(rejected: &[Rejected<'_>], at: &str, grouping: Grouping) -> Letters {
        let reservation = Budget::new(1 << 20).reserve_nothing();
        Letters::new(rejected, "/v1/batch", at.parse().unwrap(), grouping, reservation).unwrap()
    }

    fn lines(letters: &Letters) -> Vec<Value> {
        let lines = letters.all.iter().flat_map(|letter| letter.body.split_inclusive(|byte| *byte == b'\n'));
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
            letters(rejected, at, grouping).all.into_iter().map(|letter| letter.hash).collect::<Vec<_>>()
        };
        let (one, two) = (rejected(Some(0), "{}"), rejected(Some(1), "[]"));
        let both = [one.clone(), two.clone()];
        let per_event = hashes(&both, AT, Grouping::PerEvent);
        assert_eq!(per_event.len(), 2);
        let other_index = rejected(Some(7), "[]");
        assert_eq!(hashes(&[other_index], "2027-01-01T00:00:00Z", Grouping::PerEvent), per_event[1..]);
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
        assert!(budget.reserved() > 6_000 && budget.reserved() < 7_000);
        drop(built);
        assert!(build(&"x".repeat(6_000)).is_none());
        assert_eq!(budget.reserved(), 0);
    }

    proptest! {
        #[test]
        fn every_text_is_found_again(originals in prop::collection::vec(any::<String>(), 1..5), per_event: bool) {
            let all: Vec<_> = originals.iter().map(|original| rejected(None, original)).collect();
            let grouping = if per_event { Grouping::PerEvent } else { Grouping::PerRequest };
            let found = letters(&all, AT, grouping);
            for letter in &found.all {
                let held = if per_event { 1 } else { originals.len() };
                prop_assert_eq!(letter.events as usize, held);
            }
            let bytes: usize = found.all.iter().map(|letter| letter.body.len()).sum();
            prop_assert!(bytes <= max_body_bytes(&all));
            let stored: Vec<_> = lines(&found).iter().map(|line| match &line["original"] {
                Value::String(text) => text.clone(),
                _ => {
                    let bytes = base64_simd::STANDARD.decode_to_vec(line["originalBase64"].as_str().unwrap()).unwrap();
                    String::from_utf8(bytes).unwrap()
                }
            }).collect();
            prop_assert_eq!(stored, originals);
        }

        #[test]
        fn the_length_of_a_json_string_is_exact(text: String) {
            prop_assert_eq!(json_bytes(&text), serde_json::to_string(&text).unwrap().len());
        }
    }
}
