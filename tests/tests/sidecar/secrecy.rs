//! Tests that no secret leaves the sidecar: not in a log at any level, not on the admin port, not in an answer, not in
//! an object. Every secret that it handles is a canary that the test then searches for everywhere. Also tests that logs
//! contain no personal data.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};
use tributary_crds::sidecar_config::SecretUse;
use tributary_local_aws::Action;
use tributary_tests::aws::{error, puts, respond, sts};
use tributary_tests::event::track;
use tributary_tests::tap::Tap;
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::world::{ACCESS_KEY_ID, EXTERNAL_ID, SECRET_ACCESS_KEY};
use tributary_tests::{Aws, Function, Ports, Setup, SidecarProcess, World};

const WRITE_KEY: &str = "wk-canary-8Jq2";
const SIGNING_SECRET: &str = "signing-canary-3Xw7";
const BAD_KEY_CANARY: &str = "key-canary with spaces";
const BAD_SECRET_CANARY: &str = "canary but no external ID";

/// A sidecar that logs at `trace`, and the text of everything else that it has emitted so far.
struct ObservedSidecar {
    aws: Aws,
    tap: Tap,
    sidecar: SidecarProcess,
    observed: String,
}

impl ObservedSidecar {
    async fn start(world: &World, change: impl FnOnce(&mut Setup)) -> Self {
        let aws = Aws::start(world).await;
        let tap = Tap::start(aws.address()).await;
        let mut setup = Setup::new(&aws).function(Function::new().with("logLevel", json!("trace")));
        setup.sts = tap.endpoint();
        change(&mut setup);
        let sidecar = setup.start().await;
        Self { aws, tap, sidecar, observed: String::new() }
    }

    /// Sends a body with the write key in a header, records the answer, and returns its status.
    async fn send(&mut self, path: &str, body: String) -> u16 {
        let basic = base64_simd::STANDARD.encode_to_string(format!("{WRITE_KEY}:"));
        let headers = [("authorization", format!("Basic {basic}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let ports = Ports::clone(&self.sidecar);
        let answer = ports.request(Method::POST, path, &headers, body).await.expect("an answer");
        self.observed += &format!("{:?}\n{}\n", answer.headers, answer.text());
        answer.status
    }

    /// Sends a valid event, with the write key in its body too.
    async fn send_event(&mut self, i: usize) -> u16 {
        self.send("/v1/track", with_write_key(track(i))).await
    }

    async fn wait(&self, condition: ConditionType, truth: ConditionStatus, reason: Reason) {
        self.sidecar.wait_condition(condition, truth, reason, DEFAULT_TIMEOUT).await;
    }

    async fn record_admin_answers(&mut self) {
        for path in ["/status", "/metrics", "/healthz", "/readyz", "/nothing"] {
            let answer = self.sidecar.get_admin(path).await;
            self.observed += &format!("{path}: {:?}\n{}\n", answer.headers, answer.text());
        }
    }

    /// Terminates the sidecar, and searches for every secret in its log, answers and objects.
    async fn assert_no_leak(mut self) {
        self.record_admin_answers().await;
        self.sidecar.terminate();
        assert_eq!(self.sidecar.wait_exit(Duration::from_secs(30)).await.code(), Some(0));
        let log = self.sidecar.output();
        assert!(log.lines().count() > 3, "there is no log to search");
        for object in self.aws.objects() {
            self.observed += &format!("{}\n{}\n", object.key, String::from_utf8_lossy(&object.body));
        }
        let basic = base64_simd::STANDARD.encode_to_string(format!("{WRITE_KEY}:"));
        let planted = [EXTERNAL_ID, SECRET_ACCESS_KEY, ACCESS_KEY_ID, WRITE_KEY, &basic, SIGNING_SECRET];
        let mut secrets: Vec<String> =
            planted.into_iter().chain([BAD_SECRET_CANARY, BAD_KEY_CANARY]).map(str::to_owned).collect();
        for element in ["SessionToken", "SecretAccessKey", "AccessKeyId"] {
            secrets.extend(self.tap.captured(element));
        }
        // Some secrets are percent-encoded in a request to STS.
        let encoded: Vec<_> = secrets.iter().map(|secret| secret.replace('/', "%2F").replace('=', "%3D")).collect();
        for secret in secrets.iter().chain(&encoded) {
            assert!(secret.len() > 8, "{secret:?} is too short to search for");
            for (place, text) in [("the log", &log), ("its answers or objects", &self.observed)] {
                let line = text.lines().find(|line| line.contains(secret.as_str()));
                assert_eq!(line, None, "{secret} is in {place}");
            }
        }
    }
}

fn with_write_key(mut event: Value) -> String {
    event["writeKey"] = json!(WRITE_KEY);
    event.to_string()
}

#[tokio::test]
async fn no_secret_leaks_when_events_are_stored() {
    let mut watched = ObservedSidecar::start(&World::new(), |_| {}).await;
    watched.sidecar.wait_ready().await;
    for i in 0..5 {
        assert_eq!(watched.send_event(i).await, 200);
    }
    let events: Vec<_> = (5..8).map(|i| serde_json::from_str::<Value>(&with_write_key(track(i))).unwrap()).collect();
    assert_eq!(watched.send("/v1/batch", json!({"batch": events, "writeKey": WRITE_KEY}).to_string()).await, 200);
    assert_eq!(watched.aws.objects().len(), 8);
    assert_eq!(watched.tap.captured("SessionToken").len(), 1, "the session token was not captured");
    watched.assert_no_leak().await;
}

#[tokio::test]
async fn no_secret_leaks_when_requests_are_refused() {
    let mut watched = ObservedSidecar::start(&World::new(), |_| {}).await;
    watched.sidecar.wait_ready().await;
    let mut without_user = track(1);
    without_user["userId"] = json!(null);
    let bodies = [
        with_write_key(without_user.clone()),
        with_write_key(json!({"userId": "u"})),
        with_write_key(json!({"userId": "u", "event": ["x"]})),
        format!(r#"{{"writeKey":"{WRITE_KEY}","writeKey":"{WRITE_KEY}2","userId":"u","event":"e"}}"#),
        format!(r#"{{"writeKey":"{WRITE_KEY}","userId":"u""#),
        format!(r#""{WRITE_KEY}""#),
        WRITE_KEY.to_owned(),
    ];
    for body in bodies {
        assert_eq!(watched.send("/v1/track", body.clone()).await, 400, "{body}");
    }
    let batches = [
        json!({"batch": [without_user], "writeKey": WRITE_KEY}).to_string(),
        json!({"batch": 5, "writeKey": WRITE_KEY}).to_string(),
        json!({"batch": [{"writeKey": WRITE_KEY, "type": "nonsense"}]}).to_string(),
    ];
    for body in batches {
        assert_eq!(watched.send("/v1/batch", body.clone()).await, 400, "{body}");
    }
    assert_eq!(watched.send(&format!("/v1/{WRITE_KEY}"), with_write_key(track(1))).await, 404);
    assert_eq!(watched.send(&format!("/v1/track?writeKey={WRITE_KEY}"), "{}".to_owned()).await, 400);
    watched.assert_no_leak().await;
}

#[tokio::test]
async fn write_keys_and_signing_secrets_do_not_leak() {
    let function = Function::new()
        .with("logLevel", json!("trace"))
        .with("ingest.writeKeySecretRef", json!({"name": "keys", "key": "writeKey"}))
        .with("ingest.signatureSecretRef", json!({"name": "segment", "key": "secret"}));
    let mut watched = ObservedSidecar::start(&World::new(), |setup| {
        *setup = setup.clone().function(function).secret(SecretUse::WriteKey, "writeKey", WRITE_KEY);
        *setup = setup.clone().secret(SecretUse::Signature, "secret", SIGNING_SECRET);
    })
    .await;
    watched.sidecar.wait_ready().await;
    assert_eq!(watched.send_event(0).await, 200);
    watched.sidecar.publish(SecretUse::WriteKey, &[("writeKey", "another-one")]);
    until("the key is another", DEFAULT_TIMEOUT, async || (watched.send_event(0).await == 401).then_some(())).await;
    for (r#use, key) in [(SecretUse::WriteKey, "writeKey"), (SecretUse::Signature, "secret")] {
        watched.sidecar.publish(r#use, &[(key, BAD_KEY_CANARY)]);
    }
    // A signing secret may have any value: requests that are signed with it are accepted.
    watched.wait(ConditionType::IngestConfigured, ConditionStatus::True, Reason::WriteKeyNotFound).await;
    assert_eq!(watched.send_event(0).await, 503);
    watched.assert_no_leak().await;
}

#[tokio::test]
async fn no_secret_leaks_when_sts_refuses_and_external_ids_are_rotated() {
    let mut watched = ObservedSidecar::start(&World::new().external_id("something-else"), |_| {}).await;
    watched.wait(ConditionType::RoleAssumed, ConditionStatus::False, Reason::AccessDenied).await;
    assert_eq!(watched.send_event(0).await, 503);
    watched.record_admin_answers().await;
    watched.sidecar.write_external_id(BAD_SECRET_CANARY);
    watched.wait(ConditionType::ExternalIdAvailable, ConditionStatus::False, Reason::InvalidExternalId).await;
    assert_eq!(watched.send_event(0).await, 503);
    watched.record_admin_answers().await;
    watched.aws.set(&World::new());
    watched.sidecar.write_external_id(EXTERNAL_ID);
    watched.sidecar.wait_ready().await;
    assert_eq!(watched.send_event(0).await, 200);
    watched.assert_no_leak().await;
}

#[tokio::test]
async fn no_secret_leaks_when_a_role_requires_no_external_id() {
    let mut watched = ObservedSidecar::start(&World::new().role("externalId", json!(null)), |_| {}).await;
    watched.wait(ConditionType::ExternalIdEnforced, ConditionStatus::False, Reason::NotEnforced).await;
    assert_eq!(watched.send_event(0).await, 503);
    assert!(watched.tap.captured("SessionToken").len() > 1, "the probe's session was not captured");
    watched.assert_no_leak().await;
}

#[tokio::test]
async fn no_secret_leaks_when_the_base_identity_is_wrong() {
    for world in [World::new().without_base_identity(), World::new()] {
        let mut watched = ObservedSidecar::start(&world, |setup| setup.keys = None).await;
        watched.wait(ConditionType::RoleAssumed, ConditionStatus::False, Reason::NoBaseIdentity).await;
        watched.sidecar.write_credentials(ACCESS_KEY_ID, &format!("{SECRET_ACCESS_KEY}-not-this-one"));
        until("STS has refused the credentials", DEFAULT_TIMEOUT, async || {
            watched
                .sidecar
                .condition(ConditionType::RoleAssumed)
                .await
                .message
                .contains("does not accept")
                .then_some(())
        })
        .await;
        assert_eq!(watched.send_event(0).await, 503);
        watched.assert_no_leak().await;
    }
}

#[tokio::test]
async fn no_secret_leaks_when_sts_answers_are_broken() {
    for fault in [Action::TruncateBody, Action::InvalidBody, Action::CutBody, Action::Refuse, error("Throttling")] {
        let mut watched = ObservedSidecar::start(&World::new(), |_| {}).await;
        watched.aws.faults([sts(fault)]);
        // A session from before the fault may still be used: a changed external ID makes the sidecar call STS again.
        watched.sidecar.write_external_id("another-one");
        until("a call to STS has failed", DEFAULT_TIMEOUT, async || {
            let reported = watched.sidecar.condition(ConditionType::RoleAssumed).await;
            (reported.status == ConditionStatus::False || reported.message.contains("has failed")).then_some(())
        })
        .await;
        watched.send_event(0).await;
        watched.assert_no_leak().await;
    }
}

#[tokio::test]
async fn no_secret_leaks_when_aws_repeats_one_in_an_error() {
    let mut watched = ObservedSidecar::start(&World::new(), |_| {}).await;
    watched.sidecar.wait_ready().await;
    let [token, key] = ["SessionToken", "AccessKeyId"].map(|element| watched.tap.captured(element).remove(0));
    let error =
        format!("<Error><Code>InvalidToken</Code><Message>the token {token} of {key} is malformed</Message></Error>");
    let s3 = &[("x-amz-request-id", "1"), ("content-type", "application/xml")];
    let repeated = format!("1 validation error: Value '{EXTERNAL_ID}' at 'externalId', sent by {ACCESS_KEY_ID}");
    let xml = format!(
        "<ErrorResponse><Error><Code>ValidationError</Code><Message>{repeated}</Message></Error></ErrorResponse>"
    );
    watched.aws.faults([puts(respond(400, s3, &error)), sts(respond(400, &[("content-type", "text/xml")], &xml))]);
    assert_eq!(watched.send_event(0).await, 503);
    watched.wait(ConditionType::RoleAssumed, ConditionStatus::True, Reason::RenewalFailing).await;
    let reported = watched.sidecar.condition(ConditionType::RoleAssumed).await;
    assert!(reported.message.contains("Value '\u{2026}' at 'externalId'"), "{}", reported.message);
    watched.assert_no_leak().await;
}

#[tokio::test]
async fn no_secret_leaks_when_s3_fails() {
    let mut watched = ObservedSidecar::start(&World::new(), |_| {}).await;
    watched.sidecar.wait_ready().await;
    let once = |action| tributary_local_aws::Fault { count: Some(1), ..puts(action) };
    let errors =
        ["AccessDenied", "NoSuchBucket", "SlowDown", "InternalError", "ExpiredToken", "InvalidToken"].map(error);
    let broken = [Action::Refuse, Action::StoreThenDrop, Action::TruncateBody, Action::InvalidBody];
    for (i, action) in errors.into_iter().chain(broken).enumerate() {
        watched.aws.faults([once(action.clone())]);
        watched.send_event(i).await;
        watched.record_admin_answers().await;
        until("the fault is over", DEFAULT_TIMEOUT, async || (watched.send_event(i).await == 200).then_some(())).await;
    }
    watched.aws.set(&World::new().without_bucket());
    assert_eq!(watched.send_event(100).await, 503);
    watched.wait(ConditionType::BucketWritable, ConditionStatus::False, Reason::NoSuchBucket).await;
    watched.assert_no_leak().await;
}

/// A canary for every field of an event that may contain personal data.
const PERSONAL_CANARY: &str = "person-canary-4Kd8";

/// An event of this type, full of personal data.
fn personal(r#type: &str, i: usize) -> Value {
    json!({
        "type": r#type, "messageId": format!("{PERSONAL_CANARY}-message-{i}"), "userId": PERSONAL_CANARY, "anonymousId": PERSONAL_CANARY,
        "event": PERSONAL_CANARY, "name": PERSONAL_CANARY, "category": PERSONAL_CANARY, "groupId": PERSONAL_CANARY, "previousId": PERSONAL_CANARY,
        "traits": {"email": PERSONAL_CANARY}, "properties": {PERSONAL_CANARY: PERSONAL_CANARY}, "context": {"ip": PERSONAL_CANARY, "userAgent": PERSONAL_CANARY},
    })
}

#[tokio::test]
async fn requests_and_uploads_are_logged_without_personal_data() {
    const TYPES: [&str; 6] = ["track", "identify", "page", "screen", "group", "alias"];
    for (level, mode) in [("debug", "Object"), ("trace", "Object"), ("trace", "Batch")] {
        let function = Function::new()
            .with("logLevel", json!(level))
            .with("delivery.mode", json!(mode))
            .with("delivery.key", json!((mode == "Object").then_some("{type}/{userId}/{event}/{messageId}.json")));
        let aws = Aws::start(&World::new()).await;
        let sidecar = Setup::new(&aws).function(function).start().await;
        sidecar.wait_ready().await;
        let headers = [("user-agent", PERSONAL_CANARY), ("referer", PERSONAL_CANARY), ("cookie", PERSONAL_CANARY)];
        let send = async |path: &str, body: Value| sidecar.post(path, &headers, body.to_string()).await.status;
        for (i, r#type) in TYPES.into_iter().enumerate() {
            assert_eq!(
                send(&format!("/v1/{type}?{PERSONAL_CANARY}={PERSONAL_CANARY}"), personal(r#type, i)).await,
                200
            );
        }
        let mut wrong = personal("track", 9);
        wrong["context"] = json!(PERSONAL_CANARY);
        assert_eq!(send("/v1/track", wrong.clone()).await, 400);
        assert_eq!(send("/v1/batch", json!({"batch": [personal("page", 10), wrong]})).await, 200);
        assert_eq!(send("/", json!([personal("track", 11), personal("track", 12)])).await, 200);
        assert_eq!(send(&format!("/v1/{PERSONAL_CANARY}"), personal("track", 13)).await, 404);
        aws.faults([tributary_local_aws::Fault { count: Some(1), ..puts(error("SlowDown")) }]);
        assert_eq!(send("/v1/track", personal("track", 14)).await, 200);
        let method = Method::from_bytes(PERSONAL_CANARY.as_bytes()).expect("a method");
        assert_eq!(sidecar.request(method, "/v1/track", &headers, "").await.expect("an answer").status, 405);

        let requests = sidecar.log_lines("request");
        assert_eq!(requests.len(), 12, "{level} {mode}: {requests:#?}");
        let batch = requests.iter().find(|line| line["path"] == "/v1/batch").expect("the batch");
        assert_eq!((&batch["method"], &batch["status"], &batch["events"]), (&json!("POST"), &json!(200), &json!(2)));
        assert!(batch["bytes"].as_u64() > Some(100) && batch["took"].is_string(), "{batch}");
        let uploads = sidecar.log_lines("upload");
        let stored = uploads.iter().filter(|line| line["outcome"] == "stored").count();
        assert_eq!(stored, aws.objects().len(), "{level} {mode}: {uploads:#?}");
        assert_eq!(uploads.iter().filter(|line| line["outcome"] == "Throttled").count(), 1);
        let output = sidecar.output();
        assert_eq!(output.lines().find(|line| line.contains(PERSONAL_CANARY)), None, "{level} {mode}");
        assert_eq!(output.contains("the body is read"), level == "trace");
    }
}
