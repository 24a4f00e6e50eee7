//! Tests that each refused request and event is printed, with the reason that its sender gets.

use std::fs;

use serde_json::Value;

use super::{EVENT, Run, example, request};

/// The reason in an answer's JSON body.
fn reason(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap();
    answer["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_refused_request_is_shown_with_its_reason() {
    let run = Run::start(false);
    run.line("ready ");
    for (method_and_path, body, expected) in [
        ("POST /v1/track", "{}", 400),
        ("POST /v1/track", "no JSON", 400),
        ("POST /v1/batch", "{}", 400),
        ("GET /v1/track", "", 405),
        ("POST /v1/tracks", EVENT, 404),
    ] {
        let (status, answer) = request(&run.events, method_and_path, body);
        assert_eq!(status, expected, "{method_and_path} {body}: {answer}");
        let reason = reason(&answer);
        assert_eq!(run.line("refused "), format!("refused   {method_and_path} {status}: {reason}"));
    }
}

#[test]
fn a_repeated_refusal_is_counted() {
    let run = Run::start(false);
    run.line("ready ");
    for _ in 0..4 {
        assert_eq!(request(&run.events, "POST /v1/track", "{}").0, 400);
    }
    assert_eq!(request(&run.events, "GET /v1/track", "").0, 405);
    for expected in ["POST /v1/track 400: ", "repeated 3 times", "GET /v1/track 405: "] {
        let line = run.line("refused ");
        assert!(line.starts_with(&format!("refused   {expected}")), "{line}");
    }
    let (_folder, summary) = run.stop();
    assert!(summary.contains("4 rejected, 5 requests refused;"), "{summary}");
}

#[test]
fn a_request_without_a_write_key_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(example("clickstream.yaml"), folder.path().join("orders.yaml")).unwrap();
    let run = Run::start_in(folder, false);
    run.line("ready ");
    let (status, answer) = run.send();
    assert_eq!(status, 401, "{answer}");
    assert_eq!(run.line("refused "), format!("refused   POST /v1/track 401: {}", reason(&answer)));
}

#[test]
fn each_refused_event_of_a_batch_is_shown() {
    let run = Run::start(false);
    run.line("ready ");
    let good = format!("{{\"type\":\"track\",{}", &EVENT[1..]);
    let (status, answer) = request(&run.events, "POST /v1/batch", &format!(r#"{{"batch":[{{}},{good},7]}}"#));
    assert_eq!(status, 200, "{answer}");
    for index in [0, 2] {
        let line = run.line("rejected ");
        assert!(line.starts_with(&format!("rejected  POST /v1/batch 200, index {index} of the batch: ")), "{line}");
    }

    let (status, answer) = request(&run.events, "POST /v1/batch", r#"{"batch":[8]}"#);
    assert_eq!(status, 400, "{answer}");
    let line = run.line("rejected ");
    assert!(line.starts_with("rejected  POST /v1/batch 400, index 0 of the batch: "), "{line}");
}

#[test]
fn an_event_that_can_not_be_stored_is_shown() {
    let run = Run::start(true);
    run.line("ready ");
    run.edit("accounts.yaml", "faults: [", "faults: [{service: s3, operation: PutObject, action: {error: SlowDown}},");
    run.line("edit ");
    let (status, answer) = run.send();
    assert_eq!(status, 503, "{answer}");
    assert_eq!(run.line("refused "), format!("refused   POST /v1/track 503: {}", reason(&answer)));
}

#[test]
fn a_rejected_event_is_shown_as_a_dead_letter() {
    let run = Run::start(false);
    run.line("ready ");
    run.edit("orders.yaml", "spec:\n", "spec:\n  delivery: {deadLetter: {}}\n");
    run.line("edit ");
    let location = run.line("letters ");
    assert!(location.contains("/segment/_dead-letters/ (rejected events)"), "{location}");
    run.line("ready ");
    let body = r#"{"event" : "Order Completed"}"#;
    for _ in 0..2 {
        assert_eq!(request(&run.events, "POST /v1/track", body).0, 400);
    }
    let line = run.line("letter ");
    let file = line["letter".len()..].trim().split(' ').next().unwrap();
    let letter: Value = serde_json::from_str(&fs::read_to_string(run.folder.path().join(file)).unwrap()).unwrap();
    assert_eq!((letter["code"].as_str(), letter["original"].as_str()), (Some("no_user_anon_id"), Some(body)));
    let (_folder, summary) = run.stop();
    assert!(summary.contains("2 rejected (2 stored as dead letters), 2 requests refused;"), "{summary}");
}
