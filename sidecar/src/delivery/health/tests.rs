//! Tests the scopes of faults and the reported condition, also with random histories.

use std::time::Duration;

use proptest::prelude::*;

use super::super::circuit_breaker::RECENT_STORE_WINDOW;
use super::*;
use crate::clock::MachineClock;
use crate::event::EventType;
use crate::memory::Budget;
use crate::status::metrics::Series;

fn health() -> BucketHealth {
    let conditions = Arc::new(Conditions::new(Arc::new(MachineClock::new()), false));
    BucketHealth::new("lake", conditions, Metrics::new(Budget::new(0), &Series::default()))
}

fn part(name: &str) -> KeyPart {
    KeyPart::of(&EventType::parse(name).unwrap())
}

fn one(part: KeyPart) -> KeyParts {
    std::iter::once(part).collect()
}

fn denied() -> Blocker {
    Blocker { reason: Reason::AccessDenied, message: "denied".to_owned() }
}

fn gone() -> Blocker {
    Blocker { reason: Reason::NoSuchBucket, message: "gone".to_owned() }
}

fn reported(health: &BucketHealth) -> (ConditionStatus, Reason, String) {
    let condition = health.conditions.get(ConditionType::BucketWritable).unwrap();
    (condition.status, condition.reason, condition.message)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_change_of_the_role_clears_faults_that_no_check_shows() {
    let (health, now) = (health(), Instant::now());
    let is_checked = |reason| reason == Reason::NoSuchBucket;
    health.aws_changed(is_checked);
    assert_eq!(reported(&health).1, Reason::NotYetWritten, "there was no fault");

    health.failed(Extent::Bucket, Evidence::Conclusive, gone(), now);
    health.aws_changed(is_checked);
    assert_eq!(reported(&health).1, Reason::NoSuchBucket);
    health.found();

    let track = part("track");
    health.failed(Extent::Attempts(Some(track)), Evidence::Conclusive, denied(), now);
    assert_eq!(health.admit(one(track), now), Err(denied()));
    health.aws_changed(is_checked);
    let (status, reason, _) = reported(&health);
    assert_eq!((status, reason), (ConditionStatus::Unknown, Reason::Pending));
    assert_eq!(health.admit(one(track), now), Ok(()), "the next upload shows whether the fault is over");
    health.stored(Some(track), true, now);
    assert_eq!(reported(&health).1, Reason::Ok);
}

#[test]
fn a_refused_part_is_named_and_does_not_affect_the_others() {
    let (health, start) = (health(), Instant::now());
    let (track, identify) = (part("track"), part("identify"));
    for second in 0..=10 {
        health.stored(Some(track), true, start + seconds(second));
        health.failed(Extent::Keys(Some(identify)), Evidence::OneKey, denied(), start + seconds(second));
    }
    let now = start + seconds(10);
    let refusal = health.admit(one(identify), now).unwrap_err();
    assert_eq!(refusal.message, "events of type identify only: denied");
    assert_eq!(health.admit(one(track), now), Ok(()));
    // A request with events of both is refused, and uses up no probe.
    assert!(health.admit([track, identify].into_iter().collect(), now).is_err());
    assert_eq!(reported(&health), (ConditionStatus::False, Reason::AccessDenied, refusal.message));
    health.stored(Some(identify), true, now + seconds(2));
    assert_eq!(reported(&health).1, Reason::Ok);
}

#[test]
fn the_fault_of_an_unused_part_is_forgotten_once_others_store() {
    let (health, start) = (health(), Instant::now());
    health.failed(Extent::Keys(Some(part("identify"))), Evidence::OneKey, denied(), start);
    health.stored(Some(part("track")), true, start + FORGET_AFTER - seconds(1));
    assert_eq!(reported(&health).0, ConditionStatus::False);
    health.stored(Some(part("track")), true, start + FORGET_AFTER);
    assert_eq!(reported(&health).0, ConditionStatus::True);
}

#[test]
fn a_fault_of_the_bucket_ends_once_an_object_is_stored_or_s3_answers_for_a_key() {
    let (health, now) = (health(), Instant::now());
    let everything: KeyParts = KeyPart::all().collect();
    health.failed(Extent::Bucket, Evidence::Conclusive, gone(), now);
    assert_eq!(health.admit(everything, now), Err(gone()));
    health.stored(Some(part("page")), true, now);
    assert_eq!(health.admit(everything, now), Ok(()));
    let later = now + RECENT_STORE_WINDOW;
    health.failed(Extent::Bucket, Evidence::Conclusive, gone(), later);
    assert!(health.admit(one(part("page")), later).is_err());
    health.failed(Extent::Keys(Some(part("identify"))), Evidence::OneKey, denied(), later);
    assert_eq!(health.admit(one(part("page")), later), Ok(()));
    assert_eq!(reported(&health).1, Reason::AccessDenied);
}

#[test]
fn a_key_that_fails_among_others_does_not_make_the_condition_flap() {
    let (health, start) = (health(), Instant::now());
    let track = Some(part("track"));
    let mut changes = 0;
    let mut last = reported(&health).0;
    for tick in 0..600_u64 {
        let now = start + Duration::from_millis(100 * tick);
        health.stored(track, true, now);
        if tick % 25 == 3 {
            health.failed(Extent::Keys(track), Evidence::OneKey, denied(), now);
        }
        assert_eq!(health.admit(one(part("track")), now), Ok(()));
        let truth = reported(&health).0;
        changes += usize::from(truth != last);
        last = truth;
    }
    // The condition becomes True with the first object, and False with the first failure.
    assert_eq!((changes, last), (2, ConditionStatus::False));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Stored(usize),
    Failed(Option<usize>, Evidence),
    Upload(usize),
}

fn step() -> impl Strategy<Value = (u64, Step)> {
    let evidence = prop::sample::select(vec![Evidence::Conclusive, Evidence::OneKey, Evidence::Transient]);
    let step = prop_oneof![
        (0..3_usize).prop_map(Step::Stored),
        (prop::option::of(0..3_usize), evidence).prop_map(|(part, evidence)| Step::Failed(part, evidence)),
        (0..3_usize).prop_map(Step::Upload),
    ];
    (0..3_000_u64, step)
}

proptest! {
    #[test]
    fn no_part_is_refused_within_the_window_after_a_stored_object(steps in prop::collection::vec(step(), 1..200)) {
        let health = health();
        let mut now = Instant::now();
        let mut stored = [None; 3];
        for (gap, step) in steps {
            now += Duration::from_millis(gap);
            match step {
                Step::Stored(index) => {
                    health.stored(Some(KeyPart(index)), true, now);
                    stored[index] = Some(now);
                }
                Step::Failed(None, evidence) => {
                    health.failed(Extent::Bucket, evidence, gone(), now);
                }
                Step::Failed(Some(index), evidence) => {
                    health.failed(Extent::Keys(Some(KeyPart(index))), evidence, denied(), now);
                }
                Step::Upload(index) => {
                    let recently = stored[index].is_some_and(|stored| now - stored < RECENT_STORE_WINDOW);
                    let refused = health.admit(one(KeyPart(index)), now).is_err();
                    prop_assert!(!(recently && refused));
                }
            }
            // The reported condition matches the state.
            let wrong = reported(&health).0 == ConditionStatus::False;
            prop_assert_eq!(wrong, health.lock().blocker().is_some());
        }
    }
}
