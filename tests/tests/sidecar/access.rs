//! Tests authentication and CORS: write keys, signatures, and browsers of other origins; with Secrets that are rotated
//! and deleted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};
use tributary_crds::sidecar_config::SecretUse;
use tributary_tests::encode::gzip;
use tributary_tests::event::{batch, message_id, signature, track};
use tributary_tests::http::Answer;
use tributary_tests::raw::RawConnection;
use tributary_tests::stored::{assert_exactly, ndjson_events};
use tributary_tests::traffic::acknowledged;
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::{Aws, Function, Setup, SidecarProcess, Traffic, World};

const WRITE_KEY: &str = "wk-5uYt6Qq1";
const SIGNING_SECRET: &str = "shared with Segment";

/// The time within which a sidecar has certainly read a changed Secret.
const SECRET_RELOAD_TIME: Duration = Duration::from_secs(4);

fn with_write_key(function: Function) -> Function {
    function.with("ingest.writeKeySecretRef", json!({"name": "keys", "key": "writeKey"}))
}

fn with_signature(function: Function) -> Function {
    function.with("ingest.signatureSecretRef", json!({"name": "segment", "key": "secret"}))
}

async fn start_ready(function: Function) -> (Aws, SidecarProcess) {
    let aws = Aws::start(&World::new()).await;
    let setup = Setup::new(&aws).function(function);
    let setup = setup.secret(SecretUse::WriteKey, "writeKey", &format!("{WRITE_KEY}\n"));
    let sidecar = setup.secret(SecretUse::Signature, "secret", SIGNING_SECRET).start().await;
    sidecar.wait_ready().await;
    (aws, sidecar)
}

fn basic(user: &str) -> String {
    format!("Basic {}", base64_simd::STANDARD.encode_to_string(user))
}

fn assert_unauthorized(answer: &Answer) {
    assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{}", answer.text());
    assert!(answer.headers.contains_key("www-authenticate") && !answer.headers.contains_key("retry-after"));
    assert!(!answer.text().contains(WRITE_KEY) && !answer.text().contains(SIGNING_SECRET));
}

fn assert_unavailable(answer: &Answer, reason: Reason) {
    assert_eq!((answer.status, answer.code()), (503, reason.to_string()), "{}", answer.text());
    assert!(answer.has_valid_retry_after() && answer.hides_owner_details(), "{}", answer.text());
}

/// The event with an additional member, as text.
fn with_member(mut event: Value, name: &str, value: &str) -> String {
    event[name] = json!(value);
    event.to_string()
}

/// Path, headers, body.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], String);

#[tokio::test]
async fn a_write_key_is_accepted_as_basic_auth_bearer_token_or_in_the_body() {
    let (aws, sidecar) = start_ready(with_write_key(Function::new())).await;
    let (user, bare) = (basic(&format!("{WRITE_KEY}:")), basic(WRITE_KEY));
    let (bearer, other) = (format!("Bearer {WRITE_KEY}"), basic("another:"));
    let good: [Case<'_>; 6] = [
        ("/v1/track", &[("authorization", &user)], track(0).to_string()),
        ("/v1/t", &[("authorization", &bare)], track(1).to_string()),
        ("/v1/batch", &[("authorization", &bearer)], batch(2..3).to_string()),
        ("/v1/track/", &[], with_member(track(3), "writeKey", WRITE_KEY)),
        ("/v1/import/", &[("authorization", &other)], with_member(batch(4..5), "writeKey", WRITE_KEY)),
        ("/", &[("authorization", &user)], track(5).to_string()),
    ];
    for (path, headers, body) in good {
        let answer = sidecar.post(path, headers, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    assert_exactly(&aws.objects(), &(0..6).map(message_id).collect::<Vec<_>>());
    assert!(aws.objects().iter().all(|object| !String::from_utf8_lossy(&object.body).contains(WRITE_KEY)));

    let bad: [Case<'_>; 5] = [
        ("/v1/track", &[], track(9).to_string()),
        ("/v1/track", &[("authorization", &other)], track(9).to_string()),
        ("/v1/track", &[], with_member(track(9), "writeKey", "another")),
        ("/v1/batch", &[], batch(9..10).to_string()),
        ("/", &[("x-signature", &signature(SIGNING_SECRET, &track(9).to_string()))], track(9).to_string()),
    ];
    for (count, (path, headers, body)) in (1_u8..).zip(bad) {
        assert_unauthorized(&sidecar.post(path, headers, body).await);
        assert_eq!(sidecar.metric("auth_failures_total").await, f64::from(count));
    }
    assert_eq!(aws.objects().len(), 6);
}

#[tokio::test]
async fn clients_without_a_write_key_take_no_memory_from_clients_with_one() {
    let (_aws, sidecar) = start_ready(with_write_key(Function::new())).await;
    let stalled = join_all((0..408).map(async |_| {
        let mut raw = RawConnection::connect(sidecar.events).await;
        raw.write("POST /v1/batch HTTP/1.1\r\nHost: s\r\nContent-Length: 1048576\r\n\r\n").await;
        // In pieces, for which the sidecar reserves memory as they arrive: 25 MiB in all.
        for _ in 0..8 {
            raw.try_write(vec![b' '; 8 << 10]).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        raw.try_write(" ").await;
        raw
    }))
    .await;
    let key = basic(WRITE_KEY);
    let mut refused = Vec::new();
    for i in 0..100 {
        let filler = "x".repeat(30_000);
        let event = |i| json!({"type": "page", "userId": "u", "messageId": message_id(i), "filler": filler});
        let body = json!({"batch": [event(2 * i), event(2 * i + 1)]}).to_string();
        let answer = sidecar.post("/v1/batch", &[("authorization", key.as_str())], body).await;
        if answer.status != 200 {
            refused.push(answer.text());
        }
    }
    assert!(refused.is_empty(), "{} of 100 were refused: {}", refused.len(), refused[0]);
    // Requests with the key in the body, as browsers send it, share the memory for unauthenticated bodies.
    drop(stalled);
    until("a key in a body is read again", DEFAULT_TIMEOUT, async || {
        (sidecar.post("/v1/track", &[], with_member(track(0), "writeKey", WRITE_KEY)).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_that_no_body_could_authenticate_are_refused_before_it_is_read() {
    let (_aws, sidecar) = start_ready(with_signature(Function::new())).await;
    for request in ["POST /v1/track HTTP/1.1\r\nX-Signature: 00", "POST / HTTP/1.1\r\nAuthorization: Bearer key"] {
        let mut raw = RawConnection::connect(sidecar.events).await;
        let start = Instant::now();
        raw.write(format!("{request}\r\nHost: s\r\nContent-Length: 1000\r\n\r\n{{")).await;
        assert_unauthorized(&raw.answer().await);
        assert!(start.elapsed() < Duration::from_secs(4), "{request}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_signed_body_may_decompress_to_eight_mebibytes() {
    let (aws, sidecar) = start_ready(with_signature(Function::new())).await;
    let mut rng = fastrand::Rng::with_seed(8);
    let mut event = |i: usize| {
        // Random characters, which hardly compress, and which JSON does not escape.
        let noise: String = (0..20_000).map(|_| rng.char('#'..='[')).collect();
        json!({"type": "page", "userId": "u", "messageId": message_id(i), "noise": noise}).to_string()
    };
    let events: Vec<_> = (0..410).map(&mut event).collect();
    let array = format!("[{}]", events.join(","));
    assert!(array.len() > 8_200_000 && array.len() < 8 << 20, "{}", array.len());
    let signed = signature(SIGNING_SECRET, &events[0]);
    let headers = [("x-signature", signed.as_str()), ("content-encoding", "gzip")];
    let answer = sidecar.post("/", &headers, gzip(array.as_bytes())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(aws.objects().len(), 410);
}

#[tokio::test]
async fn without_configured_write_keys_any_credentials_are_accepted() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    for headers in [&[][..], &[("authorization", "Basic !!!"), ("x-signature", "zz")][..]] {
        assert_eq!(sidecar.post("/v1/track", headers, track(0).to_string()).await.status, 200);
    }
    let condition = sidecar.condition(ConditionType::IngestConfigured).await;
    assert_eq!((condition.status, condition.reason), (ConditionStatus::True, Reason::Ok));
}

#[tokio::test]
async fn a_webhook_is_accepted_only_with_segments_signature() {
    let (aws, sidecar) = start_ready(with_signature(Function::new())).await;
    let one = json!({"type": "delete", "userId": "u", "messageId": message_id(0), "timestamp": "2026-11-23T10:00:00Z",
        "receivedAt": "2026-11-23T10:00:01.000Z", "sentAt": null, "channel": "server"})
    .to_string();
    let signed = signature(SIGNING_SECRET, &one);
    assert_eq!(sidecar.post("/", &[("x-signature", &signed)], one.clone()).await.status, 200);
    let stored = String::from_utf8(aws.objects()[0].body.to_vec()).expect("text");
    assert!(aws.objects()[0].key.starts_with("delete/"), "{}", aws.objects()[0].key);
    assert!(
        stored.contains(r#""receivedAt":"2026-11-23T10:00:01.000Z""#),
        "receivedAt, which Segment has set, was changed: {stored}"
    );

    // The signature covers only the first event of an array.
    let many = (1..=1_000).map(|i| track(i).to_string()).collect::<Vec<_>>();
    let array = format!("[{}]", many.join(","));
    let signed = signature(SIGNING_SECRET, &many[0]);
    let answer = sidecar.post("/", &[("x-signature", &signed)], array.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_exactly(&aws.objects(), &(0..=1_000).map(message_id).collect::<Vec<_>>());

    for (signed, body) in [
        (signature("another", &one), &one),
        (signature(SIGNING_SECRET, &format!("{one} ")), &one),
        (signature(SIGNING_SECRET, &array), &array),
        (String::new(), &one),
    ] {
        assert_unauthorized(&sidecar.post("/", &[("x-signature", &signed)], body.clone()).await);
    }
    assert_unauthorized(&sidecar.post("/", &[], one.clone()).await);
    // Without write keys, the tracking API is closed, as the message states.
    let answer = sidecar.post("/v1/track", &[], track(0).to_string()).await;
    assert_unauthorized(&answer);
    assert!(answer.message().contains("writeKeySecretRef"), "{}", answer.message());
}

#[tokio::test]
async fn a_webhook_may_have_larger_bodies_and_has_its_own_limits() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let event = |i: usize, size: usize| json!({"type": "page", "userId": "u", "messageId": message_id(i), "filler": "x".repeat(size)});
    let array = Value::from((0..300).map(|i| event(i, 20_000)).collect::<Vec<_>>());
    let answer = sidecar.send("/", &array).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(aws.objects().len(), 300);
    for (body, code) in [
        (Value::from(vec![event(0, 1); 4_001]), "too_many_events"),
        (json!([]), "empty_batch"),
        (event(0, 40_000), "event_too_large"),
        (json!({"type": "../../x", "userId": "u"}), "invalid_type"),
        (json!({"userId": "u"}), "invalid_type"),
        (json!([7]), "no_valid_events"),
        (event(0, 8 << 20), "body_too_large"),
    ] {
        let answer = sidecar.send("/", &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{}", answer.text());
    }
    let answer = sidecar.send("/", &json!([event(1_000, 1), {"type": "Track", "userId": "u"}])).await;
    assert_eq!((answer.status, &answer.json()["rejected"][0]["code"]), (200, &json!("invalid_type")));
}

#[tokio::test]
async fn a_deleted_secret_is_reported_with_503_and_recovers_without_a_restart() {
    let (_aws, sidecar) = start_ready(with_signature(with_write_key(Function::new()))).await;
    let one = track(0).to_string();
    let (key, signed) = (basic(WRITE_KEY), signature(SIGNING_SECRET, &one));
    let with_key = [("authorization", key.as_str())];
    let with_signature = [("x-signature", signed.as_str())];
    assert_eq!(sidecar.post("/v1/track", &with_key, one.clone()).await.status, 200);
    assert_eq!(sidecar.post("/", &with_signature, one.clone()).await.status, 200);

    let none: [(&str, &str); 0] = [];
    for (gone, reason, path, headers, entry) in [
        (SecretUse::WriteKey, Reason::WriteKeyNotFound, "/v1/track", with_key, ("writeKey", WRITE_KEY)),
        (SecretUse::Signature, Reason::SignatureNotFound, "/", with_signature, ("secret", SIGNING_SECRET)),
    ] {
        sidecar.publish(gone, &none);
        // The other Secret still lets events in, so the condition is True.
        let reported = sidecar
            .wait_condition(ConditionType::IngestConfigured, ConditionStatus::True, reason, DEFAULT_TIMEOUT)
            .await;
        assert!(
            reported.message.contains("are accepted") && reported.message.contains("create it"),
            "{}",
            reported.message
        );
        assert_unavailable(&sidecar.post(path, &headers, one.clone()).await, reason);
        // Without the Secret, wrong credentials can't be recognized either.
        assert_unavailable(&sidecar.post(path, &[], one.clone()).await, reason);

        sidecar.publish(gone, &[("other", "x")]);
        until("the missing key is reported", DEFAULT_TIMEOUT, async || {
            let reported = sidecar.condition(ConditionType::IngestConfigured).await;
            reported.message.contains("add it").then_some(())
        })
        .await;

        let (other, headers_of_other) = match gone {
            SecretUse::WriteKey => ("/", with_signature),
            _ => ("/v1/track", with_key),
        };
        assert_eq!(sidecar.post(other, &headers_of_other, one.clone()).await.status, 200);

        sidecar.publish(gone, &[entry]);
        sidecar
            .wait_condition(ConditionType::IngestConfigured, ConditionStatus::True, Reason::Ok, DEFAULT_TIMEOUT)
            .await;
        assert_eq!(sidecar.post(path, &headers, one.clone()).await.status, 200);
        assert_unauthorized(&sidecar.post(path, &[], one.clone()).await);
    }
    sidecar.publish(SecretUse::WriteKey, &none);
    sidecar.publish(SecretUse::Signature, &none);
    let (r#type, reason) = (ConditionType::IngestConfigured, Reason::WriteKeyNotFound);
    sidecar.wait_condition(r#type, ConditionStatus::False, reason, DEFAULT_TIMEOUT).await;
    assert_unavailable(&sidecar.post("/v1/track", &with_key, one.clone()).await, reason);
    assert_unavailable(&sidecar.post("/", &with_signature, one).await, reason);
}

/// Rotates a Secret's value under load: both values are valid for a while, clients switch to the new one, and the old
/// one is removed. Asserts that no request with a valid value is refused, and that the old value is refused afterwards.
async fn assert_rotates_under_load(
    function: Function,
    (r#use, key): (SecretUse, &'static str),
    (old, new): (&'static str, &'static str),
    path: &'static str,
    show: fn(&str, &str) -> (&'static str, String),
) {
    let function = function
        .with("delivery", json!({"mode": "Batch", "batch": {"maxAge": "100ms"}}))
        // After a pause of a busy machine, all requests that were due are sent at once, each on a connection of its own.
        .with("ingest.maxConnections", json!(4_096));
    let (aws, sidecar) = start_ready(function).await;
    let shown = Arc::new(Mutex::new(old));
    let current = Arc::clone(&shown);
    let headers = move |body: &str| vec![show(*current.lock().expect("no panic"), body)];
    let traffic = Traffic::start_with(&sidecar, Duration::from_millis(2), path, headers);
    tokio::time::sleep(SECRET_RELOAD_TIME / 2).await;

    sidecar.publish(r#use, &[(key, format!("{old}\n{new}"))]);
    tokio::time::sleep(SECRET_RELOAD_TIME).await;
    *shown.lock().expect("no panic") = new;
    tokio::time::sleep(SECRET_RELOAD_TIME / 2).await;
    sidecar.publish(r#use, &[(key, format!("{new}\n"))]);
    tokio::time::sleep(SECRET_RELOAD_TIME).await;

    let outcomes = traffic.finish().await;
    assert!(outcomes.len() > 4_000, "only {} events were sent", outcomes.len());
    let refused: Vec<_> = outcomes.iter().filter(|outcome| outcome.status != Some(200)).collect();
    assert!(refused.is_empty(), "{} of {} were refused: {:?}", refused.len(), outcomes.len(), refused[0]);
    let lines = ndjson_events(&aws.objects());
    let ids: BTreeSet<_> = lines.iter().filter_map(|line| line["messageId"].as_str()).collect();
    assert!(acknowledged(&outcomes).iter().all(|id| ids.contains(id.as_str())), "an event is lost");
    let body = track(0).to_string();
    let (name, value) = show(old, &body);
    assert_unauthorized(&sidecar.post(path, &[(name, value.as_str())], body).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotating_a_write_key_under_load_refuses_no_valid_key() {
    let show = |key: &str, _: &str| ("authorization", basic(key));
    let function = with_write_key(Function::new());
    assert_rotates_under_load(function, (SecretUse::WriteKey, "writeKey"), (WRITE_KEY, "wk-new"), "/v1/track", show)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotating_a_signing_secret_under_load_refuses_no_valid_signature() {
    let show = |secret: &str, body: &str| ("x-signature", signature(secret, body));
    let function = with_signature(Function::new());
    assert_rotates_under_load(function, (SecretUse::Signature, "secret"), (SIGNING_SECRET, "the next one"), "/", show)
        .await;
}

#[tokio::test]
async fn with_cors_an_allowed_origin_may_read_every_answer() {
    const ALLOWED_ORIGIN: &str = "https://shop.example.com";
    let function = with_write_key(Function::new()).with("ingest.cors", json!({"allowedOrigins": [ALLOWED_ORIGIN]}));
    let (_aws, sidecar) = start_ready(function).await;
    let preflight = [
        ("origin", ALLOWED_ORIGIN),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    // A preflight is answered without a key: browsers send none with it.
    let answer = sidecar.request(Method::OPTIONS, "/v1/t", &preflight, "").await.expect("an answer");
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-origin"], ALLOWED_ORIGIN);
    assert_eq!(answer.headers["access-control-allow-methods"], "POST");
    assert_eq!(answer.headers["access-control-allow-headers"], "authorization,content-type");
    assert_eq!(answer.headers["vary"], "origin");

    let key = basic(WRITE_KEY);
    let text = ("content-type", "text/plain");
    for (path, key, body, status) in [
        ("/v1/t", key.as_str(), track(0).to_string(), 200),
        ("/v1/t", "Basic x", track(0).to_string(), 401),
        ("/v1/t", key.as_str(), "{".to_owned(), 400),
        ("/nowhere", key.as_str(), String::new(), 404),
    ] {
        let answer = sidecar.post(path, &[("origin", ALLOWED_ORIGIN), ("authorization", key), text], body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.headers["access-control-allow-origin"], ALLOWED_ORIGIN, "{path} {status}");
    }

    let other = [("origin", "https://evil.example"), preflight[1], preflight[2]];
    let answer = sidecar.request(Method::OPTIONS, "/v1/t", &other, "").await.expect("an answer");
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    assert_eq!(answer.headers["vary"], "origin");
}

#[tokio::test]
async fn without_cors_no_origin_is_allowed() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    let answer =
        sidecar.request(Method::OPTIONS, "/v1/t", &[("origin", "https://a.example")], "").await.expect("an answer");
    assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"));
    let answer = sidecar.post("/v1/t", &[("origin", "https://a.example")], track(0).to_string()).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}
