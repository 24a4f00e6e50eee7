//! Tests how a sidecar starts, reports whether it is ready, and exits.

use std::time::{Duration, Instant};

use serde_json::json;
use tributary_crds::conditions::ConditionType::{
    BucketWritable, ExternalIdAvailable, ExternalIdEnforced, IngestConfigured, RoleAssumed,
};
use tributary_crds::conditions::{ConditionStatus, Reason};
use tributary_crds::policy;
use tributary_tests::aws::{error, latency, puts};
use tributary_tests::encode::gzip;
use tributary_tests::event::{message_id, track};
use tributary_tests::raw::RawConnection;
use tributary_tests::stored::assert_exactly;
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::world::{BUCKET, ROLE};
use tributary_tests::{Aws, ClosedPort, ExitOutput, Function, Ports, Setup, World, start_ready};

/// EX_USAGE of sysexits.h.
const EX_USAGE: i32 = 64;

#[tokio::test]
async fn it_listens_immediately_and_is_ready_with_its_first_session() {
    let aws = Aws::start(&World::new()).await;
    let closed_port = ClosedPort::bind();
    let mut setup = Setup::new(&aws);
    setup.sts = closed_port.endpoint();
    let start = Instant::now();
    let sidecar = setup.start().await;
    assert_eq!(sidecar.get_admin("/healthz").await.status, 200);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(sidecar.get_admin("/readyz").await.status, 503);
    sidecar.wait_condition(RoleAssumed, ConditionStatus::False, Reason::StsUnreachable, DEFAULT_TIMEOUT).await;
    assert_eq!(sidecar.get_admin("/readyz").await.status, 503);
    assert_eq!(sidecar.get_admin("/healthz").await.status, 200, "a restart would not help");
    closed_port.open(&aws);
    // Without any event: the sidecar retries by itself.
    until("/readyz is 200", Duration::from_secs(40), async || {
        (sidecar.get_admin("/readyz").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_stays_ready_when_s3_fails() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    aws.faults([puts(error("AccessDenied"))]);
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 503);
    sidecar.wait_condition(BucketWritable, ConditionStatus::False, Reason::AccessDenied, DEFAULT_TIMEOUT).await;
    assert_eq!(sidecar.get_admin("/readyz").await.status, 200);
}

#[tokio::test]
async fn its_status_reports_configuration_conditions_and_session() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    let status = sidecar.status().await;
    assert_eq!((status.generation, status.config_hash.as_str()), (3, "5f2a"));
    assert_eq!((status.in_flight, status.last_error), (0, None));
    let held: Vec<_> = status.conditions.iter().map(|c| (c.r#type, c.status, c.reason)).collect();
    let all = [ExternalIdAvailable, IngestConfigured, RoleAssumed, ExternalIdEnforced, BucketWritable];
    assert_eq!(held, all.map(|r#type| (r#type, ConditionStatus::True, Reason::Ok)));
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let now = jiff::Timestamp::now();
    for condition in &status.conditions {
        let age = now.duration_since(time(&condition.since)).as_secs();
        assert!((-1..60).contains(&age), "{}: {}", condition.r#type, condition.since);
    }
    let session = status.session.unwrap();
    let minutes = |text: &str| time(text).duration_since(now).as_secs() / 60;
    assert!((58..=60).contains(&minutes(&session.expiry)), "{}", session.expiry);
    assert!((25..=33).contains(&minutes(&session.next_refresh)), "{}", session.next_refresh);
}

#[tokio::test]
async fn its_session_is_named_after_the_function_and_has_a_minimal_policy() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let calls = aws.assume_role_calls();
    assert_eq!(calls.len(), 3, "a session, and two probes");
    let may_put = policy::permissions(&Function::new().config().spec).to_json();
    for call in calls {
        assert_eq!(call.session_name.as_deref(), Some("shop.orders"));
        assert_eq!(call.role.as_deref(), Some(ROLE));
        // A session without the external ID is a probe, and may do nothing.
        let may = if call.status == Some(200) { may_put.clone() } else { policy::nothing().to_json() };
        assert_eq!(call.session_policy, Some(may));
    }
    let named = Setup::new(&aws).function(Function::new().with("sessionName", json!("segment-function")));
    named.start().await.wait_ready().await;
    assert_eq!(aws.assume_role_calls()[3].session_name.as_deref(), Some("segment-function"));
}

/// The kubelet's timeout for a probe, as the operator sets it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overloaded_sidecar_still_answers_the_kubelets_probes() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    let event = json!({"type": "\"".repeat(300), "userId": "u"});
    let body = gzip(json!(vec![event; 4_000]).to_string().as_bytes());
    let mut request =
        format!("POST / HTTP/1.1\r\nHost: s\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len())
            .into_bytes();
    request.extend(body);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let mut raw = RawConnection::connect(sidecar.events).await;
        let pipelined = request.repeat(20);
        clients.spawn(async move {
            raw.try_write(pipelined).await;
            raw.read_to_end().await
        });
    }
    let answered = async || {
        let metrics = sidecar.metrics().await;
        metrics.lines().any(|line| {
            line.starts_with("tributary_requests_total{path=\"/\",status=\"400\"}") && !line.ends_with(" 0")
        })
    };
    until("they are being answered", DEFAULT_TIMEOUT, async || answered().await.then_some(())).await;
    for path in ["/healthz", "/readyz"].repeat(5) {
        let asked = Instant::now();
        assert_eq!(sidecar.get_admin(path).await.status, 200);
        assert!(asked.elapsed() < PROBE_TIMEOUT, "{path} took {:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(sidecar.metric("connections").await > 0.0, "the load ended too early");
}

#[tokio::test]
async fn after_sigterm_it_is_not_ready_and_still_accepts_events() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.flags = vec!["--drain-delay", "3"];
    let mut sidecar = setup.start().await;
    sidecar.wait_ready().await;
    let start = Instant::now();
    sidecar.terminate();
    until("/readyz is 503", DEFAULT_TIMEOUT, async || (sidecar.get_admin("/readyz").await.status == 503).then_some(()))
        .await;
    assert_eq!(sidecar.get_admin("/healthz").await.status, 200);
    // A new connection, as of a client that does not know yet.
    let late = Ports::new(sidecar.events, sidecar.admin).send("/v1/track", &track(1)).await;
    assert_eq!(late.status, 200);
    assert_eq!(late.headers["connection"], "close");
    assert_eq!(sidecar.wait_exit(Duration::from_secs(30)).await.code(), Some(0));
    assert!(start.elapsed() >= Duration::from_secs(3), "it exited while a Service may still route to it");
    assert_exactly(&aws.objects(), &[message_id(1)]);
}

#[tokio::test]
async fn it_exits_without_requests_in_flight() {
    let aws = Aws::start(&World::new()).await;
    let mut sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    sidecar.terminate();
    assert_eq!(sidecar.wait_exit(Duration::from_secs(10)).await.code(), Some(0));
}

#[tokio::test]
async fn it_exits_before_it_was_ever_ready() {
    let aws = Aws::start(&World::new().external_id("another-one")).await;
    let mut sidecar = Setup::new(&aws).start().await;
    sidecar.wait_condition(RoleAssumed, ConditionStatus::False, Reason::AccessDenied, DEFAULT_TIMEOUT).await;
    sidecar.terminate();
    assert_eq!(sidecar.wait_exit(Duration::from_secs(10)).await.code(), Some(0));
}

#[tokio::test]
async fn a_hanging_request_does_not_delay_the_exit_beyond_the_drain_grace() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.flags = vec!["--drain-delay", "0", "--drain-grace", "1"];
    let mut sidecar = setup.start().await;
    sidecar.wait_ready().await;
    aws.faults([puts(latency(Duration::from_secs(60)))]);
    let ports = Ports::clone(&sidecar);
    let hanging = tokio::spawn(async move { ports.try_send("/v1/track", &track(1)).await });
    until("an event is in flight", DEFAULT_TIMEOUT, async || (sidecar.status().await.in_flight == 1).then_some(()))
        .await;
    let start = Instant::now();
    sidecar.terminate();
    assert_eq!(sidecar.wait_exit(Duration::from_secs(30)).await.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert!(hanging.await.unwrap().is_err(), "the hanging request must get no answer");
}

/// The sidecar can't know whether the rest of the head will ever come.
#[tokio::test]
async fn an_incomplete_head_does_not_delay_the_exit_for_the_drain_grace() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.flags = vec!["--drain-delay", "0", "--drain-grace", "30"];
    let mut sidecar = setup.start().await;
    sidecar.wait_ready().await;
    let mut half = RawConnection::connect(sidecar.events).await;
    half.write("POST /v1/track HTTP/1.1\r\nHost: s\r\n").await;
    until("it is accepted", DEFAULT_TIMEOUT, async || (sidecar.metric("connections").await >= 1.0).then_some(())).await;
    let start = Instant::now();
    sidecar.terminate();
    assert_eq!(sidecar.wait_exit(DEFAULT_TIMEOUT).await.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
}

#[tokio::test]
async fn two_functions_store_events_only_under_their_own_prefixes() {
    let aws = Aws::start(&World::new()).await;
    let prefixed = |prefix: &str| Setup::new(&aws).function(Function::new().with("s3.prefix", json!(prefix)));
    let (one, two) = (prefixed("one/").start().await, prefixed("two/").start().await);
    one.wait_ready().await;
    two.wait_ready().await;
    assert_eq!(one.send("/v1/track", &track(1)).await.status, 200);
    assert_eq!(two.send("/v1/track", &track(2)).await.status, 200);
    let places: Vec<_> = aws.objects().into_iter().map(|object| (object.bucket, object.key)).collect();
    let place = |prefix: &str, i| (BUCKET.to_owned(), format!("{prefix}{}", tributary_tests::event::track_key(i)));
    assert_eq!(places, [place("one/", 1), place("two/", 2)]);
}

/// Runs a misconfigured sidecar until it exits.
async fn run_misconfigured(change: impl FnOnce(&mut Setup)) -> ExitOutput {
    let mut setup = Setup::new(&Aws::start(&World::new()).await);
    change(&mut setup);
    setup.run().await
}

/// Asserts that the sidecar exits with EX_USAGE and one line on standard error that contains `expected`.
fn assert_usage_error(ended: &ExitOutput, expected: &str) {
    let line = &ended.stderr;
    assert_eq!(ended.code, Some(EX_USAGE), "{line}");
    assert_eq!(line.lines().count(), 1, "not one line: {line}");
    assert!(line.starts_with("tributary-sidecar: "), "{line}");
    assert!(line.contains(expected), "{expected:?} is not in {line}");
    assert_eq!(ended.stdout, "");
}

#[tokio::test]
async fn invalid_flags_are_reported_in_one_line() {
    let cases: [(&[&str], &str); 6] = [
        (&["--nonsense"], "--nonsense"),
        (&["--drain-delay", "soon"], "soon"),
        (&["--region=-"], "a region has lower-case letters, digits and hyphens"),
        (&["--region", "us west/2"], "a region has lower-case letters, digits and hyphens"),
        (&["--drain-grace", "-1"], "-1"),
        (&["--log-level", "debug"], "--log-level"),
    ];
    for (flags, expected) in cases {
        assert_usage_error(&run_misconfigured(|setup| setup.flags = flags.to_vec()).await, expected);
    }
}

#[tokio::test]
async fn an_invalid_function_is_reported_in_one_line() {
    let cases = [
        ("roleArn", json!("my-role"), "my-role"),
        ("roleArn", json!("my\nrole"), "my role"),
        ("roleArn", json!(null), "roleArn"),
        ("s3.region", json!("us west 2"), "us west 2"),
        ("s3.prefix", json!("no-slash"), "no-slash"),
        ("s3.bucket", json!("Under_score"), "Under_score"),
        ("delivery.key", json!("{nonsense}"), "{nonsense}"),
        ("delivery.key", json!("{type}.json"), "no {messageId}"),
        ("delivery", json!({"mode": "Batch", "key": "{type}.json"}), "no {batchId}"),
    ];
    for (path, value, expected) in cases {
        assert_usage_error(
            &run_misconfigured(|setup| setup.function = Function::new().with(path, value)).await,
            expected,
        );
    }
}

/// Otherwise write access to the file would suffice to change the sidecar's configuration.
#[tokio::test]
async fn a_function_with_another_digest_is_refused() {
    let ended = run_misconfigured(|setup| setup.flags = vec!["--config-sha256", "5f1c0c5e"]).await;
    assert_usage_error(&ended, "was not written by the operator: its SHA-256 is ");
}

#[tokio::test]
async fn a_port_in_use_is_a_failure_but_no_usage_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run_misconfigured(|setup| setup.listen.clone_from(&address)).await;
    assert_eq!(ended.code, Some(1));
    assert!((ended.stdout + &ended.stderr).contains(&format!("binding {address}")));
}

#[tokio::test]
async fn help_and_version_exit_successfully() {
    for (flag, expected) in [("--help", "--secrets-dir"), ("--version", "tributary-sidecar ")] {
        let ended = run_misconfigured(|setup| setup.flags = vec![flag]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.contains(expected), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn the_log_level_is_raised_while_the_sidecar_runs_and_never_lowered() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    let send_and_count_logged = async |i| {
        assert_eq!(sidecar.send("/v1/track", &track(i)).await.status, 200);
        sidecar.log_lines("request").len()
    };
    assert_eq!(send_and_count_logged(0).await, 0, "requests are logged at info");
    for other in ["", "loud", "DEBUG", "error", "warn", "info"] {
        assert_eq!(sidecar.get_status_with_log_level(other).await.status, 200);
    }
    assert_eq!(send_and_count_logged(1).await, 0);
    assert!(sidecar.log_lines("the log level changed").is_empty(), "{}", sidecar.output());

    assert_eq!(sidecar.get_status_with_log_level("debug").await.status, 200);
    until("debug is logged", DEFAULT_TIMEOUT, async || (send_and_count_logged(2).await > 0).then_some(())).await;
    assert!(sidecar.log_lines("the body is read").is_empty(), "steps are logged at debug");
    sidecar.get_status_with_log_level("trace").await;
    until("trace is logged", DEFAULT_TIMEOUT, async || {
        send_and_count_logged(3).await;
        (!sidecar.log_lines("the body is read").is_empty()).then_some(())
    })
    .await;
    sidecar.get_status_with_log_level("error").await;
    until("info is logged again", DEFAULT_TIMEOUT, async || {
        let before = send_and_count_logged(4).await;
        (send_and_count_logged(5).await == before).then_some(())
    })
    .await;
    let levels: Vec<_> = sidecar.log_lines("the log level changed").iter().map(|line| line["level"].clone()).collect();
    assert_eq!(levels.len(), 3, "{levels:?}");
}
