//! Tests that sessions are renewed and replaced without a failed upload.

use super::*;

/// An AWS and a ready sidecar whose clock runs `speed` times faster.
async fn start_accelerated(speed: f64) -> (Aws, InProcess) {
    let aws = Aws::start_at(&World::new(), Clock::scaled(SystemTime::now(), speed)).await;
    let sidecar = InProcess::start(&aws, &Function::new()).await;
    (aws, sidecar)
}

/// Sleeps for `time` on the clock of `aws`.
async fn sleep_scaled(aws: &Aws, time: Duration) {
    tokio::time::sleep(aws.clock().real_duration(time)).await;
}

/// Sends one event per `every` for `time`, both on the clock of `aws`, and asserts that each is answered 200. `numbers`
/// is the number of the next event.
async fn upload_for(aws: &Aws, sidecar: &InProcess, time: Duration, every: Duration, numbers: &mut usize) {
    let end = aws.clock().monotonic() + time;
    while aws.clock().monotonic() < end {
        let answer = sidecar.send("/v1/track", &track(*numbers)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        *numbers += 1;
        sleep_scaled(aws, every).await;
    }
}

/// When the sidecar's session expires.
async fn session_expiry(sidecar: &InProcess) -> SystemTime {
    let session = sidecar.status().await.session.expect("a session");
    session.expiry.parse::<jiff::Timestamp>().expect("a time").into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_needs_about_fifty_sessions_and_no_concurrent_sts_calls() {
    let (aws, sidecar) = start_accelerated(960.0).await;
    // If two calls overlapped, they would end less than this apart.
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
    // The first session and its two probes were requested before calls were delayed.
    let ends: Vec<_> = calls.iter().skip(3).map(|call| call.time).collect();
    for pair in ends.windows(2) {
        let apart = pair[1].duration_since(pair[0]).unwrap_or_default();
        assert!(apart >= call, "two calls at once: they ended {apart:?} apart");
    }
    assert!(sent > 100, "{sent} events");
    assert_exactly(&aws.objects(), &message_ids(sent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_sts_is_unreachable_a_session_is_used_until_it_expires() {
    let (aws, sidecar) = start_accelerated(240.0).await;
    let mut sent = 0;
    upload_for(&aws, &sidecar, 31 * MINUTE, MINUTE, &mut sent).await;
    aws.faults([sts(Action::Refuse)]);
    // A call in flight may still have returned a session.
    sleep_scaled(&aws, MINUTE).await;
    let end = session_expiry(&sidecar).await;
    let left = end.duration_since(aws.clock().now()).expect("a session that lives");
    upload_for(&aws, &sidecar, left - 3 * MINUTE, MINUTE, &mut sent).await;
    let lives = sidecar.condition(RoleAssumed).await;
    assert_eq!(lives.status, ConditionStatus::True);
    assert!(lives.message.contains("its renewal has failed since"), "{}", lives.message);
    assert!(lives.message.contains("can't be reached"), "{}", lives.message);

    sleep_scaled(&aws, 4 * MINUTE).await;
    let ended =
        sidecar.wait_condition(RoleAssumed, ConditionStatus::False, Reason::StsUnreachable, DEFAULT_TIMEOUT).await;
    assert!(ended.message.contains("failing since"), "{}", ended.message);
    let refused = sidecar.send("/v1/track", &track(sent)).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "StsUnreachable"));
    assert!(refused.has_valid_retry_after() && refused.hides_owner_details(), "{}", refused.text());
    assert_eq!(sidecar.status().await.session, None);
    assert_eq!(sidecar.get_admin("/readyz").await.status, 200);
    assert_exactly(&aws.objects(), &message_ids(sent));

    aws.faults([]);
    until("a session again", Duration::from_secs(30), async || {
        (sidecar.send("/v1/track", &track(sent)).await.status == 200).then_some(())
    })
    .await;
    sent += 1;
    upload_for(&aws, &sidecar, 10 * MINUTE, MINUTE, &mut sent).await;
    assert_exactly(&aws.objects(), &message_ids(sent));
}

#[tokio::test]
async fn a_session_that_s3_reports_as_expired_is_replaced_once_and_no_event_is_lost() {
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
    assert_exactly(&aws.objects(), &message_ids(10));
}

#[tokio::test]
async fn uploads_refused_at_the_same_time_share_one_new_session() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    // All uploads are in flight before the first one is refused.
    let slow = puts(latency(Duration::from_secs(2)));
    aws.faults([slow, Fault { count: Some(20), ..puts(error("ExpiredToken")) }]);
    let requests: Vec<_> = (0..20).map(track).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|event| sidecar.send("/v1/track", event))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(aws.puts_answered("ExpiredToken"), 20);
    assert_eq!(aws.sessions(), 2);
    assert_exactly(&aws.objects(), &message_ids(20));
}

#[tokio::test]
async fn a_broken_sts_answer_leaves_the_current_session_in_use() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let before = sidecar.status().await.session;
    aws.faults([sts(Action::TruncateBody)]);
    // A changed external ID makes the sidecar call STS immediately.
    aws.set(&World::new().external_id("rotated"));
    aws.faults([sts(Action::TruncateBody)]);
    sidecar.write_external_id("rotated");
    until("the renewal has failed", DEFAULT_TIMEOUT, async || {
        sidecar.condition(RoleAssumed).await.message.contains("its renewal has failed").then_some(())
    })
    .await;
    assert_eq!(sidecar.status().await.session.map(|session| session.expiry), before.map(|session| session.expiry));
    assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
    assert_exactly(&aws.objects(), &message_ids(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_external_id_is_applied_without_a_failed_upload() {
    let (aws, sidecar) = start_accelerated(240.0).await;
    let mut sent = 0;
    upload_for(&aws, &sidecar, 10 * MINUTE, MINUTE, &mut sent).await;
    aws.set(&World::new().external_id("rotated-once"));
    sidecar.write_external_id("rotated-once");
    // Long after any session of the old external ID has expired.
    upload_for(&aws, &sidecar, 80 * MINUTE, MINUTE, &mut sent).await;
    let after_first = aws.sessions();
    assert!(after_first >= 3, "{after_first} sessions");

    // In the other order: STS refuses the new external ID until the role requires it.
    sidecar.write_external_id("rotated-twice");
    until("the new ID is refused", DEFAULT_TIMEOUT, async || {
        sidecar.condition(RoleAssumed).await.message.contains("its renewal has failed").then_some(())
    })
    .await;
    upload_for(&aws, &sidecar, 5 * MINUTE, MINUTE, &mut sent).await;
    aws.set(&World::new().external_id("rotated-twice"));
    upload_for(&aws, &sidecar, 80 * MINUTE, MINUTE, &mut sent).await;
    assert!(aws.sessions() > after_first);
    assert_eq!(sidecar.condition(RoleAssumed).await.status, ConditionStatus::True);
    assert_stored_once(&aws.objects(), &message_ids(sent));
    assert_exactly(&aws.objects(), &message_ids(sent));
}
