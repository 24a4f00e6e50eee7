//! Tests of the schedule: when calls are due, and, for random answers and traffic, how many there can be.

use proptest::prelude::*;

use super::*;

const NOON: SystemTime = SystemTime::UNIX_EPOCH;
const MINUTE: Duration = Duration::from_secs(60);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_session_is_renewed_at_half_its_life_give_or_take_a_tenth() {
    assert_eq!(renewal(SESSION_DURATION, 0.0), 27 * MINUTE);
    assert_eq!(renewal(SESSION_DURATION, 0.5), 30 * MINUTE);
    assert_eq!(renewal(SESSION_DURATION, 1.0), 33 * MINUTE);
}

#[test]
fn a_wrong_wall_clock_neither_shortens_a_session_to_nothing_nor_lengthens_it() {
    let noon = NOON + seconds(12 * 3600);
    assert_eq!(lifetime(noon + SESSION_DURATION, noon), SESSION_DURATION);
    assert_eq!(lifetime(noon + seconds(900), noon), seconds(900));
    // STS gives no session this short, so the clock is 59 minutes ahead.
    assert_eq!(lifetime(noon + seconds(60), noon), SESSION_DURATION);
    assert_eq!(lifetime(noon, noon + seconds(7200)), SESSION_DURATION);
    assert_eq!(lifetime(noon + SESSION_DURATION, noon - seconds(7200)), SESSION_DURATION);
}

#[test]
fn failed_calls_are_retried_forever_with_backoff() {
    use FailureKind::{Other, Throttled};
    for (failures, kind, lives, jitter, demanded, unprompted) in [
        (1, Other, false, 1.0, 1, 1),
        (3, Other, false, 0.0, 2, 2),
        (5, Other, false, 1.0, 10, 16),
        (40, Other, false, 1.0, 10, 30),
        (40, Other, true, 1.0, 10, 60),
        (40, Other, true, 0.0, 5, 30),
        // A demand does not shorten the backoff after throttling.
        (1, Throttled, false, 1.0, 1, 1),
        (5, Throttled, false, 1.0, 16, 16),
        (40, Throttled, false, 1.0, 60, 60),
        (40, Throttled, true, 0.0, 30, 30),
    ] {
        let expected = Pause { demanded: seconds(demanded), unprompted: seconds(unprompted) };
        assert_eq!(pause(failures, kind, lives, jitter), expected, "{failures} {kind:?} {lives}");
    }
}

#[test]
fn traffic_brings_a_call_forward_and_a_changed_external_id_makes_it_due_immediately() {
    let mut schedule = Schedule::default();
    assert_eq!(schedule.refresh_due(), Duration::ZERO);
    for _ in 0..10 {
        schedule.refresh_failed(seconds(100), FailureKind::Other, false, 1.0);
    }
    assert_eq!(schedule.refresh_due(), seconds(130));
    schedule.demand_session();
    assert_eq!(schedule.refresh_due(), seconds(110));
    schedule.refresh_failed(seconds(200), FailureKind::Throttled, false, 1.0);
    schedule.demand_session();
    schedule.demand_probe();
    assert_eq!((schedule.refresh_due(), schedule.probe_due()), (seconds(260), seconds(260)));
    schedule.role_or_external_id_changed();
    assert_eq!((schedule.refresh_due(), schedule.probe_due()), (Duration::ZERO, Duration::ZERO));
    schedule.refresh_failed(seconds(210), FailureKind::Throttled, false, 1.0);
    assert_eq!((schedule.refresh_due(), schedule.probe_due()), (seconds(270), seconds(270)));
}

#[test]
fn a_session_that_stored_objects_is_replaced_immediately_and_any_other_only_once() {
    let mut schedule = Schedule::default();
    let hour = SESSION_DURATION;
    let second = |at: u64| seconds(at);
    schedule.refreshed(second(0), hour, false, false, 0.0);
    assert!(schedule.demand_replacement(false, second(1)), "the first session that is refused");
    assert_eq!(schedule.refresh_due(), Duration::ZERO);
    schedule.refreshed(second(1), hour, true, false, 0.0);
    assert!(!schedule.demand_replacement(false, second(10)), "the next one, too");
    assert_eq!(schedule.refresh_due(), second(301));
    schedule.refreshed(second(301), hour, true, false, 0.0);
    assert!(!schedule.demand_replacement(false, second(310)));
    assert_eq!(schedule.refresh_due(), second(901), "ever more rarely");
    // S3 accepts the session after all, and it stores something.
    assert!(schedule.demand_replacement(true, second(400)));
    assert!(schedule.refresh_due() <= second(400));
    schedule.refreshed(second(400), hour, true, true, 0.0);
    assert!(!schedule.demand_replacement(false, second(401)));
    assert_eq!(schedule.refresh_due(), second(700));
    // The next session replaces one that lived until its renewal.
    schedule.refreshed(second(2000), hour, false, true, 0.0);
    assert!(schedule.demand_replacement(false, second(2001)));
}

#[test]
fn the_role_is_probed_again_soon_only_while_traffic_is_held() {
    let mut schedule = Schedule::default();
    let after = |schedule: &mut Schedule, outcome| {
        schedule.probed(Duration::ZERO, outcome, 1.0);
        let unprompted = schedule.probe_due();
        schedule.demand_probe();
        (unprompted.as_secs(), schedule.probe_due().as_secs())
    };
    let failed = |kind, settled| ProbeOutcome::Failed { kind, settled };
    assert_eq!(after(&mut schedule, ProbeOutcome::Settled), (6 * 3600, 6 * 3600));
    assert_eq!(after(&mut schedule, failed(FailureKind::Other, true)), (60, 2));
    assert_eq!(after(&mut schedule, ProbeOutcome::Settled), (6 * 3600, 6 * 3600));
    for demanded in [2, 4, 8, 10, 10] {
        assert_eq!(after(&mut schedule, ProbeOutcome::Held), (15, demanded));
    }
    assert_eq!(after(&mut schedule, failed(FailureKind::Other, false)), (15, 10));
    assert_eq!(after(&mut schedule, failed(FailureKind::Throttled, false)), (60, 60));
}

/// A step of a simulation: the answers of STS and S3.
#[derive(Clone, Copy, Debug)]
enum Scripted {
    Throttled,
    Fails,
    /// STS gives a session, which S3 refuses, after it has stored something or before.
    RefusedSession {
        has_stored: bool,
    },
}

/// The times of all calls in a simulation of length `time`, in which traffic makes every possible demand ten times a
/// second and STS and S3 answer as scripted. No probe's result allows traffic.
fn calls(script: &[Scripted], jitter: &[f64], time: Duration) -> Vec<Duration> {
    let (mut script, mut jitter) = (script.iter().cycle(), jitter.iter().copied().cycle());
    let mut schedule = Schedule::default();
    let mut session: Option<(Duration, bool)> = None;
    let mut refused = false;
    let mut calls = Vec::new();
    let mut now = Duration::ZERO;
    while now < time {
        let lives = session.is_some_and(|(ends, _)| ends > now);
        let has_stored = session.is_some_and(|(_, has_stored)| has_stored);
        if !lives {
            schedule.demand_session();
        } else if refused {
            schedule.demand_replacement(has_stored, now);
        }
        schedule.demand_probe();
        if schedule.refresh_due() <= now {
            calls.push(now);
            let jitter = jitter.next().unwrap();
            match script.next().unwrap() {
                Scripted::Throttled => schedule.refresh_failed(now, FailureKind::Throttled, lives, jitter),
                Scripted::Fails => schedule.refresh_failed(now, FailureKind::Other, lives, jitter),
                Scripted::RefusedSession { has_stored: will_store } => {
                    schedule.refreshed(now, SESSION_DURATION, refused && lives, has_stored, jitter);
                    session = Some((now + SESSION_DURATION, *will_store));
                    refused = true;
                }
            }
        }
        if session.is_some_and(|(ends, _)| ends > now) && schedule.probe_due() <= now {
            calls.push(now);
            let settled = false;
            let outcome = match script.next().unwrap() {
                Scripted::Throttled => ProbeOutcome::Failed { kind: FailureKind::Throttled, settled },
                Scripted::Fails => ProbeOutcome::Failed { kind: FailureKind::Other, settled },
                Scripted::RefusedSession { .. } => ProbeOutcome::Held,
            };
            schedule.probed(now, outcome, jitter.next().unwrap());
        }
        now += Duration::from_millis(100);
    }
    calls
}

/// The largest number of calls in any minute that starts with a call.
fn max_calls_per_minute(calls: &[Duration]) -> usize {
    let within = |start: Duration| calls.iter().filter(|at| (start..start + MINUTE).contains(*at)).count();
    calls.iter().map(|at| within(*at)).max().unwrap_or_default()
}

fn scripted() -> impl Strategy<Value = Scripted> {
    prop_oneof![
        Just(Scripted::Throttled),
        Just(Scripted::Fails),
        any::<bool>().prop_map(|has_stored| Scripted::RefusedSession { has_stored }),
    ]
}

proptest! {
    #[test]
    fn calls_per_minute_are_bounded_for_any_traffic_and_answers(
        script in prop::collection::vec(scripted(), 1..30),
        jitter in prop::collection::vec(0.0..1.0f64, 1..10),
    ) {
        let calls = calls(&script, &jitter, 20 * MINUTE);
        // Of each kind at most one per 5 s, except the first few after its first answer, which are 0.5, 1, 2 and 4 s
        // apart.
        let most = max_calls_per_minute(&calls);
        prop_assert!(most <= 36, "{most} calls in a minute");
        prop_assert!(calls.len() <= 20 * 24 + 12, "{} calls in 20 minutes", calls.len());
    }

    #[test]
    fn a_throttling_sts_is_called_with_growing_pauses(jitter in prop::collection::vec(0.0..1.0f64, 1..10)) {
        let calls = calls(&[Scripted::Throttled], &jitter, 20 * MINUTE);
        let most = max_calls_per_minute(&calls);
        prop_assert!((5..=7).contains(&most), "{most} calls in a minute");
        let later: Vec<_> = calls.iter().copied().filter(|at| *at >= MINUTE).collect();
        let most = max_calls_per_minute(&later);
        prop_assert!(most <= 2, "{most} calls in a minute after the first");
        for pauses in calls.windows(3) {
            prop_assert!(pauses[2] - pauses[1] >= (pauses[1] - pauses[0]).mul_f64(0.45), "{calls:?}");
        }
    }
}
