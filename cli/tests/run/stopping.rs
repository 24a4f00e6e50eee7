//! Tests that the first Ctrl-C or SIGTERM waits for requests in flight, and that the second does not.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{EVENT, PATIENCE, Run, interrupt, request, send_signal};

/// Maximum time to stop at once: less than the 8.5 s that a request may wait for the store.
const AT_ONCE: Duration = Duration::from_secs(4);

/// A run whose S3 does `action` to each upload, with one event in flight. The sender's thread returns the
/// answer's status, or panics if there is no answer.
fn run_with_event_in_flight(action: &str) -> (Run, JoinHandle<u16>) {
    let run = Run::start(true);
    run.line("ready ");
    let faults = format!("faults: [{{service: s3, operation: PutObject, action: {action}}}]");
    run.edit("accounts.yaml", "faults: []", &faults);
    run.line("edit ");
    let events = run.events.clone();
    let sender = std::thread::spawn(move || request(&events, "POST /v1/track", EVENT).0);
    let deadline = Instant::now() + PATIENCE;
    while !request(&run.admin, "GET /metrics", "").1.contains("tributary_in_flight_events 1\n") {
        assert!(Instant::now() < deadline, "no event is in flight");
        std::thread::sleep(Duration::from_millis(50));
    }
    (run, sender)
}

#[test]
fn the_first_interrupt_waits_for_what_is_in_flight() {
    let (mut run, sender) = run_with_event_in_flight("{latencyMs: 2000}");
    interrupt(&run.child);
    assert_eq!(run.line("stopping "), "stopping  1 request in flight; press Ctrl-C again to stop now");
    assert_eq!(sender.join().unwrap(), 200);
    assert_eq!(run.child.wait().unwrap().code(), Some(0));
    run.line("1 event stored (");
}

#[test]
fn the_second_interrupt_stops_immediately() {
    stops_at_the_second("-INT");
}

#[test]
fn the_second_sigterm_stops_immediately() {
    stops_at_the_second("-TERM");
}

fn stops_at_the_second(signal: &str) {
    let (mut run, sender) = run_with_event_in_flight("hang");
    send_signal(&run.child, signal);
    run.line("stopping ");
    std::thread::sleep(Duration::from_millis(500));
    assert!(run.child.try_wait().unwrap().is_none(), "it did not wait for what is in flight");
    let begun = Instant::now();
    send_signal(&run.child, signal);
    assert_eq!(run.child.wait().unwrap().code(), Some(1));
    assert!(begun.elapsed() < AT_ONCE, "it took {:?}", begun.elapsed());
    assert!(sender.join().is_err(), "the request was answered");
    run.line("stopped   1 request not answered");
    run.line("0 events stored (");
}
