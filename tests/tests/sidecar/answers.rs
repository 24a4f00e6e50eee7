//! Tests every answer that the API gives to clients, and the limits at which it changes.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};
use tributary_tests::aws::{latency, puts};
use tributary_tests::encode::{Encode, bare_deflate, gzip, zlib, zstd};
use tributary_tests::event::{batch, message_id, track};
use tributary_tests::http::Answer;
use tributary_tests::raw::RawConnection;
use tributary_tests::stored::assert_exactly;
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::world::BUCKET;
use tributary_tests::{Aws, Function, Setup, World, start_ready};

/// The limit of a body, as sent and decompressed.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Client libraries give up after 10 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(9);

fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text());
    assert_eq!(answer.json()["success"], false);
    assert!(!answer.message().is_empty());
    assert!(!answer.headers.contains_key("retry-after"), "a request that must not be retried has a Retry-After");
}

/// The body of a valid batch request with exactly this many bytes.
fn batch_of_bytes(bytes: usize) -> String {
    let event = track(1);
    let around = json!({"batch": [event], "filler": ""}).to_string().len();
    json!({"batch": [event], "filler": "x".repeat(bytes - around)}).to_string()
}

#[tokio::test]
async fn valid_events_are_answered_200_once_they_are_stored() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let answer = sidecar.send("/v1/batch", &batch(0..3)).await;
    assert_eq!((answer.status, answer.text()), (200, "{\"success\":true}\n".to_owned()));
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_exactly(&aws.objects(), &[message_id(0), message_id(1), message_id(2)]);
}

#[tokio::test]
async fn invalid_events_of_a_batch_are_listed_and_the_valid_ones_stored() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let without_user = json!({"type": "track", "event": "e"});
    let body = json!({"batch": [track(0), without_user, track(1), {"type": "nonsense", "userId": "u"}, 7]});
    let answer = sidecar.send("/v1/batch", &body).await;
    assert_eq!((answer.status, &answer.json()["success"]), (200, &json!(true)), "{}", answer.text());
    let rejected: Vec<_> = answer.json()["rejected"].as_array().expect("a list").clone();
    let actual: Vec<_> = rejected.iter().map(|entry| (entry["index"].clone(), entry["code"].clone())).collect();
    let expected = [(1, "no_user_anon_id"), (3, "invalid_type"), (4, "event_not_object")];
    assert_eq!(actual, expected.map(|(index, code)| (json!(index), json!(code))));
    assert!(rejected.iter().all(|entry| entry["message"].as_str().is_some_and(|message| !message.is_empty())));
    assert_exactly(&aws.objects(), &[message_id(0), message_id(1)]);
    assert_eq!(sidecar.metric("events_rejected_total{code=\"no_user_anon_id\"}").await, 1.0);
}

#[tokio::test]
async fn a_batch_without_a_valid_event_is_answered_400() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let body = json!({"batch": [{"type": "track", "userId": "u"}, {"type": "page"}]});
    let answer = sidecar.send("/v1/batch", &body).await;
    assert_refused(&answer, 400, "no_valid_events");
    let codes: Vec<_> =
        answer.json()["rejected"].as_array().expect("a list").iter().map(|e| e["code"].clone()).collect();
    assert_eq!(codes, ["event_not_defined", "no_user_anon_id"]);
    assert_eq!(aws.objects(), []);
}

#[tokio::test]
async fn invalid_requests_are_answered_400_with_a_specific_code() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let id = "x".repeat(101);
    let large = json!({"userId": "u", "event": "e", "properties": {"a": "x".repeat(32 << 10)}}).to_string();
    let many = json!({"batch": vec![json!({"type": "page", "userId": "u"}); 2_501]}).to_string();
    let cases: [(&str, String, &str); 15] = [
        ("/v1/track", "{".to_owned(), "invalid_json"),
        ("/v1/track", String::new(), "invalid_json"),
        ("/v1/track", "[]".to_owned(), "invalid_json"),
        ("/v1/track", r#"{"userId":"u"}"#.to_owned(), "event_not_defined"),
        ("/v1/track", r#"{"userId":"u","event":5}"#.to_owned(), "event_not_string"),
        ("/v1/track", r#"{"event":"e"}"#.to_owned(), "no_user_anon_id"),
        ("/v1/track", r#"{"userId":"u","event":"e","userId":"v"}"#.to_owned(), "duplicate_key"),
        ("/v1/track", json!({"userId": "u", "event": "e", "messageId": id}).to_string(), "message_id_too_long"),
        ("/v1/track", r#"{"userId":"u","event":"e","properties":[1]}"#.to_owned(), "properties_not_object"),
        ("/v1/track", large, "event_too_large"),
        ("/v1/identify", r#"{"userId":"u","traits":"t"}"#.to_owned(), "traits_not_object"),
        ("/v1/page", r#"{"userId":"u","context":7}"#.to_owned(), "context_not_object"),
        ("/v1/batch", "{}".to_owned(), "invalid_batch"),
        ("/v1/batch", r#"{"batch":[]}"#.to_owned(), "empty_batch"),
        ("/v1/batch", many, "too_many_events"),
    ];
    for (path, body, code) in cases {
        assert_refused(&sidecar.post(path, &[], body).await, 400, code);
        assert!(sidecar.metric(&format!("events_rejected_total{{code=\"{code}\"}}")).await >= 1.0, "{code}");
    }
    assert_eq!(aws.objects(), []);
}

#[tokio::test]
async fn max_event_bytes_limits_the_size_of_an_event() {
    let aws = Aws::start(&World::new()).await;
    let function = Function::new().with("ingest", json!({"maxEventBytes": "64Ki"}));
    let sidecar = Setup::new(&aws).function(function).start().await;
    sidecar.wait_ready().await;
    let of = |size: usize| json!({"userId": "u", "event": "e", "properties": {"a": "x".repeat(size)}});
    assert_eq!(sidecar.send("/v1/track", &of(60 << 10)).await.status, 200);
    assert_refused(&sidecar.send("/v1/track", &of(64 << 10)).await, 400, "event_too_large");
}

#[tokio::test]
async fn json_is_accepted_with_any_content_type() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    for (i, content_type) in ["application/json", "text/plain", "application/x-www-form-urlencoded"].iter().enumerate()
    {
        let answer = sidecar.post("/v1/track", &[("content-type", content_type)], track(i).to_string()).await;
        assert_eq!(answer.status, 200, "{content_type}");
    }
    assert_eq!(aws.objects().len(), 3);
}

#[tokio::test]
async fn encoded_bodies_are_decoded_and_wrongly_encoded_ones_refused() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let encodings: [(&str, Encode); 4] = [("gzip", gzip), ("deflate", zlib), ("deflate", bare_deflate), ("zstd", zstd)];
    for (i, (name, encode)) in encodings.into_iter().enumerate() {
        let encoded = [("content-encoding", name)];
        let body = encode(batch(i * 500..(i + 1) * 500).to_string().as_bytes());
        let answer = sidecar.post("/v1/batch", &encoded, body).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_exactly(&aws.objects(), &(0..(i + 1) * 500).map(message_id).collect::<Vec<_>>());
        let other = sidecar.post("/v1/track", &encoded, "userId=u").await;
        assert_refused(&other, 400, "invalid_content_encoding");
        let cut = encode(track(1).to_string().as_bytes());
        let cut = sidecar.post("/v1/track", &encoded, cut[..cut.len() - 6].to_vec()).await;
        assert_refused(&cut, 400, "invalid_content_encoding");
    }
    let answer = sidecar.post("/v1/track", &[("content-encoding", "br")], track(1).to_string()).await;
    assert_refused(&answer, 400, "unknown_content_encoding");
}

#[tokio::test]
async fn a_decompressed_body_is_limited_to_one_mebibyte() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    assert_eq!(sidecar.post("/v1/batch", &[], batch_of_bytes(MAX_BODY_BYTES)).await.status, 200);
    let encodings: [(&str, Encode); 3] = [("gzip", gzip), ("deflate", zlib), ("zstd", zstd)];
    for (name, encode) in encodings {
        let encoded = [("content-encoding", name)];
        assert_eq!(
            sidecar.post("/v1/batch", &encoded, encode(batch_of_bytes(MAX_BODY_BYTES).as_bytes())).await.status,
            200
        );
        let over = encode(batch_of_bytes(MAX_BODY_BYTES + 1).as_bytes());
        assert_refused(&sidecar.post("/v1/batch", &encoded, over).await, 400, "body_too_large");
        let bomb = encode(&vec![b' '; 100 << 20]);
        assert!(bomb.len() < MAX_BODY_BYTES);
        assert_refused(&sidecar.post("/v1/batch", &encoded, bomb).await, 400, "body_too_large");
    }
}

#[tokio::test]
async fn a_content_length_over_the_limit_is_refused_before_the_body_is_sent() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    let mut raw = RawConnection::connect(sidecar.events).await;
    raw.write(format!("POST /v1/batch HTTP/1.1\r\nHost: s\r\nContent-Length: {}\r\n\r\n", MAX_BODY_BYTES + 1)).await;
    assert_refused(&raw.answer().await, 400, "body_too_large");
}

#[tokio::test]
async fn a_client_that_sends_a_too_long_body_receives_the_answer() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    for extra in [1, 1 << 20, 8 << 20] {
        let answer = sidecar.post("/v1/batch", &[], vec![b' '; MAX_BODY_BYTES + extra]).await;
        assert_refused(&answer, 400, "body_too_large");
    }
}

#[tokio::test]
async fn a_chunked_body_is_limited_to_one_mebibyte() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let head = "POST /v1/batch HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut raw = RawConnection::connect(sidecar.events).await;
    raw.write(head).await;
    for piece in batch(0..20).to_string().as_bytes().chunks(100) {
        raw.write(format!("{:x}\r\n", piece.len())).await;
        raw.write(piece).await;
        raw.write("\r\n").await;
    }
    raw.write("0\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 200);
    assert_eq!(aws.objects().len(), 20);

    raw.write(head).await;
    let piece = [b' '; 64 << 10];
    for _ in 0..=MAX_BODY_BYTES / piece.len() {
        raw.try_write(format!("{:x}\r\n", piece.len())).await;
        raw.try_write(piece).await;
        raw.try_write("\r\n").await;
    }
    assert_refused(&raw.answer().await, 400, "body_too_large");
}

#[tokio::test]
async fn expect_100_continue_is_answered_before_the_body_is_sent() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let body = track(1).to_string();
    let mut raw = RawConnection::connect(sidecar.events).await;
    let length = body.len();
    raw.write(format!(
        "POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    ))
    .await;
    assert_eq!(raw.answer().await.status, 100);
    raw.write(body).await;
    assert_eq!(raw.answer().await.status, 200);
    assert_eq!(aws.objects().len(), 1);
}

#[tokio::test]
async fn pipelined_requests_on_one_connection_are_all_answered() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let mut raw = RawConnection::connect(sidecar.events).await;
    for i in 0..3 {
        let body = track(i).to_string();
        raw.write(format!("POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    }
    for _ in 0..3 {
        assert_eq!(raw.answer().await.status, 200);
    }
    assert_eq!(aws.objects().len(), 3);
}

#[tokio::test]
async fn unknown_paths_are_answered_404_and_other_methods_405() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    for path in ["/v1", "/v2/track", "/v1/tracks", "/metrics", "/status", "//v1/track", "/v1/track/x"] {
        let answer = sidecar.request(Method::GET, path, &[], "").await.unwrap();
        assert!([404, 405].contains(&answer.status), "{path}: {}", answer.status);
    }
    assert_refused(&sidecar.post("/v1/nothing", &[], track(1).to_string()).await, 404, "not_found");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = sidecar.request(method, "/v1/track", &[], "").await.unwrap();
        assert_refused(&answer, 405, "method_not_allowed");
        assert_eq!(answer.headers["allow"], "POST");
    }
    let hidden = sidecar.try_get_admin("/v1/track").await.unwrap();
    assert_eq!(hidden.status, 404, "the admin port accepts events");
}

#[tokio::test]
async fn no_request_is_redirected() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    for method in [Method::GET, Method::POST, Method::HEAD, Method::OPTIONS] {
        for path in ["/", "/v1", "/v1/", "/v1/track", "/v1/track/", "//v1//track", "/v1/../v1/track", "/V1/Track"] {
            let body = if method == Method::POST { track(1).to_string() } else { String::new() };
            let answer = sidecar.request(method.clone(), path, &[], body).await.unwrap();
            assert!(!(300..400).contains(&answer.status), "{method} {path}: {}", answer.status);
            assert!(!answer.headers.contains_key("location"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_body_not_complete_within_30_s_is_answered_408_even_above_the_minimum_rate() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let mut slow = RawConnection::connect(sidecar.events).await;
    let start = Instant::now();
    slow.write("POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: 100000\r\n\r\n{\"event\":").await;
    // Twice as fast as the minimum rate, but too much data for 30 s at that rate.
    for _ in 0..29 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        slow.write([b' '; 1000]).await;
    }
    assert_refused(&slow.answer().await, 408, "body_too_slow");
    let elapsed = start.elapsed();
    assert!((Duration::from_secs(30)..Duration::from_secs(40)).contains(&elapsed), "{elapsed:?}");
    assert_eq!(aws.objects(), []);
}

#[tokio::test]
async fn a_body_that_stalls_or_trickles_is_answered_408_within_20_s() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let head = "POST /v1/batch HTTP/1.1\r\nHost: s\r\nContent-Length: 1000000\r\n\r\n";
    // Only the current rate counts, however much was sent before.
    let stalled = [10, 1_000, 100_000].map(async |sent: usize| {
        let mut raw = RawConnection::connect(sidecar.events).await;
        let start = Instant::now();
        raw.write(head).await;
        raw.write(vec![b' '; sent]).await;
        (raw.answer().await, start.elapsed())
    });
    let trickled = async {
        let mut raw = RawConnection::connect(sidecar.events).await;
        let start = Instant::now();
        raw.write(head).await;
        let mut answer = std::pin::pin!(tokio::time::sleep(Duration::from_secs(13)));
        // 100 bytes per second.
        loop {
            tokio::select! {
                () = &mut answer => break,
                () = tokio::time::sleep(Duration::from_millis(100)) => drop(raw.try_write([b' '; 10]).await),
            }
        }
        let answer = raw.answer().await;
        (answer, start.elapsed())
    };
    let (mut actual, last) = futures_util::future::join(futures_util::future::join_all(stalled), trickled).await;
    actual.push(last);
    for (answer, elapsed) in actual {
        assert_refused(&answer, 408, "body_too_slow");
        assert!((Duration::from_secs(5)..Duration::from_secs(20)).contains(&elapsed), "{elapsed:?}");
    }
    assert_eq!(aws.objects(), []);
}

#[tokio::test]
async fn a_body_sent_over_five_seconds_is_accepted() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let body = track(1).to_string();
    let mut slow = RawConnection::connect(sidecar.events).await;
    slow.write(format!("POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {}\r\n\r\n", body.len())).await;
    for piece in body.as_bytes().chunks(body.len() / 5 + 1) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        slow.write(piece).await;
    }
    assert_eq!(slow.answer().await.status, 200);
    assert_eq!(aws.objects().len(), 1);
}

#[tokio::test]
async fn bodies_over_the_memory_budget_are_answered_429_until_memory_is_free() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let mut waiting = Vec::new();
    let full = until("there is no memory left", DEFAULT_TIMEOUT, async || {
        // All but one byte of a mebibyte, and never the rest.
        let mut raw = RawConnection::connect(sidecar.events).await;
        raw.write(format!("POST /v1/batch HTTP/1.1\r\nHost: s\r\nContent-Length: {MAX_BODY_BYTES}\r\n\r\n")).await;
        raw.try_write(vec![b' '; MAX_BODY_BYTES - 1]).await;
        waiting.push(raw);
        let answer = sidecar.post("/v1/batch", &[], batch_of_bytes(MAX_BODY_BYTES)).await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert!(waiting.len() > 20, "{} bodies were too many", waiting.len());
    assert_eq!(full.code(), "over_capacity");
    assert!(full.has_valid_retry_after());
    drop(waiting);
    until("others are done", DEFAULT_TIMEOUT, async || {
        (sidecar.send("/v1/track", &track(1)).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(aws.objects().len(), 1);
}

#[tokio::test]
async fn events_that_cannot_be_stored_are_answered_503_with_the_conditions_reason() {
    let aws = Aws::start(&World::new().without_bucket()).await;
    let sidecar = Setup::new(&aws).start().await;
    let condition = sidecar
        .wait_condition(ConditionType::BucketWritable, ConditionStatus::False, Reason::NoSuchBucket, DEFAULT_TIMEOUT)
        .await;
    assert!(condition.message.contains(BUCKET), "{}", condition.message);
    for body in [track(1), track(2)] {
        let answer = sidecar.send("/v1/track", &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "NoSuchBucket"));
        assert!(answer.hides_owner_details(), "{}", answer.text());
        assert!(answer.has_valid_retry_after());
    }
    // A batch with a valid event that can't be stored is answered 503, whatever else it contains.
    let mixed = json!({"batch": [track(3), {"type": "page"}]});
    assert_eq!(sidecar.send("/v1/batch", &mixed).await.status, 503);
    // An invalid event is still answered 400: it must not be sent again.
    assert_refused(&sidecar.send("/v1/track", &json!({"event": "e"})).await, 400, "no_user_anon_id");
}

#[tokio::test]
async fn every_request_is_answered_within_nine_seconds_while_s3_hangs() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    aws.faults([puts(latency(Duration::from_secs(60)))]);
    let bodies: [(&str, Value); 3] = [("/v1/track", track(1)), ("/v1/batch", batch(2..600)), ("/v1/track", track(601))];
    let requests = bodies.iter().map(async |(path, body)| {
        let start = Instant::now();
        let answer = sidecar.send(path, body).await;
        (answer, start.elapsed())
    });
    for (answer, elapsed) in futures_util::future::join_all(requests).await {
        assert_eq!(answer.status, 503);
        assert!(answer.has_valid_retry_after());
        assert!(elapsed < ANSWER_TIMEOUT, "{elapsed:?}");
    }
}
