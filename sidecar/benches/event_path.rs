//! Micro-benchmarks of the steps between a request's body and S3: parse and stamp, key, signature, batch, compression.
//!
//! `bench/compare` runs them on two revisions, and prints the differences.
#![allow(missing_docs, reason = "macros of criterion generate public functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark is not a part of the product")]

// The events of the benchmark of whole processes.
#[allow(dead_code, unused_imports, reason = "it also has tests, and formats times for a load generator")]
#[path = "../../bench/src/event.rs"]
mod event;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use serde_json::json;
use tributary_crds::function::{Compression, SegmentType};
use tributary_sidecar::event::{Event, EventType, Limits, batch, single};
use tributary_sidecar::internals::{self, ObjectKeys, Pieces, SignedPuts};

/// Events of a batch request.
const EVENTS: usize = 100;

/// The lines in a piece of a batch: about 512 KiB.
const LINES: usize = 450;

fn events() -> Vec<Vec<u8>> {
    let (events, now) = (event::Events::generate().unwrap(), event::format_time(Timestamp::now()));
    let text = || {
        let mut text = Vec::new();
        events.write(&mut text, &now).unwrap();
        text
    };
    std::iter::repeat_with(text).take(LINES).collect()
}

fn parse_single(body: &[u8]) -> Event {
    let found = single(body, EventType::Segment(SegmentType::Track), Timestamp::now(), &Limits::default());
    found.parse().unwrap().events.remove(0)
}

fn event_path(c: &mut Criterion) {
    let sent = events();
    let stamped: Vec<_> = sent.iter().map(|body| parse_single(body)).collect();
    let items: Vec<_> = sent[..EVENTS].iter().map(|body| str::from_utf8(body).unwrap()).collect();
    let request = format!("{{\"batch\":[{}]}}", items.join(","));
    let lines = internals::batch(&stamped);

    let mut group = c.benchmark_group("per event");
    group.throughput(Throughput::Elements(1));
    let mut bodies = sent.iter().cycle();
    group.bench_function("parse and stamp one", |b| b.iter(|| parse_single(bodies.next().unwrap())));
    let (keys, mut events) = (ObjectKeys::default(), stamped.iter().cycle());
    group.bench_function("key", |b| b.iter(|| keys.of(events.next().unwrap())));
    let target = serde_json::from_value(json!({"bucket": "orders-lake", "region": "us-west-2"})).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let puts = runtime.block_on(SignedPuts::new(target)).unwrap();
    let key = keys.of(&stamped[0]);
    let mut events = stamped.iter().cycle();
    group.bench_function("signed PUT", |b| b.iter(|| puts.put(&key, events.next().unwrap().body.clone())));
    group.finish();

    let mut group = c.benchmark_group("per batch request of 100 events");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("parse and stamp", |b| {
        b.iter(|| {
            let found = batch(black_box(request.as_bytes()), Timestamp::now(), &Limits::default()).unwrap();
            found.parse().unwrap().events.len()
        });
    });
    group.finish();

    let mut group = c.benchmark_group("per piece of 450 events");
    group.throughput(Throughput::Elements(LINES as u64));
    group.bench_function("batch", |b| {
        b.iter_batched(|| &stamped, |events| internals::batch(events), BatchSize::LargeInput);
    });
    for (name, compression) in [("gzip", Compression::Gzip), ("zstd", Compression::Zstd)] {
        let mut pieces = Pieces::new(compression);
        group.bench_function(name, |b| b.iter(|| pieces.compress(black_box(&lines))));
    }
    group.finish();
}

criterion_group!(benches, event_path);
criterion_main!(benches);
