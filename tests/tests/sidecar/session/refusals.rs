//! Tests that refusals by STS and S3 are reported, and cause no more calls to STS than necessary.

use super::*;

#[tokio::test]
async fn a_broken_sts_answer_yields_no_session() {
    for (broken, reason) in [
        (Action::TruncateBody, Reason::StsError),
        (Action::InvalidBody, Reason::StsError),
        (Action::CutBody, Reason::StsUnreachable),
        (Action::StoreThenDrop, Reason::StsUnreachable),
    ] {
        let aws = Aws::start(&World::new()).await;
        aws.faults([sts(broken.clone())]);
        let sidecar = Setup::new(&aws).start().await;
        let reported = sidecar.wait_condition(RoleAssumed, ConditionStatus::False, reason, DEFAULT_TIMEOUT).await;
        assert!(reported.message.contains("retried"), "{broken:?}: {}", reported.message);
        let ready = sidecar.get_admin("/readyz").await;
        assert_eq!(ready.status, 503, "{broken:?}");
        assert!(ready.text().starts_with(&format!("RoleAssumed {reason}: ")), "{broken:?}: {}", ready.text());
        assert_eq!(sidecar.status().await.session, None, "{broken:?}");
        let answer = sidecar.send("/v1/track", &track(0)).await;
        assert_eq!(answer.status, 503, "{broken:?}");
        aws.faults([]);
        until("a session", Duration::from_secs(30), async || {
            (sidecar.send("/v1/track", &track(0)).await.status == 200).then_some(())
        })
        .await;
        assert_exactly(&aws.objects(), &message_ids(1));
        assert_eq!(aws.puts_answered("InvalidAccessKeyId") + aws.puts_answered("SignatureDoesNotMatch"), 0);
    }
}

/// A session of an earlier external ID must not be used once the namespace may not use the current one.
#[tokio::test]
async fn an_external_id_that_the_platform_forbids_ends_the_session_immediately() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).function(Function::new().external_id_prefix(&EXTERNAL_ID[..4])).start().await;
    sidecar.wait_ready().await;
    assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
    sidecar.write_external_id("another-3kF9");
    sidecar.wait_condition(RoleAssumed, ConditionStatus::False, Reason::ExternalIdNotAllowed, DEFAULT_TIMEOUT).await;
    let refused = sidecar.send("/v1/track", &track(1)).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("ExternalIdNotAllowed"), "{}", refused.text());
    assert!(sidecar.status().await.session.is_none());
    sidecar.write_external_id(EXTERNAL_ID);
    sidecar.wait_condition(RoleAssumed, ConditionStatus::True, Reason::Ok, DEFAULT_TIMEOUT).await;
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    assert_exactly(&aws.objects(), &message_ids(2));
}

#[tokio::test]
async fn in_audit_mode_a_forbidden_external_id_is_reported_and_used() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).function(Function::new().audited_external_id_prefix("shop/")).start().await;
    sidecar.wait_ready().await;
    let reported = sidecar.condition(ExternalIdAvailable).await;
    assert_eq!(
        (reported.status, reported.reason),
        (ConditionStatus::True, Reason::ExternalIdNotAllowed),
        "{}",
        reported.message
    );
    assert!(reported.message.contains("does not begin with shop/") && !reported.message.contains(EXTERNAL_ID));
    assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
}

#[tokio::test]
async fn traffic_does_not_shorten_the_backoff_for_a_throttling_sts() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("Throttling"))]);
    let sidecar = Setup::new(&aws).start().await;
    let traffic = Traffic::start(&sidecar, EVENT_INTERVAL);
    tokio::time::sleep(Duration::from_secs(25)).await;
    // The pauses are 1, 2, 4, 8 and 16 s, each shortened by up to half.
    let calls = aws.assume_role_calls().len();
    println!("{calls} calls of AssumeRole in 25 s");
    assert!((4..=6).contains(&calls), "{calls} calls of AssumeRole in 25 s");
    assert_eq!(sidecar.condition(RoleAssumed).await.reason, Reason::Throttled);
    aws.faults([]);
    // The current pause may be 32 s, or the maximum of 60 s.
    traffic.wait_stored(Duration::from_secs(70)).await;
    traffic.finish().await;
}

#[tokio::test]
async fn a_new_session_that_s3_keeps_refusing_is_replaced_once_and_then_reported() {
    for code in ["InvalidToken", "InvalidAccessKeyId", "ExpiredToken"] {
        let aws = Aws::start(&World::new()).await;
        aws.faults([puts(error(code))]);
        let sidecar = Setup::new(&aws).start().await;
        sidecar.wait_ready().await;
        let traffic = Traffic::start(&sidecar, EVENT_INTERVAL);
        let reported =
            sidecar.wait_condition(BucketWritable, ConditionStatus::False, Reason::S3Error, DEFAULT_TIMEOUT).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let sessions = aws.sessions();
        println!("{code}: {sessions} sessions in 20 s");
        assert_eq!(sessions, 2, "{code}");
        for part in [code, "the session that replaced it", "session tokens", "endpoint"] {
            assert!(reported.message.contains(part), "{part:?} is not in {:?}", reported.message);
        }
        let refused = sidecar.send("/v1/track", &track(100_000)).await;
        assert_eq!((refused.status, refused.code().as_str()), (503, "S3Error"), "{code}");

        aws.faults([]);
        traffic.wait_stored(RECOVERY_TIMEOUT).await;
        assert_eq!(aws.sessions(), 2, "{code}: the session that there is will do");
        // A session that has stored an object is replaced immediately.
        aws.faults([Fault { count: Some(1), ..puts(error(code)) }]);
        until("the session is replaced", DEFAULT_TIMEOUT, async || (aws.sessions() == 3).then_some(())).await;
        traffic.wait_stored(DEFAULT_TIMEOUT).await;
        traffic.finish().await;
    }
}

#[tokio::test]
async fn clock_skew_to_sts_is_reported_with_the_difference() {
    let now = SystemTime::now();
    for (sts_time, difference) in [(now + 20 * MINUTE, "20 minutes behind"), (now - 3 * HOUR, "3 hours ahead of")] {
        let aws = Aws::start_at(&World::new(), Clock::scaled(sts_time, 1.0)).await;
        let sidecar = Setup::new(&aws).start().await;
        let reported =
            sidecar.wait_condition(RoleAssumed, ConditionStatus::False, Reason::ClockSkewed, DEFAULT_TIMEOUT).await;
        for part in [difference, "STS", "NTP"] {
            assert!(reported.message.contains(part), "{part:?} is not in {:?}", reported.message);
        }
        let traffic = Traffic::start(&sidecar, EVENT_INTERVAL);
        aws.clock().set(SystemTime::now());
        traffic.wait_stored(RECOVERY_TIMEOUT).await;
        traffic.finish().await;
        sidecar.wait_condition(RoleAssumed, ConditionStatus::True, Reason::Ok, DEFAULT_TIMEOUT).await;
    }
}

#[tokio::test]
async fn clock_skew_to_s3_costs_an_attempt_and_no_event() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let attempts = async || sidecar.metric("upload_errors_total{code=\"ClockSkewed\"}").await;
    for ahead in [true, false] {
        let (now, before) = (SystemTime::now(), attempts().await);
        aws.clock().set(if ahead { now + 20 * MINUTE } else { now - 20 * MINUTE });
        // The sidecar reads S3's time from the refusal, and signs with it from then on.
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
async fn a_failing_renewal_is_reported_immediately_while_the_old_session_stays_in_use() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    assert_eq!(sidecar.metric("session_renewal_failing").await, 0.0);
    assert!(sidecar.metrics().await.contains("tributary_session_renewal_failures_total 0"));
    let traffic = Traffic::start(&sidecar, EVENT_INTERVAL);
    let before = sidecar.status().await.session.expect("a session");

    sidecar.write_external_id("another-one");
    let reported =
        sidecar.wait_condition(RoleAssumed, ConditionStatus::True, Reason::RenewalFailing, DEFAULT_TIMEOUT).await;
    for part in ["its renewal has failed since", "sts:ExternalId", "traffic stops at", &before.expiry] {
        assert!(reported.message.contains(part), "{part:?} is not in {:?}", reported.message);
    }
    assert!(!reported.message.contains("another-one"));
    // After several retries.
    until("the renewal was retried", DEFAULT_TIMEOUT, async || {
        (sidecar.metric("session_renewal_failures_total").await >= 3.0).then_some(())
    })
    .await;
    assert_eq!(sidecar.metric("session_renewal_failing").await, 1.0);
    let session = sidecar.status().await.session.expect("a session");
    assert_eq!(session.expiry, before.expiry);
    let left = parse_time(&session.next_refresh).duration_since(SystemTime::now()).unwrap_or_default();
    assert!(left <= MINUTE, "the next try is only at {}", session.next_refresh);
    let warnings = sidecar.output().lines().filter(|line| line.contains("RenewalFailing")).count();
    assert_eq!(warnings, 1, "{}", sidecar.output());
    assert!(sidecar.output().lines().any(|line| line.contains("RenewalFailing") && line.contains("\"WARN\"")));

    sidecar.write_external_id(EXTERNAL_ID);
    sidecar.wait_condition(RoleAssumed, ConditionStatus::True, Reason::Ok, Duration::from_secs(5)).await;
    assert_eq!(sidecar.metric("session_renewal_failing").await, 0.0);
    let outcomes = traffic.finish().await;
    assert!(outcomes.iter().all(|outcome| outcome.status == Some(200)), "{outcomes:?}");
}

#[tokio::test]
async fn a_changed_external_id_is_tried_immediately_even_while_sts_throttles() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("Throttling"))]);
    let sidecar = Setup::new(&aws).start().await;
    until("the pauses are long", Duration::from_secs(30), async || (aws.assume_role_calls().len() >= 5).then_some(()))
        .await;
    let calls = aws.assume_role_calls().len();
    sidecar.write_external_id("another-one");
    until("a session is requested", Duration::from_secs(3), async || {
        (aws.assume_role_calls().len() > calls).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(aws.assume_role_calls().len(), calls + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_sts_answer_is_read_only_up_to_a_limit() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.sts = tributary_tests::endless::server().await;
    let sidecar = setup.start().await;
    let before = sidecar.peak_memory();
    until("the answer does not count as a session", DEFAULT_TIMEOUT, async || {
        let reported = sidecar.condition(RoleAssumed).await;
        (reported.status == ConditionStatus::False).then_some(())
    })
    .await;
    let grown = (sidecar.peak_memory() - before) >> 20;
    assert!(grown < 8, "{grown} MiB more for one answer");
}
