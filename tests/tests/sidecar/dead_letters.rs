//! Tests dead letters: every rejected event is stored once, with the bytes that the client sent, before its request is
//! answered.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};
use tributary_crds::sidecar_config::SecretUse;
use tributary_local_aws::{Action, Fault, StoredObject};
use tributary_tests::aws::{error, puts};
use tributary_tests::event::{EVENT_TIME, message_id, track};
use tributary_tests::stored::{assert_exactly, decompressed, ndjson_events};
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::{Aws, Function, Setup, World, start_ready};

/// The prefix that the API server fills in.
const PREFIX: &str = "dead-letters/";

/// A function that stores dead letters.
fn storing(mode: &str) -> Function {
    Function::new().with("delivery", json!({"mode": mode, "deadLetter": {"prefix": PREFIX}}))
}

/// The objects of dead letters, and the others.
fn split(objects: Vec<StoredObject>) -> (Vec<StoredObject>, Vec<StoredObject>) {
    objects.into_iter().partition(|object| object.key.starts_with(PREFIX))
}

/// The lines of all dead letters. Asserts that each object was written once.
fn letters(aws: &Aws) -> Vec<Value> {
    let (letters, _) = split(aws.objects());
    for object in &letters {
        assert_eq!(object.puts, 1, "{} was written again", object.key);
        assert_eq!(object.content_type.as_deref(), Some("application/x-ndjson"));
    }
    ndjson_events(&letters)
}

fn original(line: &Value) -> String {
    line["original"].as_str().unwrap_or_else(|| panic!("no text in {line}")).to_owned()
}

/// The `i`th invalid event, of nine kinds, with white space and escapes that a parser would not keep; and its code.
fn invalid(i: usize) -> (String, &'static str) {
    let id = format!(r#""messageId" :  "bad-{i:06}""#);
    match i % 9 {
        0 => (format!(r#"{{{id},"type":"track","event":"e"}}"#), "no_user_anon_id"),
        1 => (format!(r#"{{ "type":"track", {id},"userId":"\u00e9 é" }}"#), "event_not_defined"),
        2 => (format!(r#"{{{id},"type":"unheard","userId":1.0}}"#), "invalid_type"),
        3 => (format!(r#"{{{id},"type":"page","userId":"u","properties":[1e400,{i}]}}"#), "properties_not_object"),
        4 => (format!("{i}"), "event_not_object"),
        5 => (format!(r#"{{{id},"type":"page","type":"track","userId":"u"}}"#), "duplicate_key"),
        6 => {
            (format!(r#"{{{id},"type":"page","userId":"u","context":"{}"}}"#, "\\\"".repeat(10)), "context_not_object")
        }
        7 => (format!("{{{id},\n\t\"type\":\"group\",\"traits\":7,\"userId\":\"u\"}}"), "traits_not_object"),
        _ => (format!(r#"{{{id},"type":"page","userId":"{}"}}"#, "u".repeat(1_100)), "event_too_large"),
    }
}

/// Sends `requests` batches of 100 events, every second one invalid, ten at a time. Returns the expected dead letters.
async fn send_mixed(ports: &tributary_tests::Ports, requests: usize) -> BTreeMap<String, &'static str> {
    let mut sent = BTreeMap::new();
    let mut bodies = Vec::new();
    for request in 0..requests {
        let range = request * 50..request * 50 + 50;
        let items = range.map(|i| {
            let (text, code) = invalid(i);
            let both = format!("{text} , {}", track(i));
            sent.insert(text, code);
            both
        });
        bodies.push(format!(r#"{{"batch":[ {} ]}}"#, items.collect::<Vec<_>>().join(",")));
    }
    for bodies in bodies.chunks(10) {
        let answers = bodies.iter().map(|body| ports.request(Method::POST, "/v1/batch", &[], body.clone()));
        for answer in join_all(answers).await {
            assert_eq!(answer.expect("an answer").status, 200);
        }
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rejected_event_is_found_once_with_its_reason_and_its_bytes() {
    for (mode, requests) in [("Batch", 200), ("Object", 40)] {
        let (aws, sidecar) = start_ready(storing(mode).with("ingest", json!({"maxEventBytes": "1Ki"}))).await;
        let sent = send_mixed(&sidecar, requests).await;
        let lines = letters(&aws);
        let found: BTreeMap<_, _> =
            lines.iter().map(|line| (original(line), line["code"].as_str().expect("a code"))).collect();
        assert_eq!(found.len(), lines.len(), "an event is there twice");
        assert!(found == sent, "{mode}: {} of {} events", found.len(), sent.len());
        for line in &lines {
            assert_eq!(line["path"], "/v1/batch");
            assert!(line["index"].as_u64().is_some_and(|index| index % 2 == 0 && index < 100), "{line}");
            assert!(line["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{line}");
            let at: jiff::Timestamp = line["rejectedAt"].as_str().expect("a time").parse().expect("a time");
            assert!(at.duration_since(jiff::Timestamp::now()).as_secs().abs() < 60, "{line}");
        }
        let count = sent.len() as f64;
        assert_eq!(sidecar.metric("dead_letters_stored_total").await, count);
        // One object per event in Object mode, and one per request in Batch mode.
        let (objects, events) = split(aws.objects());
        assert_eq!(objects.len(), if mode == "Object" { sent.len() } else { requests });
        let ids: Vec<_> = (0..requests * 50).map(message_id).collect();
        let stored = ndjson_events(&events);
        let found: BTreeSet<_> = stored.iter().map(|event| event["messageId"].as_str().expect("an ID")).collect();
        assert_eq!((stored.len(), found.len()), (ids.len(), ids.len()));

        let message = sidecar.condition(ConditionType::EventsValid).await.message;
        assert!(message.contains("s3://") && message.contains(PREFIX), "{message}");
        assert!(message.contains("duplicate_key, event_not_defined"), "{message}");
        assert_eq!(sidecar.status().await.last_error, None, "valid events are stored");
        assert_eq!(sidecar.get_admin("/readyz").await.status, 200);
    }
}

#[tokio::test]
async fn an_event_without_others_is_a_dead_letter_too_but_no_body_that_is_refused_as_a_whole() {
    let (aws, sidecar) = start_ready(storing("Object")).await;
    let condition = sidecar.condition(ConditionType::EventsValid).await;
    assert_eq!((condition.status, condition.reason), (ConditionStatus::True, Reason::Ok));
    let webhook = r#"[{"userId":"u"}, {"type":"screen"}]"#;
    let control_characters = "\u{1}".repeat(30);
    // A path, a body, and the events that become dead letters.
    let table: &[(&str, &str, &[&str])] = &[
        ("/v1/track", r#"{"userId":"u"}"#, &[r#"{"userId":"u"}"#]),
        ("/v1/page", r#"{"userId":"u""#, &[r#"{"userId":"u""#]),
        ("/v1/t", &control_characters, &[&control_characters]),
        ("/", r#" {"type":"page"} "#, &[r#" {"type":"page"} "#]),
        ("/", webhook, &[r#"{"userId":"u"}"#, r#"{"type":"screen"}"#]),
        ("/v1/batch", r#"{"batch":[7]}"#, &["7"]),
        // None of these has events that can be told apart.
        ("/v1/batch", "{}", &[]),
        ("/v1/batch", r#"{"batch":[]}"#, &[]),
        ("/v1/batch", r#"{"batch":[{]}"#, &[]),
        ("/", "[{]", &[]),
        ("/v1/track", "", &[]),
        ("/", " \n", &[]),
    ];
    let mut expected = Vec::new();
    let mut expected_count: usize = table.iter().map(|(_, _, originals)| originals.len()).sum();
    for (path, body, originals) in table {
        let answer = sidecar.post(path, &[], (*body).to_owned()).await;
        assert_eq!(answer.status, 400, "{body}");
        let label = if *path == "/v1/t" { "/v1/track" } else { path };
        expected.extend(originals.iter().map(|original| (label.to_owned(), (*original).to_owned())));
        let mut found: Vec<_> = letters(&aws)
            .iter()
            .map(|line| {
                let decode = |text: &str| base64_simd::STANDARD.decode_to_vec(text).expect("Base64");
                let bytes = line["originalBase64"].as_str().map(decode);
                let text = bytes.map_or_else(|| original(line), |bytes| String::from_utf8(bytes).expect("text"));
                (line["path"].as_str().expect("a path").to_owned(), text)
            })
            .collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "after {body}");
    }
    // An event that is not text.
    for path in ["/v1/track", "/"] {
        let latin_1 = &b"{\"event\":\"caf\xe9\"}"[..];
        assert_eq!(sidecar.post(path, &[], latin_1).await.status, 400);
        let found = letters(&aws).into_iter().filter_map(|line| Some(line["originalBase64"].as_str()?.to_owned()));
        let expected = base64_simd::STANDARD.encode_to_string(latin_1);
        assert!(found.collect::<Vec<_>>().contains(&expected), "{path}");
        expected_count += 1;
    }
    // The same event again is no other dead letter.
    assert_eq!(sidecar.post("/v1/track", &[], r#"{"userId":"u"}"#).await.status, 400);
    assert_eq!(letters(&aws).len(), expected_count);
}

/// The largest requests, which fit only once what parsing needed is free again.
#[tokio::test]
async fn the_largest_requests_fit_into_the_memory_budget() {
    let webhook = |events: usize, invalid: usize, filler: usize| {
        let event = |i: usize| {
            let user = if i.is_multiple_of(invalid) { json!(null) } else { json!("u") };
            json!({"type": "track", "event": "e", "userId": user, "n": [i, invalid], "x": "y".repeat(filler)})
        };
        json!((0..events).map(event).collect::<Vec<_>>()).to_string()
    };
    let small_batches = storing("Batch").with("delivery.batch", json!({"maxBytes": "64Ki"}));
    for function in [storing("Object"), small_batches] {
        let (aws, sidecar) = start_ready(function).await;
        // In Object mode, fewer events are stored in time.
        for (body, status) in [
            (webhook(900, 2, 8_800), 200),
            (webhook(900, 1, 8_800), 400),
            (webhook(1, 1, 8_000_000), 400),
            (format!("\"{}\"", "\\\"".repeat(3_900_000)), 400),
        ] {
            let answer = sidecar.post("/", &[], body).await;
            assert_eq!(answer.status, status, "{}", answer.text().chars().take(300).collect::<String>());
        }
        let (letters, _) = split(aws.objects());
        let lines: usize = letters.iter().map(|object| object.body.iter().filter(|byte| **byte == b'\n').count()).sum();
        assert_eq!(lines, 450 + 900 + 2);
    }
}

#[tokio::test]
async fn without_dead_letters_nothing_is_stored_of_a_rejected_event() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let body = json!({"batch": [track(0), 7]});
    assert_eq!(sidecar.send("/v1/batch", &body).await.status, 200);
    assert_exactly(&aws.objects(), [&message_id(0)]);
    let types: Vec<_> = sidecar.status().await.conditions.into_iter().map(|condition| condition.r#type).collect();
    assert!(!types.contains(&ConditionType::EventsValid), "{types:?}");
}

/// A fault of PUTs whose keys begin so.
fn puts_below(prefix: &str, action: Action) -> Fault {
    Fault { key_prefix: Some(prefix.to_owned()), ..puts(action) }
}

#[tokio::test]
async fn a_request_that_is_sent_again_adds_no_dead_letter() {
    for mode in ["Object", "Batch"] {
        let (aws, sidecar) = start_ready(storing(mode)).await;
        let events = if mode == "Object" { "track/" } else { "type%3Dtrack/" };
        aws.faults([puts_below(events, error("InternalError"))]);
        let body = json!({"batch": [track(0), 7, {"type": "page"}]});
        assert_eq!(sidecar.send("/v1/batch", &body).await.status, 503);
        assert_eq!(letters(&aws).len(), 2, "dead letters are stored before the events");
        aws.faults([]);
        // Libraries may put the events that they send again into other requests.
        let again = if mode == "Object" { json!({"batch": [{"type": "page"}, 7, track(0), track(1)]}) } else { body };
        let stored = async || (sidecar.send("/v1/batch", &again).await.status == 200).then_some(());
        until("the events are stored", DEFAULT_TIMEOUT, stored).await;
        assert_eq!(letters(&aws).len(), 2, "{mode}");
    }
}

#[tokio::test]
async fn a_request_is_not_acknowledged_while_its_dead_letters_cannot_be_stored_but_others_are() {
    for mode in ["Object", "Batch"] {
        let (aws, sidecar) = start_ready(storing(mode)).await;
        assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
        aws.faults([puts_below(PREFIX, error("AccessDenied"))]);
        let mixed = |i: usize| json!({"batch": [track(i), i]});
        for i in 1..8 {
            let answer = sidecar.send("/v1/batch", &mixed(i)).await;
            assert_eq!((answer.status, answer.code()), (503, "AccessDenied".to_owned()), "{mode}");
            assert_eq!(sidecar.send("/v1/track", &track(100 + i)).await.status, 200, "{mode}");
        }
        let stored: Vec<_> = ndjson_events(&aws.objects());
        assert!(stored.iter().all(|event| event["messageId"].as_str() != Some(&message_id(1))), "{mode}");
        let condition = sidecar.condition(ConditionType::BucketWritable).await;
        assert_eq!((condition.status, condition.reason), (ConditionStatus::False, Reason::AccessDenied), "{mode}");
        assert!(condition.message.starts_with("dead letters only: "), "{}", condition.message);
        aws.faults([]);
        let stores = async || (sidecar.send("/v1/batch", &mixed(1)).await.status == 200).then_some(());
        until("dead letters are stored again", DEFAULT_TIMEOUT, stores).await;
        assert_eq!(letters(&aws).iter().map(original).collect::<Vec<_>>(), ["1"]);
    }
}

#[tokio::test]
async fn dead_letters_are_below_the_functions_prefix_and_contain_no_write_key() {
    let aws = Aws::start(&World::new()).await;
    let function = storing("Batch")
        .with("s3.prefix", json!("orders/"))
        .with("ingest.writeKeySecretRef", json!({"name": "keys", "key": "k"}));
    let sidecar =
        Setup::new(&aws).function(function).secret(SecretUse::WriteKey, "k", "write-key-canary").start().await;
    sidecar.wait_ready().await;
    let headers = [("authorization", "Bearer write-key-canary")];
    let bodies = [
        r#"{"writeKey" : "write-key-canary", "event":"e"}"#.to_owned(),
        r#"{"event":"e","writeKey":"write-key-canary"#.to_owned(),
        format!(
            r#"{{"event":"e","userId":"u","timestamp":"{EVENT_TIME}","writeKey":"write-key-canary","properties":1}}"#
        ),
        r#"{"batch":[{"type":"track","writeKey":"write-key-canary"}]}"#.to_owned(),
        r#""{\"writeKey\":\"write-key-canary\",\"event\":\"x\"}""#.to_owned(),
        "event=x&writeKey=write-key-canary".to_owned(),
        // The reason quotes this one.
        r#"{"userId":"u","event":"e","context":"writeKey=write-key-canary"}"#.to_owned(),
    ];
    for body in &bodies {
        assert_eq!(sidecar.post("/v1/track", &headers, body.clone()).await.status, 400);
    }
    let objects = aws.objects();
    assert_eq!(objects.len(), bodies.len());
    for object in &objects {
        assert!(object.key.starts_with("orders/dead-letters/"), "{}", object.key);
        let text = decompressed(object);
        assert!(text.contains("writeKey") && !text.contains("canary"), "{text}");
    }
    // A request without a valid credential stores nothing.
    assert_eq!(sidecar.post("/v1/track", &[], bodies[0].replace("canary", "other")).await.status, 401);
    assert_eq!(aws.objects().len(), bodies.len());
}
