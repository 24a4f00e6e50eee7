//! Tests that the first Ctrl-C or SIGTERM waits for requests in flight, and that the second does not.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{EVENT, Run, WAIT_TIMEOUT, interrupt, request, send_signal};

/// Maximum time of an immediate stop: less than the 8.5 s for which a request may wait for the store.
const MAX_IMMEDIATE_STOP: Duration = Duration::from_secs(4);

/// A run whose S3 does `action` to each upload, with one event in flight. The sender's thread returns the
/// answer's status, or panics if there is no answer.
fn run_with_event_in_flight(action: &str) -> (Run, JoinHandle<u16>) {
    let run = Run::start(true);
    run.line("ready ");
    let faults = format!("faults: [{{service: s3, operation: PutObject, action: {action}}},");
    run.edit("accounts.yaml", "faults: [", &faults);
    run.line("edit ");
    let events = run.events.clone();
    let sender = std::thread::spawn(move || request(&events, "POST /v1/track", EVENT).0);
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while !request(&run.admin, "GET /metrics", "").1.contains("tributary_in_flight_events 1\n") {
        assert!(Instant::now() < deadline, "no event is in flight");
        std::thread::sleep(Duration::from_millis(50));
    }
    (run, sender)
}

#[test]
fn the_first_interrupt_waits_for_requests_in_flight() {
    let (mut run, sender) = run_with_event_in_flight("{latencyMs: 2000}");
    interrupt(&run.child);
    assert_eq!(run.line("stopping "), "stopping  1 request in flight; press Ctrl-C again to stop now");
    assert_eq!(sender.join().unwrap(), 200);
    assert_eq!(run.child.wait().unwrap().code(), Some(0));
    run.line("1 event stored (");
}

#[test]
fn the_second_interrupt_stops_immediately() {
    assert_second_signal_stops("-INT");
}

#[test]
fn the_second_sigterm_stops_immediately() {
    assert_second_signal_stops("-TERM");
}

fn assert_second_signal_stops(signal: &str) {
    let (mut run, sender) = run_with_event_in_flight("hang");
    send_signal(&run.child, signal);
    run.line("stopping ");
    std::thread::sleep(Duration::from_millis(500));
    assert!(run.child.try_wait().unwrap().is_none(), "it did not wait for the request in flight");
    let start = Instant::now();
    send_signal(&run.child, signal);
    assert_eq!(run.child.wait().unwrap().code(), Some(1));
    assert!(start.elapsed() < MAX_IMMEDIATE_STOP, "it took {:?}", start.elapsed());
    assert!(sender.join().is_err(), "the request was answered");
    run.line("stopped   1 request not answered");
    run.line("0 events stored (");
}
