//! Every way in which a function can be set up wrong, or AWS be away: it is said, with what to do,
//! and once it is mended events flow again, with nothing restarted.

use std::time::Duration;

use serde_json::json;
use tributary_crds::conditions::ConditionType::{BucketWritable, ExternalIdAvailable, ExternalIdEnforced, RoleAssumed};
use tributary_crds::conditions::{ConditionType, Reason, Truth};
use tributary_tests::aws::{error, puts, respond, sts};
use tributary_tests::event::{HAPPENED, message_id, track};
use tributary_tests::stored::assert_stored_once;
use tributary_tests::traffic::acknowledged;
use tributary_tests::wait::{SOON, until};
use tributary_tests::world::{
    ACCESS_KEY_ID, BASE_ACCOUNT, EXTERNAL_ID, OTHER_ACCOUNT, PRINCIPAL, ROLE, SECRET_ACCESS_KEY, policy,
};
use tributary_tests::{Aws, Door, Function, Setup, SidecarProcess, Traffic, World};

/// How soon a fault is shown.
const SHOWN: Duration = Duration::from_secs(10);
/// How soon a mended one is over, while events come in.
const OVER: Duration = Duration::from_secs(30);
/// Between two events.
const EVERY: Duration = Duration::from_millis(100);
/// The number of the event that is looked at; traffic counts from 0.
const LOOKED_AT: usize = 500_000;

/// A fault, and what is said of it.
struct Fault {
    condition: ConditionType,
    reason: Reason,
    /// What the sentence holds: the value that is wrong, and what to do about it.
    says: &'static [&'static str],
}

fn fault(condition: ConditionType, reason: Reason, says: &'static [&'static str]) -> Fault {
    Fault { condition, reason, says }
}

impl Fault {
    /// It is shown and told; then `mend` ends it, and events are stored again by the same process.
    async fn is_told_until(&self, aws: &Aws, mut sidecar: SidecarProcess, mend: impl AsyncFnOnce(&SidecarProcess)) {
        let pid = sidecar.pid();
        let traffic = Traffic::start(&sidecar, EVERY);
        let said = sidecar.wait_condition(self.condition, Truth::False, self.reason, SHOWN).await;
        for part in self.says {
            assert!(said.message.contains(part), "{part:?} is not in {:?}", said.message);
        }
        assert!(!said.message.contains(EXTERNAL_ID), "{:?}", said.message);
        assert_eq!(said.message.lines().count(), 1, "no sentence: {:?}", said.message);
        self.is_answered(&sidecar).await;
        assert!(sidecar.status().await.last_error.is_some());

        mend(&sidecar).await;
        traffic.wait_stored(OVER).await;
        sidecar.wait_condition(self.condition, Truth::True, Reason::Ok, SOON).await;
        assert_eq!(sidecar.status().await.last_error, None);
        sidecar.wait_ready().await;
        assert!(sidecar.is_alive() && sidecar.pid() == pid, "it was restarted");
        let outcomes = traffic.finish().await;
        let odd: Vec<_> = outcomes.iter().filter(|o| !matches!(o.status, Some(200 | 503))).collect();
        assert!(odd.is_empty(), "{odd:?}");
        assert_stored_once(&aws.objects(), &acknowledged(&outcomes));
    }

    /// A good event is answered 503 with the condition's reason; what the condition says of the role,
    /// the bucket and AWS is not for whoever sent it.
    async fn is_answered(&self, sidecar: &SidecarProcess) {
        until("an event is answered with the condition's reason", SHOWN, async || {
            let answer = sidecar.send("/v1/track", &track(LOOKED_AT)).await;
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(answer.says_when_to_retry(), "{:?}", answer.headers);
            assert!(answer.tells_no_details(), "{}", answer.text());
            (answer.code() == self.reason.to_string()).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_wrong_external_id_is_mended_in_the_secret() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup = setup.external_id(&[("externalId", "another-one")]);
    fault(RoleAssumed, Reason::AccessDenied, &[ROLE, "sts:ExternalId", "trust policy", "AWS said"])
        .is_told_until(&aws, setup.start().await, async |sidecar| sidecar.write_external_id(EXTERNAL_ID))
        .await;
}

#[tokio::test]
async fn a_wrong_external_id_is_mended_in_the_trust_policy() {
    let aws = Aws::start(&World::new().external_id("another-one")).await;
    fault(RoleAssumed, Reason::AccessDenied, &[ROLE, "sts:ExternalId"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_missing_secret_is_told_by_name() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup = setup.external_id(&[]);
    fault(ExternalIdAvailable, Reason::SecretNotFound, &["Secret orders-lake", "create it", "externalId"])
        .is_told_until(&aws, setup.start().await, async |sidecar| sidecar.write_external_id(EXTERNAL_ID))
        .await;
}

#[tokio::test]
async fn a_secret_without_the_key_is_told_by_key() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup = setup.external_id(&[("external-id", EXTERNAL_ID)]);
    fault(
        ExternalIdAvailable,
        Reason::SecretKeyNotFound,
        &["orders-lake", "no key externalId", "externalIdSecretRef.key"],
    )
    .is_told_until(&aws, setup.start().await, async |sidecar| sidecar.write_external_id(EXTERNAL_ID))
    .await;
}

#[tokio::test]
async fn a_value_that_is_no_external_id_is_told() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup = setup.external_id(&[("externalId", "with spaces in it")]);
    fault(ExternalIdAvailable, Reason::InvalidExternalId, &["externalId", "orders-lake", "not an external ID"])
        .is_told_until(&aws, setup.start().await, async |sidecar| sidecar.write_external_id(EXTERNAL_ID))
        .await;
}

#[tokio::test]
async fn an_unknown_role_is_told_by_its_arn() {
    let aws = Aws::start(&World::new().role_named("team/other")).await;
    fault(RoleAssumed, Reason::AccessDenied, &[ROLE, "that the ARN is right"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_role_that_trusts_somebody_else_is_told_with_the_principal() {
    let aws = Aws::start(&World::new().role("principals", json!([format!("arn:aws:iam::{OTHER_ACCOUNT}:root")]))).await;
    fault(RoleAssumed, Reason::AccessDenied, &["trust policy names this sidecar's principal", PRINCIPAL])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_role_given_away_without_the_external_id_gets_no_event() {
    let aws = Aws::start(&World::new().role("externalId", json!(null))).await;
    let sidecar = Setup::new(&aws).start().await;
    fault(ExternalIdEnforced, Reason::NotEnforced, &[ROLE, "no event is sent through it", "sts:ExternalId"])
        .is_told_until(&aws, sidecar, async |sidecar| {
            assert_eq!(aws.objects(), [], "an event went through a role that anybody can have");
            assert_eq!(sidecar.ask("/readyz").await.status, 503);
            aws.set(&World::new());
        })
        .await;
}

#[tokio::test]
async fn a_role_given_away_for_a_random_external_id_gets_no_event() {
    let statement = |condition| json!({"Effect": "Allow", "Principal": {"AWS": PRINCIPAL}, "Action": "sts:AssumeRole", "Condition": condition});
    let any = policy(&statement(json!({"StringLike": {"sts:ExternalId": "*"}})));
    let world = World::new().role("principals", json!(null)).role("externalId", json!(null)).role("trustPolicy", any);
    let aws = Aws::start(&world).await;
    fault(ExternalIdEnforced, Reason::NotEnforced, &[ROLE, "without its external ID"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_function_that_only_warns_sends_through_any_role() {
    let aws = Aws::start(&World::new().role("externalId", json!(null))).await;
    let function = Function::new().with("externalIdEnforcement", json!("Warn"));
    let sidecar = Setup::new(&aws).function(function).start().await;
    let said = sidecar.wait_condition(ExternalIdEnforced, Truth::False, Reason::NotEnforced, SHOWN).await;
    assert!(said.message.contains("sts:ExternalId") && !said.message.contains("no event"), "{}", said.message);
    sidecar.wait_ready().await;
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    assert_stored_once(&aws.objects(), &[message_id(1)]);
    assert_eq!(sidecar.condition(ExternalIdEnforced).await.status, Truth::False);
}

#[tokio::test]
async fn a_missing_bucket_is_told_by_name() {
    let aws = Aws::start(&World::new().without_bucket()).await;
    fault(BucketWritable, Reason::NoSuchBucket, &["no bucket orders-lake", "create it in us-west-2", "spec.s3.bucket"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_seen_before_the_first_event_and_seen_mended_without_one() {
    let elsewhere = World::new().bucket("region", json!("eu-west-1"));
    for (world, reason) in [(World::new().without_bucket(), Reason::NoSuchBucket), (elsewhere, Reason::WrongRegion)] {
        let aws = Aws::start(&world).await;
        let sidecar = Setup::new(&aws).start().await;
        sidecar.wait_condition(BucketWritable, Truth::False, reason, SHOWN).await;
        aws.set(&World::new());
        sidecar.wait_condition(BucketWritable, Truth::Unknown, Reason::NotYetWritten, OVER).await;
        assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    }
}

#[tokio::test]
async fn a_bucket_elsewhere_is_told_with_its_region() {
    let aws = Aws::start(&World::new().bucket("region", json!("eu-west-1"))).await;
    let says = &["orders-lake", "is in eu-west-1", "not in us-west-2", "set spec.s3.region to eu-west-1"];
    fault(BucketWritable, Reason::WrongRegion, says)
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_bucket_elsewhere_is_told_with_its_region_by_the_global_endpoint_too() {
    let aws = Aws::start(&World::new().bucket("region", json!("eu-west-1"))).await;
    let setup = Setup::new(&aws).function(Function::new().with("s3.region", json!("us-east-1")));
    let says = &["orders-lake", "is in eu-west-1", "not in us-east-1", "set spec.s3.region to eu-west-1"];
    fault(BucketWritable, Reason::WrongRegion, says)
        .is_told_until(&aws, setup.start().await, async |_| {
            aws.set(&World::new().bucket("region", json!("us-east-1")));
        })
        .await;
}

#[tokio::test]
async fn a_bucket_of_another_account_is_told_with_the_owner_expected() {
    let aws = Aws::start(&World::new().bucket_of_another_account()).await;
    let function = Function::new().with("s3.expectedBucketOwner", json!("123456789012"));
    let sidecar = Setup::new(&aws).function(function).start().await;
    fault(BucketWritable, Reason::AccessDenied, &["account 123456789012 owns the bucket", "orders-lake", ROLE])
        .is_told_until(&aws, sidecar, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_bucket_policy_that_denies_is_told() {
    let deny = json!({
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::orders-lake/*",
    });
    let aws = Aws::start(&World::new().bucket("policy", policy(&deny))).await;
    fault(BucketWritable, Reason::AccessDenied, &[ROLE, "s3:PutObject on orders-lake/*", "bucket's policy"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_role_that_may_not_put_objects_is_told_with_the_prefix() {
    let elsewhere = json!({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::orders-lake/old/*"});
    let aws = Aws::start(&World::new().role("policy", policy(&elsewhere))).await;
    let setup = Setup::new(&aws).function(Function::new().with("s3.prefix", json!("new/")));
    fault(BucketWritable, Reason::AccessDenied, &["the role's policy allows s3:PutObject on orders-lake/new/*"])
        .is_told_until(&aws, setup.start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_kms_key_that_the_role_may_not_use_is_told() {
    let objects_only = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
    let aws = Aws::start(&World::new().role("policy", policy(&objects_only))).await;
    let key = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let function = Function::new().with("s3.encryption", json!({"type": "KMS", "keyId": key}));
    let sidecar = Setup::new(&aws).function(function).start().await;
    fault(BucketWritable, Reason::KmsDenied, &[ROLE, "allow kms:GenerateDataKey", "key/1234abcd"])
        .is_told_until(&aws, sidecar, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_sidecar_without_an_identity_of_its_own_says_so() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.keys = None;
    let says = &["no AWS identity of its own", "IRSA", "Pod Identity", "credentials Secret"];
    fault(RoleAssumed, Reason::NoBaseIdentity, says)
        .is_told_until(&aws, setup.start().await, async |sidecar| {
            sidecar.write_credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
        })
        .await;
}

#[tokio::test]
async fn keys_that_sts_does_not_know_are_told() {
    let aws = Aws::start(&World::new().without_base_identity()).await;
    fault(RoleAssumed, Reason::NoBaseIdentity, &["base identity's credentials", "InvalidClientTokenId"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn a_wrong_secret_of_the_base_identity_is_told_and_a_right_one_taken_up() {
    let aws = Aws::start(&World::new()).await;
    let mut setup = Setup::new(&aws);
    setup.keys = None;
    let sidecar = setup.start().await;
    sidecar.write_credentials(ACCESS_KEY_ID, "not-the-secret");
    until("the credentials are read", SOON, async || {
        sidecar.condition(RoleAssumed).await.message.contains("does not accept").then_some(())
    })
    .await;
    fault(RoleAssumed, Reason::NoBaseIdentity, &["base identity's credentials", "SignatureDoesNotMatch"])
        .is_told_until(&aws, sidecar, async |sidecar| sidecar.write_credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY))
        .await;
}

#[tokio::test]
async fn a_base_identity_that_may_not_assume_roles_is_told() {
    let refused = |world: World| world.role("principals", json!([format!("arn:aws:iam::{BASE_ACCOUNT}:user/other")]));
    let aws = Aws::start(&refused(World::new())).await;
    fault(RoleAssumed, Reason::AccessDenied, &["the base identity may call sts:AssumeRole", PRINCIPAL])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.set(&World::new()))
        .await;
}

#[tokio::test]
async fn an_sts_that_refuses_connections_is_told_by_its_address() {
    let aws = Aws::start(&World::new()).await;
    let door = Door::closed();
    let mut setup = Setup::new(&aws);
    setup.sts = door.endpoint();
    fault(RoleAssumed, Reason::StsUnreachable, &["STS at http://127.0.0.1:", "can't be reached", "tried again"])
        .is_told_until(&aws, setup.start().await, async |_| door.open(&aws))
        .await;
}

#[tokio::test]
async fn an_sts_that_throttles_is_told() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("Throttling"))]);
    fault(RoleAssumed, Reason::Throttled, &["STS asks for fewer requests", "tried again"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn a_packed_policy_that_is_too_large_is_told() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("PackedPolicyTooLarge"))]);
    fault(RoleAssumed, Reason::PackedPolicyTooLarge, &[ROLE, "shorten spec.s3.prefix"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn an_sts_that_fails_is_told_in_its_own_words() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([sts(error("InternalFailure"))]);
    fault(RoleAssumed, Reason::StsError, &[ROLE, "InternalFailure"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn an_s3_that_refuses_connections_is_told() {
    let aws = Aws::start(&World::new()).await;
    let door = Door::closed();
    let mut setup = Setup::new(&aws);
    setup.s3 = door.endpoint();
    fault(BucketWritable, Reason::S3Unreachable, &["S3 in us-west-2 can't be reached", "tried again"])
        .is_told_until(&aws, setup.start().await, async |_| door.open(&aws))
        .await;
}

#[tokio::test]
async fn an_s3_that_throttles_everything_is_told() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([puts(error("SlowDown"))]);
    fault(BucketWritable, Reason::Throttled, &["S3 asks for fewer requests to orders-lake", "SlowDown"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

/// Refuses objects below a prefix of the bucket.
fn denied(prefix: &str) -> World {
    World::new().bucket(
        "policy",
        policy(&json!({
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::orders-lake/{prefix}*"),
        })),
    )
}

/// An event of any type.
fn of_type(kind: &str, id: &str) -> serde_json::Value {
    json!({"type": kind, "messageId": id, "userId": "u", "event": "E", "timestamp": HAPPENED})
}

/// Sends `bad` events 25 times a second and good track events 50 times a second for `time`. Returns
/// how many good ones were sent and how many were refused.
async fn healthy_beside_denied(
    sidecar: &SidecarProcess,
    path: &'static str,
    bad: impl Fn(usize) -> serde_json::Value,
    time: Duration,
) -> (usize, usize) {
    let traffic = Traffic::start(sidecar, Duration::from_millis(20));
    let start = tokio::time::Instant::now();
    let mut requests = tokio::task::JoinSet::new();
    for i in 0.. {
        let at = start + Duration::from_millis(40) * u32::try_from(i).expect("few");
        if at >= start + time {
            break;
        }
        tokio::time::sleep_until(at).await;
        let (ports, body) = (tributary_tests::Ports::clone(sidecar), bad(i));
        requests.spawn(async move { ports.send(path, &body).await });
    }
    for answer in requests.join_all().await {
        assert_eq!((answer.status, answer.code().as_str()), (503, "AccessDenied"), "{}", answer.text());
    }
    let outcomes = traffic.finish().await;
    (outcomes.len(), outcomes.iter().filter(|outcome| outcome.status != Some(200)).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_one_type_that_are_denied_leave_other_types_alone() {
    let aws = Aws::start(&denied("identify/")).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let bad = |i: usize| of_type("identify", &format!("denied-{i}"));
    let (sent, refused) = healthy_beside_denied(&sidecar, "/v1/identify", bad, Duration::from_secs(15)).await;
    assert!(sent > 300, "{sent} events are no traffic");
    assert_eq!(refused, 0, "of {sent} events of another type");
    // Long enough for the type's own circuit breaker.
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"identify\"}").await, 1.0);
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"track\"}").await, 0.0);
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"bucket\"}").await, 0.0);
    let said = sidecar.condition(BucketWritable).await;
    assert_eq!((said.status, said.reason), (Truth::False, Reason::AccessDenied));
    assert!(said.message.starts_with("events of type identify only: S3 refused"), "{}", said.message);
    // One probe every two seconds finds out that it is over.
    aws.set(&World::new());
    until("the type is stored again", SOON, async || {
        (sidecar.send("/v1/identify", &of_type("identify", "again")).await.status == 200).then_some(())
    })
    .await;
    sidecar.wait_condition(BucketWritable, Truth::True, Reason::Ok, Duration::from_secs(2)).await;
    assert_eq!(sidecar.metric("circuit_breaker_open{scope=\"identify\"}").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_within_a_type_that_are_denied_leave_its_others_alone() {
    let aws = Aws::start(&denied("track/*-denied-")).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let bad = |i: usize| of_type("track", &format!("denied-{i}"));
    let (sent, refused) = healthy_beside_denied(&sidecar, "/v1/track", bad, Duration::from_secs(15)).await;
    assert!(sent > 300, "{sent} events are no traffic");
    assert_eq!(refused, 0, "of {sent} events of the same type");
    let said = sidecar.condition(BucketWritable).await;
    assert_eq!((said.status, said.reason), (Truth::False, Reason::AccessDenied));
    // Without another failure for a while, it is over.
    let traffic = Traffic::start(&sidecar, EVERY);
    sidecar.wait_condition(BucketWritable, Truth::True, Reason::Ok, SOON).await;
    traffic.finish().await;
}

#[tokio::test]
async fn what_s3_asks_to_be_sent_again_refuses_nobody() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    sidecar.wait_ready().await;
    let codes = ["TemporaryRedirect", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "OperationAborted"];
    for (i, code) in codes.into_iter().enumerate() {
        let once = tributary_local_aws::Fault { count: Some(1), ..puts(error(code)) };
        aws.faults([once]);
        for event in [2 * i, 2 * i + 1] {
            let answer = sidecar.send("/v1/track", &track(event)).await;
            assert_eq!(answer.status, 200, "{code}: {}", answer.text());
        }
        assert_eq!(aws.puts_answered(code), 1, "{code}");
        assert_eq!(sidecar.condition(BucketWritable).await.reason, Reason::Ok, "{code}");
    }
    let ids: Vec<_> = (0..2 * codes.len()).map(message_id).collect();
    assert_stored_once(&aws.objects(), &ids);
}

#[tokio::test]
async fn a_redirect_for_now_that_lasts_is_not_told_as_another_region() {
    let aws = Aws::start(&World::new()).await;
    aws.faults([puts(error("TemporaryRedirect"))]);
    fault(BucketWritable, Reason::S3Error, &["S3 redirects requests to orders-lake for now", "tried again"])
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| aws.faults([]))
        .await;
}

#[tokio::test]
async fn a_page_of_another_server_acknowledges_nothing_and_is_quoted() {
    let aws = Aws::start(&World::new()).await;
    let html = [("content-type", "text/html")];
    aws.faults([puts(respond(200, &html, "<html>\n<title>Welcome to the proxy</title>"))]);
    let says = &["answered 200", "<html> <title>Welcome to the proxy</title>", "spec.s3.endpoint"];
    fault(BucketWritable, Reason::S3Error, says)
        .is_told_until(&aws, Setup::new(&aws).start().await, async |_| {
            assert_eq!(aws.objects(), []);
            aws.faults([]);
        })
        .await;
}
