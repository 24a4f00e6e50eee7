//! Tests what real client libraries send that the API's documentation does not have: each case is from a bug report about
//! a library or a proxy.

use serde_json::{Value, json};
use tributary_crds::sidecar_config::SecretUse;
use tributary_tests::encode::{gzip, zstd};
use tributary_tests::event::{batch, message_id, track};
use tributary_tests::stored::assert_exactly;
use tributary_tests::{Aws, Function, Setup, World, start_ready};

/// The stored events, parsed, in the order of their keys.
fn stored(aws: &Aws) -> Vec<Value> {
    aws.objects().iter().map(|object| serde_json::from_slice(&object.body).expect("JSON")).collect()
}

#[tokio::test]
async fn a_time_that_a_library_prints_in_its_own_form_makes_the_key() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    // Each is sent twice: with a key of the time of receipt, it would get two objects.
    let times = [
        (json!("2021-10-16T16:00:27.029:Z"), 1_634_400_027_029_u64),
        (json!(1_634_400_027), 1_634_400_027_000),
        (json!(1_634_400_027_029_u64), 1_634_400_027_029),
        (json!(1_634_400_027.5), 1_634_400_027_500),
        (json!("1634400027"), 1_634_400_027_000),
        (json!("2026-03-05 10:00:00 UTC"), 1_772_704_800_000),
        (json!("20260305T100000Z"), 1_772_704_800_000),
        (json!("Thu, 05 Mar 2026 10:00:00 GMT"), 1_772_704_800_000),
    ];
    let mut keys = Vec::new();
    for (i, (time, millis)) in times.iter().enumerate() {
        let id = message_id(i);
        let event = json!({"type": "track", "userId": "u", "event": "e", "messageId": id, "timestamp": time});
        for (path, body) in [("/v1/track", event.clone()), ("/v1/batch", json!({"batch": [event], "sentAt": time}))] {
            let answer = sidecar.send(path, &body).await;
            assert_eq!(answer.status, 200, "{time}: {}", answer.text());
        }
        keys.push(format!("track/{millis}-{id}.json"));
    }
    let mut seen: Vec<_> = aws.objects().into_iter().map(|object| object.key).collect();
    seen.sort();
    keys.sort();
    assert_eq!(seen, keys);
    assert!(stored(&aws).iter().all(|event| event["originalTimestamp"] != event["receivedAt"]));
    assert_eq!(sidecar.metric("times_unreadable_total").await, 0.0);
}

#[tokio::test]
async fn a_time_that_can_not_be_read_is_counted() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    for (i, time) in [json!("yesterday"), json!(17), json!("05/03/2026 10:00 PM")].into_iter().enumerate() {
        let event = json!({"userId": "u", "event": "e", "messageId": message_id(i), "timestamp": time});
        assert_eq!(sidecar.send("/v1/track", &event).await.status, 200);
        assert_eq!(sidecar.metric("times_unreadable_total").await, (i + 1) as f64);
    }
    assert!(stored(&aws).iter().all(|event| event["timestamp"] == event["receivedAt"]));
}

/// PHP has one type for lists and objects, and writes an empty one as `[]`.
#[tokio::test]
async fn an_empty_array_is_stored_as_the_empty_object_that_it_stands_for() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let event = json!({
        "type": "track", "userId": "u", "event": "e", "messageId": message_id(0),
        "properties": [], "context": [], "integrations": [],
    });
    let body = json!({"batch": [event], "context": [], "integrations": {"All": true}});
    assert_eq!(sidecar.send("/v1/batch", &body).await.status, 200);
    let identify = json!({"userId": "u", "messageId": message_id(1), "traits": [], "context": {"traits": []}});
    assert_eq!(sidecar.send("/v1/identify", &identify).await.status, 200);
    let stored = stored(&aws);
    let of = |id: usize| stored.iter().find(|event| event["messageId"] == message_id(id)).expect("the event");
    assert_eq!(of(0)["properties"], json!({}));
    assert_eq!(of(0)["context"], json!({}));
    assert_eq!(of(0)["integrations"], json!({"All": true}));
    assert_eq!(of(1)["traits"], json!({}));
    assert_eq!(of(1)["context"], json!({"traits": []}), "other values are the client's own");
}

/// RudderStack's library for Rust writes `type` twice.
#[tokio::test]
async fn a_member_that_is_repeated_with_the_same_value_is_stored_once() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let event = r#"{"type":"track","userId":"u","event":"e","messageId":"m-1","type":"track","timestamp":"2026-01-01T00:00:00Z"}"#;
    let answer = sidecar.post("/v1/batch", &[], format!("{{\"batch\":[{event}]}}")).await;
    assert_eq!((answer.status, answer.text()), (200, "{\"success\":true}\n".to_owned()));
    let objects = aws.objects();
    let text = String::from_utf8_lossy(&objects[0].body);
    assert_eq!(text.matches("\"type\"").count(), 1, "{text}");
    let other = event.replacen("track", "page", 1);
    let answer = sidecar.post("/v1/batch", &[], format!("{{\"batch\":[{other}]}}")).await;
    assert_eq!(answer.json()["rejected"][0]["code"], "duplicate_key", "{}", answer.text());
}

#[tokio::test]
async fn a_number_as_message_id_is_an_id() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let event = json!({"userId": "u", "event": "e", "messageId": 12345, "timestamp": "2026-01-01T00:00:00Z"});
    for _ in 0..2 {
        assert_eq!(sidecar.send("/v1/track", &event).await.status, 200);
    }
    assert_eq!(aws.objects().len(), 1);
    assert_eq!(stored(&aws)[0]["messageId"], "12345");
}

/// Some libraries compress without naming it, and some proxies compress or decompress and keep the header.
#[tokio::test]
async fn a_body_is_decoded_as_its_first_bytes_show() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let json = |i: usize| batch(i..i + 1).to_string();
    for (i, (headers, body)) in [
        (&[][..], gzip(json(0).as_bytes())),
        (&[], zstd(json(1).as_bytes())),
        (&[("content-encoding", "gzip")], json(2).into_bytes()),
        (&[("content-encoding", "zstd")], format!("\r\n {}", json(3)).into_bytes()),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = sidecar.post("/v1/batch", headers, body).await;
        assert_eq!(answer.status, 200, "case {i}: {}", answer.text());
    }
    assert_exactly(&aws.objects(), &(0..4).map(message_id).collect::<Vec<_>>());
}

#[tokio::test]
async fn libraries_with_a_proxy_find_their_paths() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    for (i, path) in ["/", "/b", "/batch", "/import", "/beacon/v1/batch", "/v1/b/"].into_iter().enumerate() {
        let answer = sidecar.send(path, &batch(i..i + 1)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    for (i, path) in ["/t", "/track", "/v1/t", "/beacon/v1/track"].into_iter().enumerate() {
        let answer = sidecar.send(path, &track(10 + i)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    assert_exactly(&aws.objects(), &(0..6).chain(10..14).map(message_id).collect::<Vec<_>>());
    let answer = sidecar.send("/api/s/track", &track(0)).await;
    assert_eq!(answer.status, 404);
    assert!(answer.message().contains("/v1/track") && answer.message().contains("/v1/batch"), "{}", answer.text());
}

/// A beacon can set no header.
#[tokio::test]
async fn a_write_key_may_be_in_the_query() {
    let aws = Aws::start(&World::new()).await;
    let ingest = json!({"writeKeySecretRef": {"name": "keys", "key": "writeKey"}});
    let setup = Setup::new(&aws).function(Function::new().with("ingest", ingest));
    let sidecar = setup.secret(SecretUse::WriteKey, "writeKey", "wk+1").start().await;
    sidecar.wait_ready().await;
    for (query, status) in [("?writeKey=wk%2B1", 200), ("?writeKey=wk", 401), ("?writeKey=", 401), ("", 401)] {
        let answer = sidecar.send(&format!("/beacon/v1/batch{query}"), &batch(0..1)).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }
    assert!(!sidecar.output().contains("wk"), "a key is in the log");
}

#[tokio::test]
async fn a_batch_that_is_too_large_with_its_context_is_told_what_to_do() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    let events = vec![json!({"type": "page", "userId": "u"}); 1_000];
    let body = json!({"batch": events, "context": {"a": "x".repeat(30 << 10)}});
    let answer = sidecar.send("/v1/batch", &body).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "batch_too_large"), "{}", answer.text());
    assert!(answer.message().contains("send fewer events per request"), "{}", answer.text());
}

#[tokio::test]
async fn an_unsigned_webhook_is_told_that_the_signature_is_missing() {
    let aws = Aws::start(&World::new()).await;
    let ingest = json!({"signatureSecretRef": {"name": "signing", "key": "signature"}});
    let setup = Setup::new(&aws).function(Function::new().with("ingest", ingest));
    let sidecar = setup.secret(SecretUse::Signature, "signature", "secret").start().await;
    sidecar.wait_ready().await;
    let unsigned = sidecar.send("/", &track(0)).await;
    assert_eq!(unsigned.status, 401);
    assert!(unsigned.message().contains("has no X-Signature"), "{}", unsigned.text());
    let wrong = sidecar.post("/", &[("x-signature", "00")], track(0).to_string()).await;
    assert!(wrong.status == 401 && wrong.message().contains("is not that of the body"), "{}", wrong.text());
}
