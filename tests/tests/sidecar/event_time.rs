//! Tests keys by event time: events are in the partition of their own time, within bounds on times and partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tributary_local_aws::StoredObject;
use tributary_tests::event::message_id;
use tributary_tests::stored::ndjson_events;
use tributary_tests::{Function, Ports, start_ready};

/// A partition of the keys below, without its type.
const NULL: &str = "dt=__HIVE_DEFAULT_PARTITION__/hour=__HIVE_DEFAULT_PARTITION__";

/// A function in Batch mode with these settings, and with keys by event time.
fn by_event_time(batch: &Value) -> Function {
    let key = "type={type}/dt={timestamp:yyyy-MM-dd}/hour={timestamp:HH}/{millis}-{batchId}.ndjson.gz";
    Function::new().with("delivery", json!({"mode": "Batch", "key": key, "batch": batch}))
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// The partition of an event that occurred at this time.
fn partition(time: Timestamp) -> String {
    time.strftime("dt=%Y-%m-%d/hour=%H").to_string()
}

/// A track event that occurred at `time`.
fn event_at(id: usize, time: Timestamp) -> Value {
    json!({"type": "track", "event": "e", "userId": "u", "messageId": message_id(id), "timestamp": time.to_string()})
}

/// The partition of each stored event, by its `messageId`. Asserts that the partition is that of its stored timestamp, or
/// [`NULL`].
fn partitions(objects: &[StoredObject]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for object in objects {
        let (folders, _) = object.key.rsplit_once('/').expect("folders");
        let (event_type, folders) = folders.split_once('/').expect("folders");
        for event in ndjson_events(std::slice::from_ref(object)) {
            assert_eq!(event_type, format!("type={}", event["type"].as_str().expect("a type")));
            let time = event["timestamp"].as_str().expect("a timestamp").parse().expect("a time");
            assert!(folders == NULL || folders == partition(time), "{time} is in {folders}");
            let id = event["messageId"].as_str().expect("a messageId").to_owned();
            assert_eq!(found.insert(id, folders.to_owned()), None, "an event is stored twice");
        }
    }
    found
}

#[tokio::test]
async fn events_are_stored_in_the_partition_of_their_own_time() {
    let (aws, sidecar) = start_ready(by_event_time(&json!({}))).await;
    let now = Timestamp::now();
    let with = |id, time, field: &str, value: Value| {
        let mut event = event_at(id, time);
        event[field] = value;
        event
    };
    // The events, and whether they are in the partition without a time.
    let events = [
        (event_at(0, now), false),
        (event_at(1, now - hours(3)), false),
        (event_at(2, now - hours(6 * 24)), false),
        (event_at(3, now - hours(7 * 24 + 1)), true),
        (event_at(4, "1970-01-01T00:00:00Z".parse().expect("a time")), true),
        (event_at(5, now + SignedDuration::from_mins(55)), false),
        (event_at(6, now + hours(2)), true),
        // The time of receipt stands for one that can't be read, or is absent.
        (with(7, now, "timestamp", json!("never")), false),
        (with(8, now, "timestamp", json!(null)), false),
        // The client's clock is wrong by a year: its `sentAt` shows it.
        (with(9, now - hours(366 * 24 + 2), "sentAt", json!((now - hours(366 * 24)).to_string())), false),
    ];
    let sent: Vec<_> = events.iter().map(|(event, _)| event).collect();
    assert_eq!(sidecar.send("/v1/batch", &json!({"batch": sent})).await.status, 200);
    let stored = partitions(&aws.objects());
    assert_eq!(stored.len(), events.len());
    for (id, (event, is_null)) in events.iter().enumerate() {
        let folders = &stored[&message_id(id)];
        assert_eq!(folders == NULL, *is_null, "{event} is in {folders}");
    }
    let near = partition(now - hours(2));
    assert!([near, partition(Timestamp::now() - hours(2))].contains(&stored[&message_id(9)]), "the clock is corrected");
    for (reason, count) in [("late", 2.0), ("early", 1.0), ("limit", 0.0)] {
        let series = format!("events_unpartitioned_total{{reason=\"{reason}\"}}");
        assert_eq!(sidecar.metric(&series).await, count, "{reason}");
    }
}

#[tokio::test]
async fn a_key_may_have_only_some_fields_and_both_times() {
    let key = "{timestamp:yyyy}/{timestamp:MM}/{yyyy-MM-dd}/{batchId}.ndjson.gz";
    let (aws, sidecar) =
        start_ready(by_event_time(&json!({"maxEventAge": "9999d"})).with("delivery.key", json!(key))).await;
    let (one, two) = ("2020-02-03T04:05:06Z", "2020-02-29T23:59:59Z");
    let events = [one, two, "2020-03-01T00:00:00Z"].map(|time| event_at(0, time.parse().expect("a time")));
    assert_eq!(sidecar.send("/v1/batch", &json!({"batch": events})).await.status, 200);
    let today = Timestamp::now().strftime("%Y-%m-").to_string();
    let mut keys: Vec<_> = aws.objects().into_iter().map(|object| object.key).collect();
    keys.sort();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(keys[0].starts_with(&format!("2020/02/{today}")) && keys[1].starts_with("2020/03/"), "{keys:?}");
}

#[tokio::test]
async fn events_beyond_the_limit_of_partitions_share_one_and_current_events_keep_theirs() {
    let (aws, sidecar) = start_ready(by_event_time(&json!({"maxPartitions": 3, "maxAge": "5s"}))).await;
    let now = Timestamp::now();
    let old = (0..10).map(|id| event_at(id, now - hours(3 + i64::try_from(id).expect("few"))));
    let sent: Vec<_> = old.chain([event_at(10, now)]).collect();
    assert_eq!(sidecar.send("/v1/batch", &json!({"batch": sent})).await.status, 200);
    let stored = partitions(&aws.objects());
    let without: Vec<_> = (0..=10).filter(|id| stored[&message_id(*id)] == NULL).collect();
    assert_eq!(without, (3..10).collect::<Vec<_>>());
    assert_eq!(aws.objects().len(), 5, "three hours, the current one, and no hour");
    assert_eq!(sidecar.metric("events_unpartitioned_total{reason=\"limit\"}").await, 7.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_one_object_per_partition_and_max_age() {
    let (aws, sidecar) = start_ready(by_event_time(&json!({"maxAge": "1s", "maxPartitions": 8}))).await;
    let (ports, begun, now): (&Ports, _, _) = (&sidecar, Instant::now(), Timestamp::now());
    let sends = (0..1_200_usize).map(async |i| {
        tokio::time::sleep(Duration::from_micros(2_500) * u32::try_from(i).expect("few")).await;
        let mut event = event_at(i, now - hours(i64::try_from(i % 15).expect("few")));
        event["type"] = json!(if i % 2 == 0 { "track" } else { "page" });
        assert_eq!(ports.send("/", &event).await.status, 200);
    });
    join_all(sends).await;
    let elapsed = usize::try_from(begun.elapsed().as_secs()).expect("seconds");
    assert_eq!(partitions(&aws.objects()).len(), 1_200);
    let mut objects: BTreeMap<String, usize> = BTreeMap::new();
    for object in aws.objects() {
        *objects.entry(object.key.rsplit_once('/').expect("folders").0.to_owned()).or_default() += 1;
    }
    // One batch per begun second, and one more that the last event opens.
    let over: Vec<_> = objects.iter().filter(|(_, count)| **count > elapsed + 2).collect();
    assert!(over.is_empty(), "in {elapsed} s: {over:?}");
    let dated: BTreeSet<_> = objects.keys().filter(|folders| !folders.ends_with(NULL)).collect();
    assert!((8..=8 + 2 * 3).contains(&dated.len()), "{dated:?}");
}
