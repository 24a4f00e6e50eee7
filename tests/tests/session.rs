//! The role's session: renewed in time, used for as long as it lives, replaced when it is refused.

use std::time::{Duration, SystemTime};

use tributary_crds::conditions::ConditionType::{BucketWritable, ExternalIdAvailable, RoleAssumed};
use tributary_crds::conditions::{Reason, Truth};
use tributary_local_aws::{Action, Clock, Fault};
use tributary_tests::aws::{error, latency, puts, sts};
use tributary_tests::event::{message_id, track};
use tributary_tests::stored::{assert_exactly, assert_stored_once};
use tributary_tests::wait::{SOON, until};
use tributary_tests::world::EXTERNAL_ID;
use tributary_tests::{Aws, Function, InProcess, Setup, Traffic, World};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// An AWS and a sidecar whose time runs this much faster.
async fn sped_up(speed: f64) -> (Aws, InProcess) {
    let aws = Aws::start_at(&World::new(), Clock::scaled(SystemTime::now(), speed)).await;
    let sidecar = InProcess::start(&aws, &Function::new()).await;
    (aws, sidecar)
}

/// Lets `time` pass, by the clock of `aws`.
async fn pass(aws: &Aws, time: Duration) {
    tokio::time::sleep(aws.clock().real_duration(time)).await;
}

/// Sends one event after the other for `time`, by the clock of `aws`: all of them are stored.
async fn upload_for(aws: &Aws, sidecar: &InProcess, time: Duration, every: Duration, numbers: &mut usize) {
    let end = aws.clock().monotonic() + time;
    while aws.clock().monotonic() < end {
        let answer = sidecar.send("/v1/track", &track(*numbers)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        *numbers += 1;
        pass(aws, every).await;
    }
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(message_id).collect()
}

/// When the session of a sidecar ends.
async fn expiry(sidecar: &InProcess) -> SystemTime {
    let session = sidecar.status().await.session.expect("a session");
    session.expiry.parse::<jiff::Timestamp>().expect("a time").into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_takes_about_fifty_sessions_one_after_the_other() {
    let (aws, sidecar) = sped_up(960.0).await;
    // Long enough that two calls at once would be seen to end within it.
    let call = Duration::from_secs(20);
    aws.faults([sts(latency(call))]);
    let mut sent = 0;
    upload_for(&aws, &sidecar, 24 * HOUR, 4 * MINUTE, &mut sent).await;

    let calls = aws.assume_role_calls();
    let given = aws.sessions();
    assert!((44..=54).contains(&given), "{given} sessions in a day");
    let refused = calls.iter().filter(|call| call.error_code.as_deref() == Some("AccessDenied"));
    let probes: Vec<_> = refused.map(|call| call.external_id).collect();
    assert!((8..=12).contains(&probes.len()), "{} probes, two every six hours", probes.len());
    assert_eq!(probes.iter().filter(|with_id| **with_id).count(), probes.len() / 2, "one of two has no external ID");
    // The first session and its two probes came before calls took long.
    let ends: Vec<_> = calls.iter().skip(3).map(|call| call.time).collect();
    for pair in ends.windows(2) {
        let apart = pair[1].duration_since(pair[0]).unwrap_or_default();
        assert!(apart >= call, "two calls at once: they ended {apart:?} apart");
    }
    assert!(sent > 100, "{sent} events");
    assert_exactly(&aws.objects(), &ids(sent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_sts_is_away_a_session_serves_to_its_end() {
    let (aws, sidecar) = sped_up(240.0).await;
    let mut sent = 0;
    upload_for(&aws, &sidecar, 31 * MINUTE, MINUTE, &mut sent).await;
    aws.faults([sts(Action::Refuse)]);
    // A call that was under way may still have brought a session.
    pass(&aws, MINUTE).await;
    let end = expiry(&sidecar).await;
    let left = end.duration_since(aws.clock().now()).expect("a session that lives");
    upload_for(&aws, &sidecar, left - 3 * MINUTE, MINUTE, &mut sent).await;
    let lives = sidecar.condition(RoleAssumed).await;
    assert_eq!(lives.status, Truth::True);
    assert!(lives.message.contains("renewing it has failed since"), "{}", lives.message);
    assert!(lives.message.contains("can't be reached"), "{}", lives.message);

    pass(&aws, 4 * MINUTE).await;
    let ended = sidecar.wait_condition(RoleAssumed, Truth::False, Reason::StsUnreachable, SOON).await;
    assert!(ended.message.contains("failing since"), "{}", ended.message);
    let refused = sidecar.send("/v1/track", &track(sent)).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "StsUnreachable"));
    assert!(refused.says_when_to_retry() && refused.tells_no_details(), "{}", refused.text());
    assert_eq!(sidecar.status().await.session, None);
    assert_eq!(sidecar.ask("/readyz").await.status, 200);
    assert_exactly(&aws.objects(), &ids(sent));

    aws.faults([]);
    until("a session again", Duration::from_secs(30), async || {
        (sidecar.send("/v1/track", &track(sent)).await.status == 200).then_some(())
    })
    .await;
    sent += 1;
    upload_for(&aws, &sidecar, 10 * MINUTE, MINUTE, &mut sent).await;
    assert_exactly(&aws.objects(), &ids(sent));
}

#[tokio::test]
async fn a_session_that_s3_calls_expired_is_replaced_once_and_nothing_is_lost() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
    assert_eq!(aws.sessions(), 1);
    aws.faults([Fault { count: Some(1), ..puts(error("ExpiredToken")) }]);
    for i in 1..10 {
        assert_eq!(sidecar.send("/v1/track", &track(i)).await.status, 200);
        assert_eq!(aws.sessions(), 2);
    }
    assert_eq!(aws.puts_answered("ExpiredToken"), 1);
    assert_exactly(&aws.objects(), &ids(10));
}

#[tokio::test]
async fn many_uploads_refused_at_once_ask_for_one_session_together() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    // All are on their way before the first is refused.
    let slow = puts(latency(Duration::from_secs(2)));
    aws.faults([slow, Fault { count: Some(20), ..puts(error("ExpiredToken")) }]);
    let requests: Vec<_> = (0..20).map(track).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|event| sidecar.send("/v1/track", event))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(aws.puts_answered("ExpiredToken"), 20);
    assert_eq!(aws.sessions(), 2);
    assert_exactly(&aws.objects(), &ids(20));
}

#[tokio::test]
async fn half_an_answer_of_sts_is_no_session() {
    for broken in [Action::TruncateBody, Action::CutBody, Action::InvalidBody, Action::StoreThenDrop] {
        let aws = Aws::start(&World::new()).await;
        aws.faults([sts(broken.clone())]);
        let sidecar = Setup::new(&aws).start().await;
        let said = sidecar.wait_condition(RoleAssumed, Truth::False, Reason::StsUnreachable, SOON).await;
        assert!(said.message.contains("tried again"), "{broken:?}: {}", said.message);
        let ready = sidecar.ask("/readyz").await;
        assert_eq!(ready.status, 503, "{broken:?}");
        assert!(ready.text().starts_with("RoleAssumed StsUnreachable: "), "{broken:?}: {}", ready.text());
        assert_eq!(sidecar.status().await.session, None, "{broken:?}");
        let answer = sidecar.send("/v1/track", &track(0)).await;
        assert_eq!(answer.status, 503, "{broken:?}");
        aws.faults([]);
        until("a session", Duration::from_secs(30), async || {
            (sidecar.send("/v1/track", &track(0)).await.status == 200).then_some(())
        })
        .await;
        assert_exactly(&aws.objects(), &ids(1));
        assert_eq!(aws.puts_answered("InvalidAccessKeyId") + aws.puts_answered("SignatureDoesNotMatch"), 0);
    }
}

#[tokio::test]
async fn half_an_answer_of_sts_leaves_the_session_that_there_is() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let before = sidecar.status().await.session;
    aws.faults([sts(Action::TruncateBody)]);
    // A changed ID is reason enough to ask at once.
    aws.set(&World::new().external_id("rotated"));
    aws.faults([sts(Action::TruncateBody)]);
    sidecar.write_external_id("rotated");
    until("the renewal has failed", SOON, async || {
        sidecar.condition(RoleAssumed).await.message.contains("renewing it has failed").then_some(())
    })
    .await;
    assert_eq!(sidecar.status().await.session.map(|session| session.expiry), before.map(|session| session.expiry));
    assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
    assert_exactly(&aws.objects(), &ids(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_external_id_is_taken_up_without_a_failed_upload() {
    let (aws, sidecar) = sped_up(240.0).await;
    let mut sent = 0;
    upload_for(&aws, &sidecar, 10 * MINUTE, MINUTE, &mut sent).await;
    aws.set(&World::new().external_id("rotated-once"));
    sidecar.write_external_id("rotated-once");
    // Well past the end of any session that the old ID brought.
    upload_for(&aws, &sidecar, 80 * MINUTE, MINUTE, &mut sent).await;
    let after_first = aws.sessions();
    assert!(after_first >= 3, "{after_first} sessions");

    // The other way round: the new ID is refused until the role's owner follows.
    sidecar.write_external_id("rotated-twice");
    until("the new ID is refused", SOON, async || {
        sidecar.condition(RoleAssumed).await.message.contains("renewing it has failed").then_some(())
    })
    .await;
    upload_for(&aws, &sidecar, 5 * MINUTE, MINUTE, &mut sent).await;
    aws.set(&World::new().external_id("rotated-twice"));
    upload_for(&aws, &sidecar, 80 * MINUTE, MINUTE, &mut sent).await;
    assert!(aws.sessions() > after_first);
    assert_eq!(sidecar.condition(RoleAssumed).await.status, Truth::True);
    assert_stored_once(&aws.objects(), &ids(sent));
    assert_exactly(&aws.objects(), &ids(sent));
}

/// Between two events of traffic that calls must not follow.
const EVERY: Duration = Duration::from_millis(200);
/// How soon events are stored again once nothing is wrong any more.
const OVER: Duration = Duration::from_secs(30);

/// A time in `/status`.
fn time(text: &str) -> SystemTime {
    text.parse::<jiff::Timestamp>().expect("a time").into()
}

/// Of one that the namespace was not given, the session of before is none to go on with.
#[tokio::test]
async fn an_external_id_that_the_platform_forbids_ends_the_session_at_once() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).function(Function::new().external_id_prefix(&EXTERNAL_ID[..4])).start().await;
    sidecar.wait_ready().await;
    assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
    sidecar.write_external_id("another-3kF9");
    sidecar.wait_condition(RoleAssumed, Truth::False, Reason::ExternalIdNotAllowed, SOON).await;
    let refused = sidecar.send("/v1/track", &track(1)).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("ExternalIdNotAllowed"), "{}", refused.text());
    assert!(sidecar.status().await.session.is_none());
    sidecar.write_external_id(EXTERNAL_ID);
    sidecar.wait_condition(RoleAssumed, Truth::True, Reason::Ok, SOON).await;
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    assert_exactly(&aws.objects(), &ids(2));
}

#[tokio::test]
async fn an_external_id_that_the_platform_would_forbid_is_told_and_used() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).function(Function::new().audited_external_id_prefix("shop/")).start().await;
    sidecar.wait_ready().await;
    let told = sidecar.condition(ExternalIdAvailable).await;
    assert_eq!((told.status, told.reason), (Truth::True, Reason::ExternalIdNotAllowed), "{}", told.message);
    assert!(told.message.contains("does not begin with shop/") && !told.message.contains(EXTERNAL_ID));
    assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
}

#[tokio::test]
async fn traffic_calls_a_throttling_sts_no_sooner() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("Throttling"))]);
    let sidecar = Setup::new(&aws).start().await;
    let traffic = Traffic::start(&sidecar, EVERY);
    tokio::time::sleep(Duration::from_secs(25)).await;
    // The pauses are of 1, 2, 4, 8 and 16 s, or down to half of that.
    let calls = aws.assume_role_calls().len();
    println!("{calls} calls of AssumeRole in 25 s");
    assert!((4..=6).contains(&calls), "{calls} calls of AssumeRole in 25 s");
    assert_eq!(sidecar.condition(RoleAssumed).await.reason, Reason::Throttled);
    aws.faults([]);
    // The pause that has begun may be one of 32 s, or the longest, of 60 s.
    traffic.wait_stored(Duration::from_secs(70)).await;
    traffic.finish().await;
}

#[tokio::test]
async fn a_fresh_session_that_s3_refuses_for_good_is_replaced_once_and_then_reported() {
    for code in ["InvalidToken", "InvalidAccessKeyId", "ExpiredToken"] {
        let aws = Aws::start(&World::new()).await;
        aws.faults([puts(error(code))]);
        let sidecar = Setup::new(&aws).start().await;
        sidecar.wait_ready().await;
        let traffic = Traffic::start(&sidecar, EVERY);
        let said = sidecar.wait_condition(BucketWritable, Truth::False, Reason::S3Error, SOON).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let sessions = aws.sessions();
        println!("{code}: {sessions} sessions in 20 s");
        assert_eq!(sessions, 2, "{code}");
        for part in [code, "the session that replaced it", "session tokens", "endpoint"] {
            assert!(said.message.contains(part), "{part:?} is not in {:?}", said.message);
        }
        let refused = sidecar.send("/v1/track", &track(100_000)).await;
        assert_eq!((refused.status, refused.code().as_str()), (503, "S3Error"), "{code}");

        aws.faults([]);
        traffic.wait_stored(OVER).await;
        assert_eq!(aws.sessions(), 2, "{code}: the session that there is will do");
        // A session that has stored something is replaced at once.
        aws.faults([Fault { count: Some(1), ..puts(error(code)) }]);
        until("the session is replaced", SOON, async || (aws.sessions() == 3).then_some(())).await;
        traffic.wait_stored(SOON).await;
        traffic.finish().await;
    }
}

#[tokio::test]
async fn a_clock_that_differs_from_that_of_sts_is_reported_with_the_difference() {
    let now = SystemTime::now();
    for (sts_time, says) in [(now + 20 * MINUTE, "20 minutes behind"), (now - 3 * HOUR, "3 hours ahead of")] {
        let aws = Aws::start_at(&World::new(), Clock::scaled(sts_time, 1.0)).await;
        let sidecar = Setup::new(&aws).start().await;
        let said = sidecar.wait_condition(RoleAssumed, Truth::False, Reason::ClockSkewed, SOON).await;
        for part in [says, "STS", "NTP"] {
            assert!(said.message.contains(part), "{part:?} is not in {:?}", said.message);
        }
        let traffic = Traffic::start(&sidecar, EVERY);
        aws.clock().set(SystemTime::now());
        traffic.wait_stored(OVER).await;
        traffic.finish().await;
        sidecar.wait_condition(RoleAssumed, Truth::True, Reason::Ok, SOON).await;
    }
}

#[tokio::test]
async fn a_clock_that_differs_from_that_of_s3_costs_an_attempt_and_no_event() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let attempts = async || sidecar.metric("upload_errors_total{code=\"ClockSkewed\"}").await;
    for ahead in [true, false] {
        let (now, before) = (SystemTime::now(), attempts().await);
        aws.clock().set(if ahead { now + 20 * MINUTE } else { now - 20 * MINUTE });
        // The SDK's client takes S3's time from the refusal, and signs by it from then on.
        for i in 0..10 {
            let answer = sidecar.send("/v1/track", &track(i)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let attempts = attempts().await - before;
        assert!((1.0..=2.0).contains(&attempts), "{attempts} attempts were refused");
    }
    assert_eq!(aws.sessions(), 1);
}

#[tokio::test]
async fn a_renewal_that_fails_is_reported_at_once_while_the_old_session_stays_in_use() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    assert_eq!(sidecar.metric("session_renewal_failing").await, 0.0);
    assert!(sidecar.metrics().await.contains("tributary_session_renewal_failures_total 0"));
    let traffic = Traffic::start(&sidecar, EVERY);
    let before = sidecar.status().await.session.expect("a session");

    sidecar.write_external_id("another-one");
    let said = sidecar.wait_condition(RoleAssumed, Truth::True, Reason::RenewalFailing, SOON).await;
    for part in ["renewing it has failed since", "sts:ExternalId", "traffic stops at", &before.expiry] {
        assert!(said.message.contains(part), "{part:?} is not in {:?}", said.message);
    }
    assert!(!said.message.contains("another-one"));
    // Some retries later.
    until("it was tried again", SOON, async || {
        (sidecar.metric("session_renewal_failures_total").await >= 3.0).then_some(())
    })
    .await;
    assert_eq!(sidecar.metric("session_renewal_failing").await, 1.0);
    let session = sidecar.status().await.session.expect("a session");
    assert_eq!(session.expiry, before.expiry);
    let left = time(&session.next_refresh).duration_since(SystemTime::now()).unwrap_or_default();
    assert!(left <= MINUTE, "the next try is only at {}", session.next_refresh);
    let warnings = sidecar.output().lines().filter(|line| line.contains("RenewalFailing")).count();
    assert_eq!(warnings, 1, "{}", sidecar.output());
    assert!(sidecar.output().lines().any(|line| line.contains("RenewalFailing") && line.contains("\"WARN\"")));

    sidecar.write_external_id(EXTERNAL_ID);
    sidecar.wait_condition(RoleAssumed, Truth::True, Reason::Ok, Duration::from_secs(5)).await;
    assert_eq!(sidecar.metric("session_renewal_failing").await, 0.0);
    let outcomes = traffic.finish().await;
    assert!(outcomes.iter().all(|outcome| outcome.status == Some(200)), "{outcomes:?}");
}

#[tokio::test]
async fn a_changed_external_id_is_tried_at_once_even_while_sts_throttles() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("Throttling"))]);
    let sidecar = Setup::new(&aws).start().await;
    until("the pauses are long", Duration::from_secs(30), async || (aws.assume_role_calls().len() >= 5).then_some(()))
        .await;
    let calls = aws.assume_role_calls().len();
    sidecar.write_external_id("another-one");
    until("it is tried", Duration::from_secs(3), async || (aws.assume_role_calls().len() > calls).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(aws.assume_role_calls().len(), calls + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_answer_of_sts_is_read_to_its_bound_and_no_further() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.sts = tributary_tests::endless::server().await;
    let sidecar = setup.start().await;
    let before = sidecar.peak_memory();
    until("it is not taken for a session", SOON, async || {
        let said = sidecar.condition(RoleAssumed).await;
        (said.status == Truth::False).then_some(())
    })
    .await;
    let grown = (sidecar.peak_memory() - before) >> 20;
    assert!(grown < 8, "{grown} MiB more for one answer");
}
