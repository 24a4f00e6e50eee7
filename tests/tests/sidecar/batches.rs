//! Tests Batch mode: events that were answered 200 are in S3, in objects of many events with the documented keys and
//! formats.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};
use tributary_crds::memory::MemoryNeed;
use tributary_local_aws::{Action, Fault, StoredObject};
use tributary_tests::aws::{error, latency, puts};
use tributary_tests::event::{batch, message_id, track, type_name};
use tributary_tests::http::Answer;
use tributary_tests::stored::{decompressed, ndjson_events};
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::{Function, Ports, World, start_ready};

/// Client libraries give up after 10 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(9);

/// A function in Batch mode with these settings.
fn batch_function(batch: &Value) -> Function {
    Function::new().with("delivery", json!({"mode": "Batch", "batch": batch}))
}

fn message_ids(objects: &[StoredObject]) -> Vec<String> {
    ndjson_events(objects).iter().map(|line| line["messageId"].as_str().expect("a messageId").to_owned()).collect()
}

/// Asserts that the objects contain these events and no others, each once, and that no object was written twice.
fn assert_stored_once_each(objects: &[StoredObject], events: std::ops::Range<usize>) {
    let mut actual = message_ids(objects);
    actual.sort();
    assert_eq!(actual, events.map(message_id).collect::<Vec<_>>());
    assert!(objects.iter().all(|object| object.puts == 1), "an object was written over");
}

#[tokio::test]
async fn events_become_lines_of_one_object_per_type() {
    let (aws, sidecar) = start_ready(batch_function(&json!({}))).await;
    let mut events: Vec<_> = (0..4).map(track).collect();
    events[3] = json!({"type": "page", "userId": "u", "messageId": message_id(3)});
    let answer = sidecar.send("/v1/batch", &json!({"batch": events})).await;
    assert_eq!((answer.status, answer.text()), (200, "{\"success\":true}\n".to_owned()));
    let objects = aws.objects();
    assert_stored_once_each(&objects, 0..4);
    assert_eq!(objects.len(), 2, "one object of track events and one of the page event");
    let now = jiff::Timestamp::now();
    for object in &objects {
        let (partition, file) = object.key.rsplit_once('/').expect("folders");
        let event_type = ndjson_events(std::slice::from_ref(object))[0]["type"].as_str().expect("a type").to_owned();
        let [folder, date, hour] = partition.split('/').collect::<Vec<_>>()[..] else { panic!("{partition}") };
        assert_eq!(folder, format!("type={event_type}"));
        assert!(date.starts_with("dt=20") && hour.starts_with("hour="), "{partition}");
        let (millis, id) = file.strip_suffix(".ndjson.gz").and_then(|file| file.split_once('-')).expect("millis-id");
        let sealed = jiff::Timestamp::from_millisecond(millis.parse().expect("millis")).expect("a time");
        assert!(now.duration_since(sealed).as_secs().abs() < 60, "{sealed}");
        assert_eq!(id.len(), 32);
        assert_eq!(object.content_type.as_deref(), Some("application/x-ndjson"));
    }
}

#[tokio::test]
async fn objects_are_compressed_according_to_their_extension() {
    for (compression, extension) in [("gzip", ".ndjson.gz"), ("zstd", ".ndjson.zst"), ("none", ".ndjson")] {
        let (aws, sidecar) = start_ready(batch_function(&json!({"compression": compression}))).await;
        // White space between tokens may contain line breaks, which an event in an object must not.
        let pretty = format!("{:#}", batch(0..100));
        let answer = sidecar.request(hyper::Method::POST, "/v1/batch", &[], pretty).await.expect("an answer");
        assert_eq!(answer.status, 200);
        let objects = aws.objects();
        assert_stored_once_each(&objects, 0..100);
        assert!(objects[0].key.ends_with(extension), "{}", objects[0].key);
        let large = decompressed(&objects[0]).len();
        assert!(compression == "none" || objects[0].body.len() * 4 < large, "{} of {large}", objects[0].body.len());
    }
}

#[tokio::test]
async fn a_key_template_without_type_has_one_batch_for_all_types() {
    let function = batch_function(&json!({"compression": "none"}))
        .with("delivery.key", json!("all/{yyyy}/{millis}-{batchId}.json"));
    let (aws, sidecar) = start_ready(function.with("s3.prefix", json!("in/"))).await;
    let page = json!({"type": "page", "userId": "u", "messageId": message_id(1)});
    assert_eq!(sidecar.send("/v1/batch", &json!({"batch": [track(0), page]})).await.status, 200);
    let objects = aws.objects();
    assert_eq!(objects.len(), 1);
    assert!(objects[0].key.starts_with("in/all/20"), "{}", objects[0].key);
    assert_stored_once_each(&objects, 0..2);
}

#[tokio::test]
async fn a_batch_is_sealed_by_events_bytes_or_age() {
    let (aws, sidecar) = start_ready(batch_function(&json!({"maxEvents": 10, "maxAge": "5s"}))).await;
    let start = Instant::now();
    // Full batches are sealed immediately.
    assert_eq!(sidecar.send("/v1/batch", &batch(0..40)).await.status, 200);
    assert!(start.elapsed() < Duration::from_secs(3), "full batches waited {:?}", start.elapsed());
    assert_stored_once_each(&aws.objects(), 0..40);
    assert!(aws.objects().iter().all(|object| ndjson_events(std::slice::from_ref(object)).len() == 10));
    // Shortly after them, the next batch is sealed when it reaches its maximum age.
    let start = Instant::now();
    assert_eq!(sidecar.send("/v1/batch", &batch(40..41)).await.status, 200);
    assert!(start.elapsed() > Duration::from_secs(3), "it was sealed after {:?}", start.elapsed());

    let (aws, sidecar) = start_ready(batch_function(&json!({"maxBytes": "64Ki", "compression": "none"}))).await;
    assert_eq!(sidecar.send("/v1/batch", &batch(0..1_000)).await.status, 200);
    assert_stored_once_each(&aws.objects(), 0..1_000);
    let sizes: Vec<_> = aws.objects().iter().map(|object| object.body.len()).collect();
    assert!(sizes.len() > 4 && sizes.iter().all(|size| *size <= 64 << 10), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_event_is_stored_immediately_and_a_stream_becomes_at_most_one_object_per_max_age() {
    let (aws, sidecar) = start_ready(batch_function(&json!({"maxAge": "1s"}))).await;
    let start = Instant::now();
    assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
    assert!(start.elapsed() < Duration::from_millis(500), "a lone event waited {:?}", start.elapsed());

    tokio::time::sleep(Duration::from_secs(1)).await;
    let (start, before) = (Instant::now(), aws.objects().len());
    let ports: &Ports = &sidecar;
    let sends = (1..=400).map(async |i: usize| {
        tokio::time::sleep(Duration::from_millis(10) * u32::try_from(i).expect("few")).await;
        assert_eq!(ports.send("/v1/track", &track(i)).await.status, 200);
    });
    join_all(sends).await;
    let (elapsed, objects) = (start.elapsed().as_secs_f64(), aws.objects().len() - before);
    assert!((objects as f64) <= elapsed + 1.0, "{objects} objects in {elapsed} s");
    assert_stored_once_each(&aws.objects(), 0..401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_beyond_the_limit_of_open_batches_share_one() {
    let (aws, sidecar) = start_ready(batch_function(&json!({"maxAge": "5s"}))).await;
    let ports: &Ports = &sidecar;
    let events: Vec<_> =
        (0..100).map(|i| json!({"type": type_name(i), "userId": "u", "messageId": message_id(i)})).collect();
    let answers = join_all(events.iter().map(|event| ports.send("/", event))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_stored_once_each(&aws.objects(), 0..100);
    // 64 types have their own batches; the others share batches of mixed types.
    let objects = aws.objects();
    let mixed = objects.iter().filter(|object| object.key.starts_with("type=other/")).count();
    assert!((1..=2).contains(&mixed) && objects.len() == 64 + mixed, "{} objects, {mixed} mixed", objects.len());
}

/// Sends `events` events of `types` types, one per 2.5 ms, with a `maxAge` of 1 s. Returns the number of objects, and
/// how long sending took.
async fn count_objects_of_types(types: usize, events: usize) -> (usize, Duration) {
    let (aws, sidecar) = start_ready(batch_function(&json!({"maxAge": "1s"}))).await;
    let (ports, begun): (&Ports, _) = (&sidecar, Instant::now());
    let sends = (0..events).map(async |i| {
        tokio::time::sleep(Duration::from_micros(2_500) * u32::try_from(i).expect("few")).await;
        let event = json!({"type": type_name(i % types), "userId": "u", "messageId": message_id(i)});
        assert_eq!(ports.send("/", &event).await.status, 200);
    });
    join_all(sends).await;
    let elapsed = begun.elapsed();
    assert_stored_once_each(&aws.objects(), 0..events);
    let sealed = sidecar.metric("batch_bytes_count").await;
    assert!((sealed - aws.objects().len() as f64).abs() < 0.5, "{sealed} batches in the metrics");
    assert!(sidecar.metric("batch_age_seconds_sum").await > 0.0);
    (aws.objects().len(), elapsed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_one_object_per_type_and_max_age_for_any_number_of_types() {
    let events = 1_600;
    for (types, own) in [(7, 7), (9, 9), (64, 64), (90, 65)] {
        let (objects, elapsed) = count_objects_of_types(types, events).await;
        // One batch per begun second, and one more that the last event opens.
        let most = own * (2 + usize::try_from(elapsed.as_secs()).expect("seconds"));
        println!("{types} types: {objects} objects of {events} events, at most {most}");
        assert!(most * 2 < events, "it took {elapsed:?}, which allows for an object per event");
        assert!(objects <= most, "{objects} objects of {types} types, over {most}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_batch_creates_one_object() {
    let (aws, sidecar) = start_ready(batch_function(&json!({"maxEvents": 20}))).await;
    // Two of five answers are lost after S3 has stored the object.
    let lost = Fault { probability: Some(0.4), ..puts(Action::StoreThenDrop) };
    aws.faults([lost, Fault { probability: Some(0.2), ..puts(error("SlowDown")) }]);
    let ports: &Ports = &sidecar;
    let answers = join_all((0..30).map(async |i| ports.send("/v1/batch", &batch(i * 20..i * 20 + 20)).await)).await;
    let failed: Vec<_> = answers.iter().filter(|answer| answer.status != 200).map(Answer::text).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_stored_once_each(&aws.objects(), 0..600);
    assert_eq!(aws.objects().len(), 30);
}

#[tokio::test]
async fn a_412_for_a_new_batch_key_is_an_error_and_not_a_success() {
    let (aws, sidecar) = start_ready(batch_function(&json!({}))).await;
    aws.faults([puts(error("PreconditionFailed"))]);
    let answer = sidecar.send("/v1/batch", &batch(0..3)).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "S3Error"), "{}", answer.text());
    assert!(answer.hides_owner_details(), "{}", answer.text());
    let reported = sidecar.condition(ConditionType::BucketWritable).await;
    assert!(reported.message.contains("conditionalWrites"), "{}", reported.message);
    assert!(answer.has_valid_retry_after());
    aws.faults([]);
    until("it is stored", DEFAULT_TIMEOUT, async || {
        (sidecar.send("/v1/batch", &batch(0..3)).await.status == 200).then_some(())
    })
    .await;
    assert_stored_once_each(&aws.objects(), 0..3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_bucket_is_reported_immediately_and_recovers_under_traffic() {
    let (aws, sidecar) = start_ready(batch_function(&json!({}))).await;
    aws.set(&World::new().without_bucket());
    let answer = sidecar.send("/v1/batch", &batch(0..3)).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "NoSuchBucket"), "{}", answer.text());
    sidecar
        .wait_condition(ConditionType::BucketWritable, ConditionStatus::False, Reason::NoSuchBucket, DEFAULT_TIMEOUT)
        .await;
    // Requests do not wait for a batch that would not be stored.
    let start = Instant::now();
    let answers = join_all((0..20).map(|i| {
        let ports: &Ports = &sidecar;
        async move { ports.send("/v1/track", &track(i)).await }
    }))
    .await;
    assert!(answers.iter().all(|answer| answer.status == 503 && answer.has_valid_retry_after()));
    assert!(start.elapsed() < Duration::from_secs(2), "they waited {:?}", start.elapsed());
    aws.set(&World::new());
    until("it is stored", DEFAULT_TIMEOUT, async || {
        (sidecar.send("/v1/track", &track(0)).await.status == 200).then_some(())
    })
    .await;
    sidecar.wait_condition(ConditionType::BucketWritable, ConditionStatus::True, Reason::Ok, DEFAULT_TIMEOUT).await;
    assert_stored_once_each(&aws.objects(), 0..1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_answered_within_nine_seconds_while_s3_is_slow() {
    let (aws, sidecar) = start_ready(batch_function(&json!({"maxAge": "5s"}))).await;
    // The first batch is sealed soon; later ones wait for the uploads before them.
    assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
    aws.faults([puts(latency(Duration::from_secs(30)))]);
    let ports: &Ports = &sidecar;
    let answers = join_all((1..20).map(async |i: usize| {
        tokio::time::sleep(Duration::from_millis(100) * u32::try_from(i).expect("few")).await;
        let start = Instant::now();
        (ports.send("/v1/track", &track(i)).await, start.elapsed())
    }))
    .await;
    for (answer, elapsed) in answers {
        assert_eq!((answer.status, answer.code().as_str()), (503, "S3Unreachable"), "{}", answer.text());
        assert!(elapsed < ANSWER_TIMEOUT, "answered after {elapsed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_bounded_and_excess_requests_are_answered_with_retry_after() {
    let function = batch_function(&json!({"maxAge": "5s", "compression": "none", "maxBytes": "64Mi"}));
    let need = MemoryNeed::of(&function.config().spec).total();
    let (aws, sidecar) = start_ready(function).await;
    // Far more than the memory budget of 176 MiB.
    let filler = "x".repeat(30_000);
    let body = |i: usize| {
        let events = (0..30)
            .map(|event| json!({"type": "page", "userId": "u", "messageId": message_id(i * 30 + event), "a": filler}));
        json!({"batch": events.collect::<Vec<_>>()})
    };
    let ports: &Ports = &sidecar;
    let sends = join_all((0..300).map(async |i| (i, ports.try_send("/v1/batch", &body(i)).await.expect("an answer"))));
    let reserved = until("memory is reserved", DEFAULT_TIMEOUT, async || {
        let bytes = sidecar.metric("memory_reserved_bytes").await;
        (bytes > 0.0).then_some(bytes)
    });
    let (answers, reserved) = tokio::join!(sends, reserved);
    assert!(reserved <= sidecar.metric("memory_budget_bytes").await);
    let count = |status: u16| answers.iter().filter(|(_, answer)| answer.status == status).count();
    assert!(count(429) > 0 && count(200) > 0, "{} and {}", count(200), count(429));
    assert_eq!(count(429) + count(200) + count(503), 300);
    let peak = sidecar.peak_memory() as u64;
    assert!(peak < need, "the peak is {} MiB, over the limit of {}", peak >> 20, need >> 20);
    let stored: BTreeSet<_> = message_ids(&aws.objects()).into_iter().collect();
    for (i, answer) in &answers {
        assert!(answer.status == 200 || answer.has_valid_retry_after());
        assert!(answer.status != 200 || (i * 30..i * 30 + 30).all(|event| stored.contains(&message_id(event))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_answered_200_are_stored_when_the_sidecar_is_terminated_under_load() {
    for round in 0..20 {
        let (aws, mut sidecar) =
            start_ready(batch_function(&json!({"maxAge": if round % 2 == 0 { "1s" } else { "200ms" }}))).await;
        if round % 3 == 0 {
            aws.faults([puts(latency(Duration::from_millis(300)))]);
        }
        let ports: &Ports = &sidecar;
        let clients = (0..16).map(|client| {
            let ports = ports.clone();
            tokio::spawn(async move {
                let mut acknowledged = BTreeSet::new();
                for i in 0.. {
                    let first = (client * 1_000 + i) * 100;
                    match ports.try_send("/v1/batch", &batch(first..first + 100)).await {
                        Ok(answer) if answer.status == 200 => {
                            acknowledged.extend((first..first + 100).map(message_id));
                        }
                        // The sidecar has exited.
                        Err(_) => break,
                        Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                    }
                }
                acknowledged
            })
        });
        let clients: Vec<_> = clients.collect();
        tokio::time::sleep(Duration::from_millis(700 + 90 * round)).await;
        let start = Instant::now();
        sidecar.terminate();
        assert_eq!(sidecar.wait_exit(Duration::from_secs(15)).await.code(), Some(0));
        assert!(start.elapsed() < Duration::from_secs(5), "it took {:?} to end", start.elapsed());
        let mut acknowledged = BTreeSet::new();
        for client in clients {
            acknowledged.extend(client.await.expect("no panic"));
        }
        assert!(acknowledged.len() > 1_000, "{} events are no traffic", acknowledged.len());
        let stored: BTreeSet<_> = message_ids(&aws.objects()).into_iter().collect();
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "{} events are lost in round {round}: {lost:?}", lost.len());
    }
}
