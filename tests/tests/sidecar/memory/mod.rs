//! Tests that a sidecar's memory stays below the limit that its configuration accounts for, whatever clients send.
//!
//! One client, or a few, can produce each of these loads with small requests. Peaks are the kernel's (VmHWM), so they
//! include the program itself.

mod connections;

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use hyper::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use tributary_crds::values::Quantity;
use tributary_tests::aws::{latency, puts};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use tributary_tests::encode::zstd_with_large_window;
use tributary_tests::encode::{gzip, zstd};
use tributary_tests::event::type_name;
use tributary_tests::http::Answer;
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::{Aws, Function, Ports, Setup, SidecarProcess, World};

/// The extremes of nodes: few cores, and many cores without a CPU limit.
const WORKER_THREADS: [&str; 2] = ["2", "64"];

/// The chart's default memory limit of a sidecar, in bytes.
fn default_limit() -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/tributary/values.yaml");
    let text = std::fs::read_to_string(&path).expect("the chart's values");
    let values: Value = serde_yaml::from_str(&text).expect("YAML");
    let limit: Quantity =
        serde_json::from_value(values["sidecar"]["resources"]["limits"]["memory"].clone()).expect("a quantity");
    usize::try_from(limit.thousandths().expect("an amount") / 1000).expect("bytes")
}

/// The highest peak that a load may cause, in bytes: two thirds of the default limit.
fn max_peak_bytes() -> usize {
    default_limit() / 3 * 2
}

/// The body of a webhook request: many tiny events of several types, gzipped.
fn webhook_body_of_types(events: usize, types: usize) -> Vec<u8> {
    let events = (0..events).map(|i| json!({"type": type_name(i % types), "userId": "u"}));
    gzip(json!(events.collect::<Vec<_>>()).to_string().as_bytes())
}

/// The body of a webhook request: many tiny events of several types and hours, gzipped.
fn webhook_body_of_types_and_hours(events: usize, types: usize, hours: usize) -> Vec<u8> {
    let now = jiff::Timestamp::now();
    let events = (0..events).map(|i| {
        let time = now - jiff::SignedDuration::from_hours(i64::try_from(i / types % hours).expect("few"));
        json!({"type": type_name(i % types), "userId": "u", "timestamp": time.to_string()})
    });
    gzip(json!(events.collect::<Vec<_>>()).to_string().as_bytes())
}

/// The body of a batch request whose context is copied into each of its events, gzipped.
fn batch_with_shared_context(events: usize, context_bytes: usize) -> Vec<u8> {
    let events = vec![json!({"type": "page", "userId": "u"}); events];
    let context = json!({"filler": "x".repeat(context_bytes)});
    gzip(json!({"batch": events, "context": context}).to_string().as_bytes())
}

fn batch_function(batch: &Value) -> Function {
    Function::new().with("delivery", json!({"mode": "Batch", "batch": batch}))
}

/// A request: path, headers, body.
type Request = (&'static str, &'static [(&'static str, &'static str)], Vec<u8>);

const GZIP_HEADERS: &[(&str, &str)] = &[("content-encoding", "gzip")];
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const ZSTD_HEADERS: &[(&str, &str)] = &[("content-encoding", "zstd")];

/// A ready sidecar, and an S3 that delays each PUT by 200 ms.
async fn start_ready(function: Function, threads: &'static str) -> (Aws, SidecarProcess) {
    let aws = Aws::start(&World::new()).await;
    let sidecar = start(Setup::new(&aws).function(function), threads).await;
    aws.faults([puts(latency(Duration::from_millis(200)))]);
    (aws, sidecar)
}

/// A ready sidecar with this number of worker threads.
async fn start(mut setup: Setup, threads: &'static str) -> SidecarProcess {
    setup.flags.extend(["--worker-threads", threads]);
    let sidecar = setup.start().await;
    sidecar.wait_ready().await;
    sidecar
}

/// Asserts that the sidecar's peak until now is below the bound.
fn assert_peak(sidecar: &SidecarProcess, load: &str) {
    let peak = sidecar.peak_memory();
    println!("{load}: {} MiB", peak >> 20);
    assert_below_bound(peak, load);
}

fn assert_below_bound(peak: usize, load: &str) {
    let max = max_peak_bytes();
    assert!(peak < max, "{load}: {} MiB, over {} MiB", peak >> 20, max >> 20);
}

/// Sends all requests concurrently. Returns the peak of the sidecar's memory in bytes, and the number of requests that
/// were answered 200.
async fn peak_after(function: Function, threads: &'static str, requests: &[Request]) -> (usize, usize) {
    let (_aws, sidecar) = start_ready(function, threads).await;
    let stored = send(&sidecar, requests).await;
    let peak = sidecar.peak_memory();
    println!("{threads} threads, {} requests, {stored} stored: {} MiB", requests.len(), peak >> 20);
    (peak, stored)
}

/// Sends all requests concurrently, asserts that each gets an allowed answer, and returns how many were answered 200.
async fn send(ports: &Ports, requests: &[Request]) -> usize {
    let send = async |(path, headers, body): &Request| {
        ports.request(Method::POST, path, headers, body.clone()).await.expect("an answer")
    };
    let answers: Vec<Answer> = join_all(requests.iter().map(send)).await;
    for answer in &answers {
        let is_answered = match answer.status {
            // 408 is for clients that send too slowly, as those on a busy machine do.
            200 | 408 => true,
            400 => matches!(answer.code().as_str(), "batch_too_large" | "no_valid_events"),
            status => matches!(status, 429 | 503) && answer.has_valid_retry_after(),
        };
        assert!(is_answered, "{}: {}", answer.status, answer.text());
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

/// Asserts that the peak stays below the bound with each number of threads.
async fn assert_bounded(function: &Function, requests: &[Request]) {
    for threads in WORKER_THREADS {
        let (peak, stored) = peak_after(function.clone(), threads, requests).await;
        assert!(stored > 0, "nothing was stored, and refused requests need no memory");
        assert_below_bound(peak, &format!("{threads} threads"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_partitions_by_event_time_stay_within_the_memory_limit() {
    for compression in ["gzip", "zstd"] {
        let function = batch_function(&json!({"compression": compression, "maxPartitions": 256}))
            .with("delivery.key", json!("{type}/{timestamp:yyyy-MM-dd}/{timestamp:HH}/{batchId}"));
        let requests = vec![("/", GZIP_HEADERS, webhook_body_of_types_and_hours(4_000, 12, 160)); 4];
        assert_bounded(&function, &requests).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_types_in_one_request_stay_within_the_memory_limit() {
    for compression in ["gzip", "zstd", "none"] {
        let function = batch_function(&json!({"compression": compression}));
        assert_bounded(&function, &[("/", GZIP_HEADERS, webhook_body_of_types(4_000, 12))]).await;
        assert_bounded(&function, &vec![("/", GZIP_HEADERS, webhook_body_of_types(4_000, 200)); 4]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_batch_per_event_stays_within_the_memory_limit() {
    for compression in ["gzip", "zstd"] {
        let function = batch_function(&json!({"compression": compression, "maxEvents": 1}));
        let request = ("/v1/batch", GZIP_HEADERS, batch_with_shared_context(2_500, 10));
        assert_bounded(&function, std::slice::from_ref(&request)).await;
        // Ten thousand PUTs, which a slow machine does not complete before the clients must be answered: so none may be
        // stored.
        for threads in WORKER_THREADS {
            let (peak, _) = peak_after(function.clone(), threads, &vec![request.clone(); 4]).await;
            assert_below_bound(peak, &format!("{threads} threads"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_copied_into_every_event_stays_within_the_memory_limit() {
    let requests = vec![("/v1/batch", GZIP_HEADERS, batch_with_shared_context(500, 32_000)); 64];
    assert_bounded(&Function::new(), &requests).await;
    assert_bounded(&batch_function(&json!({})), &requests).await;
}

/// Each event waits with its upload: for a slot, and for S3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_uploads_stay_within_the_memory_limit() {
    let event = |i: usize| json!({"type": "track", "messageId": i.to_string(), "userId": "u", "event": "e", "f": "x".repeat(30_000)});
    let requests: Vec<Request> =
        (0..1_000).map(|i| ("/v1/track", &[][..], event(i).to_string().into_bytes())).collect();
    assert_bounded(&Function::new(), &requests).await;
}

/// The rejections wait with the valid event for its batch, after the request's own reservation is released.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejections_beside_a_valid_event_stay_within_the_memory_limit() {
    let good = json!({"type": "track", "userId": "u", "event": "e"}).to_string();
    let body = format!("[{good}{}]", ",1".repeat(3_999)).into_bytes();
    let requests = vec![("/", GZIP_HEADERS, gzip(&body)); 1_000];
    assert_bounded(&batch_function(&json!({})), &requests).await;
}

/// Dead letters are copies of events, and wait for their uploads beside the valid ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_stay_within_the_memory_limit() {
    let event = |i: usize| {
        let user = if i.is_multiple_of(2) { json!("u") } else { json!(null) };
        json!({"type": "page", "userId": user, "properties": {"p": "\"".repeat(900)}})
    };
    let body = |events: usize| gzip(json!((0..events).map(event).collect::<Vec<_>>()).to_string().as_bytes());
    let requests = vec![("/", GZIP_HEADERS, body(3_990)); 64];
    assert_bounded(&with_dead_letters(batch_function(&json!({}))), &requests).await;
    // In Object mode, this is as much as is stored in time.
    assert_bounded(&with_dead_letters(Function::new()), &[("/", GZIP_HEADERS, body(1_000))]).await;
}

/// Threads and the allocator's cache for each of them need memory that no request reserves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_bodies_that_decompress_to_large_ones_stay_within_the_memory_limit() {
    let event = json!({"type": "track", "userId": "u", "event": "e", "properties": {"p": "x".repeat(1_900)}});
    let requests = vec![("/", GZIP_HEADERS, gzip(json!(vec![event; 3_990]).to_string().as_bytes())); 1_000];
    assert_bounded(&batch_function(&json!({})), &requests).await;
}

/// glibc's allocator would keep nearly all of it.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_returned_to_the_kernel_after_a_burst() {
    let burst = vec![("/v1/batch", GZIP_HEADERS, batch_with_shared_context(500, 32_000)); 64];
    for threads in WORKER_THREADS {
        let (_aws, sidecar) = start_ready(batch_function(&json!({})), threads).await;
        let at_rest = sidecar.memory_now();
        assert!(send(&sidecar, &burst).await > 0, "nothing was stored");
        let peak = sidecar.peak_memory();
        assert!(peak > 2 * at_rest, "no burst: {} MiB, and {} MiB at rest", peak >> 20, at_rest >> 20);
        let after = until("half of the burst's memory is returned", DEFAULT_TIMEOUT, async || {
            let now = sidecar.memory_now();
            (now < at_rest.midpoint(peak)).then_some(now)
        });
        let after = after.await;
        println!("{threads} threads: {} MiB, then {}, then {}", at_rest >> 20, peak >> 20, after >> 20);
    }
}

/// Additional bytes that a sidecar may retain after a burst, once it is at rest again.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const MAX_RETAINED_BYTES: usize = 16 << 20;

/// zstd is C: its memory must come from the same allocator as all other.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_zstd_decoders_is_returned_to_the_kernel() {
    let event = json!({"type": "track", "userId": "u", "event": "e", "properties": {"p": "x".repeat(1_900)}});
    let body = zstd_with_large_window(json!(vec![event; 3_990]).to_string().as_bytes());
    for threads in ["8", "64"] {
        let (_aws, sidecar) = start_ready(batch_function(&json!({})), threads).await;
        let at_rest = sidecar.memory_now();
        for _ in 0..10 {
            send(&sidecar, &vec![("/", ZSTD_HEADERS, body.clone()); 64]).await;
        }
        let peak = sidecar.peak_memory();
        assert!(peak < max_peak_bytes(), "{} MiB with {threads} threads", peak >> 20);
        let after = until("the memory is returned", DEFAULT_TIMEOUT, async || {
            let now = sidecar.memory_now();
            (now < at_rest + MAX_RETAINED_BYTES).then_some(now)
        });
        let after = after.await;
        println!("{threads} threads: {} MiB, then {}, then {}", at_rest >> 20, peak >> 20, after >> 20);
    }
}

/// The content encoding of a request.
#[derive(Clone, Copy, Debug)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// A kind of request that many clients send concurrently.
#[derive(Clone, Debug)]
struct Shape {
    events: usize,
    types: usize,
    /// One of so many events is invalid.
    invalid: usize,
    /// Additional bytes per event.
    filler: usize,
    /// Bytes of the context that is copied into each event; not for a webhook.
    context: usize,
    webhook: bool,
    encoding: Encoding,
    clients: usize,
}

impl Shape {
    fn path(&self) -> &'static str {
        if self.webhook { "/" } else { "/v1/batch" }
    }

    fn body(&self) -> Vec<u8> {
        let name =
            |i: usize| if self.webhook { type_name(i % self.types) } else { TYPES[i % self.types % 6].to_owned() };
        let filler = "f".repeat(self.filler);
        let user = |i: usize| if i.is_multiple_of(self.invalid) { json!([]) } else { json!("u") };
        let events = (0..self.events).map(|i| {
            json!({"type": name(i), "userId": user(i), "event": "e", "previousId": "p", "groupId": "g", "f": filler})
        });
        let events: Vec<_> = events.collect();
        let json = match self.webhook {
            true => json!(events),
            false => json!({"batch": events, "context": {"c": "c".repeat(self.context)}}),
        };
        let plain = json.to_string().into_bytes();
        match self.encoding {
            Encoding::Identity => plain,
            Encoding::Gzip => gzip(&plain),
            Encoding::Zstd => zstd(&plain),
        }
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self.encoding {
            Encoding::Identity => &[],
            Encoding::Gzip => &[("content-encoding", "gzip")],
            Encoding::Zstd => &[("content-encoding", "zstd")],
        }
    }
}

const TYPES: [&str; 6] = ["track", "identify", "page", "screen", "group", "alias"];

fn shape() -> impl Strategy<Value = Shape> {
    let encoding = prop::sample::select(vec![Encoding::Identity, Encoding::Gzip, Encoding::Zstd]);
    let invalid = prop::sample::select(vec![1, 2, 10, 10_000]);
    let sizes = (1_usize..2_500, 0_usize..30_000, 0_usize..32_000);
    (sizes, 1_usize..300, invalid, any::<bool>(), encoding, 1_usize..64).prop_map(
        |((events, filler, context), types, invalid, webhook, encoding, clients)| {
            // Within the limits of bodies: 1 MiB on /v1, 8 MiB on a webhook.
            let most = if webhook { 7_500_000 } else { 900_000 };
            let events = events.min(most / (filler + 120)).max(1);
            Shape { events, types, invalid, filler, context, webhook, encoding, clients }
        },
    )
}

/// Functions for which the default limit must suffice.
fn function() -> impl Strategy<Value = Function> {
    let compression = prop::sample::select(vec!["gzip", "zstd", "none"]);
    let batch = (
        compression,
        prop::sample::select(vec![1, 10, 1_000, 10_000]),
        prop::sample::select(vec!["64Ki", "1Mi", "5Mi"]),
    )
        .prop_map(|(compression, events, bytes)| {
            batch_function(&json!({"compression": compression, "maxEvents": events, "maxBytes": bytes}))
        });
    (prop_oneof![Just(Function::new()), batch], any::<bool>()).prop_map(|(function, stores_dead_letters)| {
        if stores_dead_letters { with_dead_letters(function) } else { function }
    })
}

fn with_dead_letters(function: Function) -> Function {
    function.with("delivery.deadLetter", json!({"prefix": "dead-letters/"}))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_requests_stay_within_the_memory_limit(
        function in function(),
        shapes in prop::collection::vec(shape(), 1..4),
        threads in prop::sample::select(WORKER_THREADS.to_vec()),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        let requests: Vec<_> = shapes
            .iter()
            .flat_map(|shape| vec![(shape.path(), shape.headers(), shape.body()); shape.clients])
            .collect();
        let (peak, _) = runtime.block_on(peak_after(function, threads, &requests));
        prop_assert!(peak < max_peak_bytes(), "{} MiB, over {} MiB", peak >> 20, max_peak_bytes() >> 20);
    }
}
