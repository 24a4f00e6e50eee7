//! Sessions are renewed and replaced without a failed upload.

use super::*;

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
