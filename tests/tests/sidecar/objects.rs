//! Tests how an event becomes an object: its content, its key, and the options of its PutObject request.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tributary_tests::event::{EVENT_TIME, EVENT_TIME_MILLIS, batch, message_id, track, track_key};
use tributary_tests::stored::{assert_exactly, event};
use tributary_tests::{Function, start_ready};

/// One event of each type, with the fields that such an event has, and an unknown field.
fn one_event_per_type() -> Vec<(&'static str, Value)> {
    let own = [
        ("track", json!({"event": "Order Placed", "properties": {"price": 1.5, "items": ["a", {"b": null}]}})),
        ("identify", json!({"traits": {"email": "a@example.com", "logins": 5}})),
        ("page", json!({"name": "Home", "category": "Docs", "properties": {"url": "https://example.com/"}})),
        ("screen", json!({"name": "Main", "properties": {"dark": true}})),
        ("group", json!({"groupId": "g1", "traits": {"plan": "free"}})),
        ("alias", json!({"previousId": "anonymous-7"})),
    ];
    own.into_iter()
        .map(|(kind, mut event)| {
            let fields = event.as_object_mut().expect("an object");
            fields.insert("messageId".to_owned(), json!(format!("the-{kind}")));
            fields.insert("userId".to_owned(), json!("user-1"));
            fields.insert("timestamp".to_owned(), json!(EVENT_TIME));
            fields.insert("sentAt".to_owned(), json!("2026-11-23T10:00:30.000Z"));
            fields.insert("context".to_owned(), json!({"library": {"name": "test", "version": "1"}}));
            fields.insert("unheardOf".to_owned(), json!({"é": [1, 2.50, "\u{1F980}"]}));
            (kind, event)
        })
        .collect()
}

/// Asserts that every field of `sent` is stored unchanged except the corrected timestamp, and that only fields set by
/// the sidecar are added.
fn assert_stamped(kind: &str, sent: &Value, stored: &Value) {
    let corrected = ["timestamp"];
    for (field, value) in sent.as_object().expect("an object") {
        if !corrected.contains(&field.as_str()) {
            assert_eq!(&stored[field], value, "{kind}: {field}");
        }
    }
    let stamps = ["type", "messageId", "receivedAt", "originalTimestamp", "timestamp", "sentAt", "version"];
    for field in stored.as_object().expect("an object").keys() {
        assert!(sent.get(field).is_some() || stamps.contains(&field.as_str()), "{kind}: {field} came from nowhere");
    }
    assert_eq!(stored["type"], kind);
    assert_eq!(stored["version"], 2);
    assert_eq!(stored["originalTimestamp"], sent["timestamp"], "{kind}");
    let time =
        |field: &str| stored[field].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).expect("a time");
    let away = time("receivedAt").duration_since(jiff::Timestamp::now());
    assert!(away.unsigned_abs() < Duration::from_secs(60), "receivedAt is {}", stored["receivedAt"]);
    // The timestamp as Segment corrects a client's clock: receivedAt - (sentAt - originalTimestamp).
    let happened = time("receivedAt") - (time("sentAt").duration_since(time("originalTimestamp")));
    assert_eq!(time("timestamp"), happened, "{kind}");
}

#[tokio::test]
async fn an_event_of_each_type_becomes_an_object_with_all_its_fields() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    for (kind, event) in one_event_per_type() {
        let answer = sidecar.send(&format!("/v1/{kind}"), &event).await;
        assert_eq!((answer.status, answer.text()), (200, "{\"success\":true}\n".to_owned()), "{kind}");
    }
    assert_eq!(aws.objects().len(), 6);
    for (kind, sent) in one_event_per_type() {
        let object = aws.object(&format!("{kind}/{EVENT_TIME_MILLIS}-the-{kind}.json"));
        assert_stamped(kind, &sent, &event(&object));
        assert_eq!(object.content_type.as_deref(), Some("application/json"));
        assert_eq!(sidecar.metric(&format!("events_stored_total{{type=\"{kind}\"}}")).await, 1.0);
    }
    assert_eq!(sidecar.metric("objects_stored_total").await, 6.0);
    let bytes: usize = aws.objects().iter().map(|object| object.body.len()).sum();
    assert_eq!(sidecar.metric("stored_bytes_total").await, bytes as f64);
}

#[tokio::test]
async fn a_batch_becomes_one_object_per_event_with_the_batchs_context() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let events: Vec<_> = one_event_per_type()
        .into_iter()
        .map(|(kind, mut event)| {
            event["type"] = json!(kind);
            event
        })
        .collect();
    let body = json!({
        "batch": events,
        "context": {"ip": "192.0.2.1", "library": {"name": "the batch's own"}},
        "integrations": {"All": true},
        "sentAt": "2026-11-23T10:05:00.000Z",
    });
    assert_eq!(sidecar.send("/v1/batch", &body).await.status, 200);
    assert_eq!(aws.objects().len(), 6);
    for (kind, mut sent) in one_event_per_type() {
        let stored = event(&aws.object(&format!("{kind}/{EVENT_TIME_MILLIS}-the-{kind}.json")));
        sent["context"]["ip"] = json!("192.0.2.1");
        sent["integrations"] = json!({"All": true});
        assert_stamped(kind, &sent, &stored);
    }
}

#[tokio::test]
async fn numbers_keep_their_digits_and_the_write_key_is_removed() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let body = r#"{"writeKey":"k3y","userId":9007199254740993000,"event":"e","messageId":"m1","properties":{"price":1.50,"big":1e400,"text":"\u00e9\/"}}"#;
    let answer = sidecar.request(hyper::Method::POST, "/v1/track", &[], body).await.unwrap();
    assert_eq!(answer.status, 200);
    let objects = aws.objects();
    let stored = String::from_utf8(objects[0].body.to_vec()).unwrap();
    for kept in [r#""userId":9007199254740993000"#, r#""properties":{"price":1.50,"big":1e400,"text":"\u00e9\/"}"#] {
        assert!(stored.contains(kept), "{kept} is not in {stored}");
    }
    assert!(!stored.contains("k3y") && !stored.contains("writeKey"), "{stored}");
}

#[tokio::test]
async fn a_pretty_printed_event_becomes_one_line_with_a_newline_at_its_end() {
    let event = "{\n  \"userId\": \"u\",\r\n  \"event\": \"e\",\n  \"properties\": {\n    \"a\" : [\n1,\r\n  1.50\n    ],\n\
                 \"b\": \"\\n\u{2028}\"\n  }\n}\n";
    let expected =
        "{\"userId\":\"u\",\"event\":\"e\",\"properties\":{    \"a\" : [1,  1.50    ],\"b\": \"\\n\u{2028}\"  },";
    for delivery in [json!({"mode": "Object"}), json!({"mode": "Batch", "batch": {"compression": "none"}})] {
        let (aws, sidecar) = start_ready(Function::new().with("delivery", delivery)).await;
        let answer = sidecar.request(hyper::Method::POST, "/v1/track", &[], event).await.unwrap();
        assert_eq!(answer.status, 200);
        let objects = aws.objects();
        let stored = std::str::from_utf8(&objects[0].body).unwrap();
        assert!(stored.starts_with(expected) && stored.ends_with("}\n"), "{stored}");
        assert_eq!(stored.lines().count(), 1, "{stored}");
    }
}

#[tokio::test]
async fn an_event_without_message_id_and_timestamp_gets_both() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let sent = json!({"userId": "u", "event": "e"});
    assert_eq!(sidecar.send("/v1/track", &sent).await.status, 200);
    let object = aws.objects().remove(0);
    let stored = event(&object);
    let received: jiff::Timestamp = stored["receivedAt"].as_str().unwrap().parse().unwrap();
    let id = stored["messageId"].as_str().unwrap();
    assert!(!id.is_empty());
    assert_eq!(object.key, format!("track/{}-{id}.json", received.as_millisecond()));
    for field in ["timestamp", "originalTimestamp", "sentAt"] {
        assert_eq!(stored[field], stored["receivedAt"], "{field}");
    }
}

#[tokio::test]
async fn a_batch_sent_twice_creates_no_second_objects() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let ids: Vec<_> = (0..50).map(message_id).collect();
    for _ in 0..2 {
        assert_eq!(sidecar.send("/v1/batch", &batch(0..50)).await.status, 200);
        assert_exactly(&aws.objects(), &ids);
    }
    assert_eq!(sidecar.metric("events_deduplicated_total").await, 50.0);
    assert_eq!(sidecar.metric("events_stored_total{type=\"track\"}").await, 100.0);
    assert_eq!(sidecar.metric("objects_stored_total").await, 50.0);
}

#[tokio::test]
async fn a_thousand_events_of_one_millisecond_become_a_thousand_objects() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    assert_eq!(sidecar.send("/v1/batch", &batch(0..1000)).await.status, 200);
    let keys: BTreeSet<_> = aws.objects().into_iter().map(|object| object.key).collect();
    assert_eq!(keys, (0..1000).map(track_key).collect());
}

#[tokio::test]
async fn s3_options_of_the_function_reach_s3() {
    let key_id = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let function = Function::new()
        .with("s3.prefix", json!("events/orders/"))
        .with("s3.encryption", json!({"type": "KMS", "keyId": key_id}))
        .with("s3.storageClass", json!("STANDARD_IA"))
        .with("s3.tags", json!({"team": "data", "cost center": "4+2=6"}))
        .with("s3.expectedBucketOwner", json!("123456789012"));
    let (aws, sidecar) = start_ready(function).await;
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    let object = aws.object(&format!("events/orders/{}", track_key(1)));
    assert_eq!(object.encryption.as_deref(), Some("aws:kms"));
    assert_eq!(object.kms_key_id.as_deref(), Some(key_id));
    assert_eq!(object.storage_class.as_deref(), Some("STANDARD_IA"));
    assert_eq!(object.content_type.as_deref(), Some("application/json"));
    assert_eq!(object.content_encoding, None);
    let tags: BTreeSet<_> = object.tags.into_iter().collect();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(tags, BTreeSet::from([pair("team", "data"), pair("cost center", "4+2=6")]));
}

#[tokio::test]
async fn objects_can_be_encrypted_with_s3_managed_keys() {
    let (aws, sidecar) = start_ready(Function::new().with("s3.encryption", json!({"type": "S3"}))).await;
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    let object = aws.object(&track_key(1));
    assert_eq!((object.encryption.as_deref(), object.kms_key_id), (Some("AES256"), None));
}

#[tokio::test]
async fn without_s3_options_the_request_has_none() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    let object = aws.object(&track_key(1));
    assert_eq!((object.encryption, object.kms_key_id, object.storage_class), (None, None, None));
    assert_eq!(object.tags, []);
}

#[tokio::test]
async fn a_key_template_sets_the_object_keys() {
    let template = "{event}/dt={yyyy-MM-dd}/hour={HH}/{mm}{ss}/{type}/{userId}/{millis}.{messageId}.json";
    let (aws, sidecar) = start_ready(Function::new().with("delivery.key", json!(template))).await;
    let mut odd = track(1);
    odd["event"] = json!("Order/Placed ..é");
    odd["userId"] = json!(42);
    odd["messageId"] = json!("a/b%2Fc");
    odd["timestamp"] = json!("2026-11-23T23:59:58.123+01:00");
    assert_eq!(sidecar.send("/v1/track", &odd).await.status, 200);
    let page = json!({"type": "page", "messageId": "p", "anonymousId": "a", "timestamp": EVENT_TIME});
    assert_eq!(sidecar.send("/v1/page", &page).await.status, 200);
    let keys: Vec<_> = aws.objects().into_iter().map(|object| object.key).collect();
    let of_track = "Order%2FPlaced%20%2E%2E%C3%A9/dt=2026-11-23/hour=22/5958/track/42/1795474798123.a%2Fb%252Fc.json";
    let of_page = "_/dt=2026-11-23/hour=10/0000/page/_/1795428000000.p.json";
    assert_eq!(keys, [of_track, of_page]);
}

#[tokio::test]
async fn without_conditional_writes_an_object_is_overwritten() {
    let (aws, sidecar) = start_ready(Function::new().with("s3.conditionalWrites", json!(false))).await;
    for _ in 0..2 {
        assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    }
    assert_eq!(aws.objects().len(), 1);
    assert_eq!(aws.object(&track_key(1)).puts, 2);
    assert_eq!(sidecar.metric("events_deduplicated_total").await, 0.0);
}

#[tokio::test]
async fn every_path_that_client_libraries_use_accepts_events() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let letters = [("t", "track"), ("i", "identify"), ("p", "page"), ("s", "screen"), ("g", "group"), ("a", "alias")];
    let mut stored = BTreeSet::new();
    for (letter, kind) in letters {
        for path in [format!("/v1/{letter}"), format!("/v1/{letter}/"), format!("/v1/{kind}/")] {
            let id = format!("{kind}-{}", stored.len());
            let event = json!({"messageId": id, "userId": "u", "event": "E", "timestamp": EVENT_TIME});
            assert_eq!(sidecar.send(&path, &event).await.status, 200, "{path}");
            stored.insert(format!("{kind}/{EVENT_TIME_MILLIS}-{id}.json"));
        }
    }
    for (i, path) in ["/v1/b", "/v1/import", "/v1/import/", "/v1/batch/"].into_iter().enumerate() {
        assert_eq!(sidecar.send(path, &batch(i..i + 1)).await.status, 200, "{path}");
        stored.insert(track_key(i));
    }
    assert_eq!(aws.objects().into_iter().map(|object| object.key).collect::<BTreeSet<_>>(), stored);
}

#[tokio::test]
async fn filtered_events_are_answered_200_and_not_stored() {
    let events = json!({"types": ["track", "page"], "names": ["Order *"]});
    let (aws, sidecar) = start_ready(Function::new().with("events", events)).await;
    let event = |id: &str, kind: &str, name: &str| json!({"messageId": id, "userId": "u", "type": kind, "event": name, "timestamp": EVENT_TIME});
    let batch = json!({"batch": [
        event("kept", "track", "Order Placed"),
        event("other-name", "track", "Signed Up"),
        event("other-type", "identify", "Order Placed"),
        event("page", "page", "Home"),
    ]});
    let answer = sidecar.send("/v1/batch", &batch).await;
    assert_eq!((answer.status, answer.text()), (200, "{\"success\":true}\n".to_owned()));
    assert_eq!(sidecar.send("/v1/track", &event("alone", "track", "Signed Up")).await.status, 200);
    assert_exactly(&aws.objects(), &["kept".to_owned(), "page".to_owned()]);
    assert_eq!(sidecar.metric("events_filtered_total").await, 3.0);
    assert_eq!(sidecar.metric("events_received_total{type=\"track\"}").await, 3.0);
}
