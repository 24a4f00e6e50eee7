//! Tests that the examples of `docs/reading.md` read what the built sidecar stores: every event, each once.
//!
//! `tests/run clients` installs DuckDB, polars, pyarrow and pandas in the target folder and runs this.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};
use tributary_local_aws::StoredObject;
use tributary_tests::installed::installed;
use tributary_tests::{Aws, Function, SidecarProcess, start_ready};

/// What the page's examples select: the track events of 2026-01-01, hours 8 to 10, without duplicates.
const SELECTED: [&str; 5] = ["0001", "first", "later", "pretty", "text"];

/// What an example has read.
#[derive(Debug, Deserialize, PartialEq)]
struct Read {
    reader: String,
    ids: Vec<String>,
}

fn track(id: &str, time: &str, properties: &Value) -> Value {
    json!({"type": "track", "event": "Order Completed", "userId": "0042", "messageId": id, "timestamp": time,
           "properties": properties})
}

/// Sends events that readers have trouble with, in several objects: an ID of digits, members that only later objects
/// have, members whose type changes within an object and between objects, a number that no machine type can represent,
/// line breaks, duplicates, and times and types that are not selected.
async fn send(sidecar: &SidecarProcess) {
    let page = json!({"type": "page", "userId": "u", "messageId": "page", "timestamp": "2026-01-01T08:00:00Z"});
    let requests = [
        json!({"batch": [
            track("0001", "2026-01-01T08:00:00Z", &Value::Null),
            track("first", "2026-01-01T08:59:59.999Z", &json!({"sku": 1})),
            track("before", "2026-01-01T07:59:59.999Z", &json!({})),
            track("after", "2026-01-01T11:00:00Z", &json!({})),
            track("the-day-before", "2025-12-31T09:00:00Z", &json!({})),
            // Older than 9999 days.
            track("without-partition", "1995-01-01T09:00:00Z", &json!({})),
            page,
        ]}),
        json!({"batch": [
            track("later", "2026-01-01T10:59:00Z", &json!({"sku": "a", "new": true})),
            track("text", "2026-01-01T10:30:00Z", &json!({"sku": ["a"], "new": {"a": 1}})),
        ]}),
        json!({"batch": [track("first", "2026-01-01T08:59:59.999Z", &json!({"sku": 1}))]}),
    ];
    for request in requests {
        assert_eq!(sidecar.send("/v1/batch", &request).await.status, 200);
    }
    let pretty = format!("{:#}", track("pretty", "2026-01-01T09:15:00Z", &json!({"sku": {"deep": [1, 2]}, "n": 0})));
    let pretty = pretty.replace("\"n\": 0", "\"n\": 123456789012345678901234567890");
    let answer = sidecar.request(hyper::Method::POST, "/v1/track", &[], pretty).await.expect("an answer");
    assert_eq!(answer.status, 200);
    // In Batch mode, an object of over 1 MiB before compression: several gzip members or zstd frames.
    let large = track("first", "2026-01-01T08:59:59.999Z", &json!({"sku": 1, "filler": "f".repeat(25_000)}));
    assert_eq!(sidecar.send("/", &json!(vec![large; 50])).await.status, 200);
}

/// Writes the objects as files, as a copy of the bucket would.
fn copy(objects: &[StoredObject], bucket: &Path) {
    for object in objects {
        let file = bucket.join(&object.key);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a new folder");
        std::fs::write(file, &object.body).expect("a new file");
    }
}

/// Runs the page's examples.
fn read(folder: &Path, extension: &str) -> Vec<Read> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(installed("readers/bin/python"));
    command.arg(tests.join("clients/readers/read.py")).arg(tests.join("../docs/reading.md")).arg(folder).arg(extension);
    let output = command.output().expect("a reader that can be started");
    assert!(output.status.success(), "{extension}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("an example's result")).collect()
}

async fn stored(function: Function) -> (Aws, SidecarProcess) {
    let (aws, sidecar) = start_ready(function).await;
    send(&sidecar).await;
    (aws, sidecar)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_the_page_read_every_event_once() {
    let read_by = |reader: &str, ids: &[&str]| Read {
        reader: reader.to_owned(),
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    let mut all_tracks = [&SELECTED[..], &["before", "after", "the-day-before", "without-partition"]].concat();
    all_tracks.sort_unstable();
    let expected = [
        read_by("DuckDB", &SELECTED),
        read_by("DuckDB", &["without-partition"]),
        read_by("DuckDB", &all_tracks),
        read_by("polars", &SELECTED),
        read_by("pyarrow", &SELECTED),
        read_by("pandas", &SELECTED),
    ];
    let (object_mode, _sidecar) = stored(Function::new().with("s3.prefix", json!("segment/"))).await;
    // The default layout, with the events' own time: the tests' events then have known partitions.
    let key = "type={type}/dt={timestamp:yyyy-MM-dd}/hour={timestamp:HH}/{millis}-{batchId}.ndjson.";
    for (compression, extension) in [("gzip", "gz"), ("zstd", "zst")] {
        let batch = json!({"compression": compression, "maxEventAge": "9999d"});
        let dead_letter = json!({"prefix": "_dead-letters/"});
        let key = format!("{key}{extension}");
        let delivery = json!({"mode": "Batch", "key": key, "batch": batch, "deadLetter": dead_letter});
        let function = Function::new().with("s3.prefix", json!("raw/")).with("delivery", delivery);
        let (batch_mode, sidecar) = stored(function).await;
        // Every reader skips dead letters.
        assert_eq!(sidecar.send("/v1/track", &json!({"event": "without a user"})).await.status, 400);
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(&object_mode.objects(), &folder.path().join("orders-lake"));
        copy(&batch_mode.objects(), &folder.path().join("clickstream-lake"));
        assert_eq!(read(folder.path(), extension), expected, "{extension}");
    }
}
