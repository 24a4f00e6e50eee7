//! Tests the path that production uses: no endpoint is configured, so the AWS SDK builds AWS's own host names, with the
//! bucket in front of S3's, resolves them, and connects with TLS on port 443.
//!
//! Each test runs in its own namespaces ([`in_namespaces`]), in which these host names lead to local-aws on loopback.
//! Its certificates are from the authority that the sidecar trusts (`SSL_CERT_FILE`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tributary_crds::conditions::ConditionType::{BucketWritable, RoleAssumed};
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};
use tributary_local_aws::{Action, Fault, Options, Service};
use tributary_tests::aws::puts;
use tributary_tests::event::{message_id, track};
use tributary_tests::namespace::with_names;
use tributary_tests::stored::{assert_exactly, ndjson_events};
use tributary_tests::wait::DEFAULT_TIMEOUT;
use tributary_tests::world::BUCKET;
use tributary_tests::{Authority, Aws, Function, Setup, SidecarProcess, World};

const STS: &str = "sts.us-west-2.amazonaws.com";
const S3: &str = "orders-lake.s3.us-west-2.amazonaws.com";
const S3_ELSEWHERE: &str = "orders-lake.s3.eu-central-1.amazonaws.com";
/// The addresses that the host names resolve to; each has its own certificate.
const HOST_NAMES: [(&str, &str); 3] = [("127.0.0.1", STS), ("127.0.0.2", S3), ("127.0.0.3", S3_ELSEWHERE)];

/// Runs the body of the test `test` of this file in its own namespaces.
fn in_namespaces(test: &str, body: impl AsyncFnOnce()) {
    with_names(&format!("production::{test}"), &HOST_NAMES, body);
}

/// An AWS that is reached by AWS's own host names, and the authority's certificate in `folder`.
struct Production {
    aws: Aws,
    servers: Vec<JoinHandle<()>>,
    folder: TempDir,
}

/// The issuer and the name of the certificate at each address.
struct Certificates<'a> {
    sts: (&'a Authority, &'a str),
    s3: (&'a Authority, &'a str),
}

impl<'a> Certificates<'a> {
    /// As AWS's: the certificate of S3 is for every bucket of the region.
    fn valid(authority: &'a Authority) -> Self {
        Self { sts: (authority, STS), s3: (authority, "*.s3.us-west-2.amazonaws.com") }
    }
}

impl Production {
    /// Starts an AWS with valid certificates.
    async fn start(options: Options) -> Self {
        let authority = Authority::new();
        Self::start_with_certificates(options, &authority, Certificates::valid(&authority)).await
    }

    /// Starts an AWS with these certificates, for sidecars that trust `authority`.
    async fn start_with_certificates(options: Options, authority: &Authority, certificates: Certificates<'_>) -> Self {
        let aws = Aws::start_with(options).await;
        let elsewhere = (authority, "*.s3.eu-central-1.amazonaws.com");
        let mut servers = Vec::new();
        for ((address, _), (by, name)) in HOST_NAMES.into_iter().zip([certificates.sts, certificates.s3, elsewhere]) {
            servers.push(aws.serve_tls(&format!("{address}:443"), by.server(name)).await);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        authority.write(&folder.path().join("authority.pem"));
        Self { aws, servers, folder }
    }

    /// Stops serving, so that the addresses are free again.
    async fn stop(self) {
        for server in self.servers {
            server.abort();
            // The error of an aborted task.
            let _ = server.await;
        }
    }

    async fn sidecar(&self, function: Function) -> SidecarProcess {
        let setup = Setup::new(&self.aws).trusting(&self.folder.path().join("authority.pem"));
        setup.function(function).start().await
    }

    async fn ready_sidecar(&self, function: Function) -> SidecarProcess {
        let sidecar = self.sidecar(function).await;
        sidecar.wait_ready().await;
        sidecar
    }

    /// The host names that a service was called by: in the `Host` header, and in the TLS handshake.
    fn host_names(&self, service: Service) -> BTreeSet<(Option<String>, Option<String>)> {
        let calls = self.aws.calls().into_iter().filter(|call| call.service == service);
        calls.map(|call| (call.host, call.tls_name)).collect()
    }

    /// Asserts that every call came over TLS, with the expected host name of the endpoint.
    fn assert_host_names(&self) {
        for (service, name) in [(Service::Sts, STS), (Service::S3, S3)] {
            let name = Some(name.to_owned());
            assert_eq!(self.host_names(service), BTreeSet::from([(name.clone(), name)]), "{service:?}");
        }
    }
}

fn default_options() -> Options {
    Options::new(World::new().accounts())
}

#[test]
fn events_are_stored_through_aws_host_names() {
    in_namespaces("events_are_stored_through_aws_host_names", async || {
        let production = Production::start(default_options()).await;
        let sidecar = production.ready_sidecar(Function::new()).await;
        for i in 0..5 {
            assert_eq!(sidecar.send("/v1/track", &track(i)).await.status, 200);
        }
        production.assert_host_names();
        let objects = production.aws.objects();
        assert_exactly(&objects, &(0..5).map(message_id).collect::<Vec<_>>());
        assert!(objects.iter().all(|object| object.bucket == BUCKET && object.key.starts_with("track/")));
        sidecar.wait_condition(BucketWritable, ConditionStatus::True, Reason::Ok, DEFAULT_TIMEOUT).await;
    });
}

#[test]
fn batches_are_stored_through_aws_host_names() {
    in_namespaces("batches_are_stored_through_aws_host_names", async || {
        let production = Production::start(default_options()).await;
        let delivery = json!({"mode": "Batch", "batch": {"maxAge": "100ms"}});
        let sidecar = production.ready_sidecar(Function::new().with("delivery", delivery)).await;
        for i in 0..5 {
            assert_eq!(sidecar.send("/v1/track", &track(i)).await.status, 200);
        }
        production.assert_host_names();
        let stored: Vec<_> =
            ndjson_events(&production.aws.objects()).into_iter().map(|event| event["messageId"].clone()).collect();
        assert_eq!(stored, (0..5).map(|i| json!(message_id(i))).collect::<Vec<_>>());
    });
}

#[test]
fn an_upload_whose_answer_is_lost_creates_one_object() {
    in_namespaces("an_upload_whose_answer_is_lost_creates_one_object", async || {
        let production = Production::start(default_options()).await;
        let sidecar = production.ready_sidecar(Function::new()).await;
        assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
        production.aws.faults([Fault { count: Some(1), ..puts(Action::StoreThenDrop) }]);
        assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
        assert_eq!(production.aws.puts_answered("cut"), 1);
        assert_eq!(production.aws.puts_answered("PreconditionFailed"), 1);
        production.assert_host_names();
        assert_exactly(&production.aws.objects(), &[message_id(0), message_id(1)]);
    });
}

#[test]
fn a_redirect_to_another_region_is_reported_and_not_followed() {
    in_namespaces("a_redirect_to_another_region_is_reported_and_not_followed", async || {
        let elsewhere = World::new().bucket("region", json!("eu-central-1"));
        let production = Production::start(Options::new(elsewhere.accounts())).await;
        let sidecar = production.sidecar(Function::new()).await;
        let reported =
            sidecar.wait_condition(BucketWritable, ConditionStatus::False, Reason::WrongRegion, DEFAULT_TIMEOUT).await;
        assert!(reported.message.contains("set spec.s3.region to eu-central-1"), "{}", reported.message);
        assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 503);
        production.assert_host_names();
        assert!(production.aws.objects().is_empty());
    });
}

#[test]
fn an_untrusted_certificate_is_reported() {
    in_namespaces("an_untrusted_certificate_is_reported", async || {
        let (trusted, other) = (Authority::new(), Authority::new());
        let valid = || Certificates::valid(&trusted);
        for (certificates, condition, reason) in [
            (Certificates { sts: (&other, STS), ..valid() }, RoleAssumed, Reason::StsUnreachable),
            (
                Certificates { sts: (&trusted, "sts.eu-central-1.amazonaws.com"), ..valid() },
                RoleAssumed,
                Reason::StsUnreachable,
            ),
            (
                Certificates { s3: (&other, "*.s3.us-west-2.amazonaws.com"), ..valid() },
                BucketWritable,
                Reason::S3Unreachable,
            ),
            // A wildcard stands for one label, and not for several.
            (
                Certificates { s3: (&trusted, "*.us-west-2.amazonaws.com"), ..valid() },
                BucketWritable,
                Reason::S3Unreachable,
            ),
        ] {
            let message = condition_message(&trusted, certificates, condition, reason).await;
            assert!(message.contains("certificate"), "{message}");
        }
    });
}

/// Sends an event through an AWS with these certificates, and returns the message of the condition with this reason.
async fn condition_message(
    trusted: &Authority,
    certificates: Certificates<'_>,
    condition: ConditionType,
    reason: Reason,
) -> String {
    let production = Production::start_with_certificates(default_options(), trusted, certificates).await;
    let sidecar = production.sidecar(Function::new()).await;
    // Only an upload shows that S3 can't be reached.
    assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 503);
    let reported = sidecar.wait_condition(condition, ConditionStatus::False, reason, DEFAULT_TIMEOUT).await;
    assert!(production.aws.objects().is_empty());
    production.stop().await;
    reported.message
}

/// S3 closes connections that were idle for about 20 s. Here the limit is shorter, and bursts come just before, at and
/// after it, so that some connections are closed while a PUT is on its way.
#[test]
fn connections_that_s3_closes_lose_no_event() {
    in_namespaces("connections_that_s3_closes_lose_no_event", async || {
        const IDLE: Duration = Duration::from_millis(300);
        const CONCURRENT_EVENTS: usize = 16;
        const BURSTS: usize = 40;
        let production = Production::start(Options { idle_timeout: IDLE, ..default_options() }).await;
        let sidecar = production.ready_sidecar(Function::new()).await;
        for burst in 0..BURSTS {
            let events: Vec<_> = (burst * CONCURRENT_EVENTS..(burst + 1) * CONCURRENT_EVENTS).map(track).collect();
            let answers = join_all(events.iter().map(|event| sidecar.send("/v1/track", event))).await;
            let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
            assert!(refused.is_empty(), "burst {burst}: {refused:?}");
            // From 20 ms before the idle limit to 20 ms after it.
            let offset = u64::try_from(burst % 11 * 4).expect("a small number");
            tokio::time::sleep(IDLE - Duration::from_millis(20) + Duration::from_millis(offset)).await;
        }
        let ids: Vec<_> = (0..BURSTS * CONCURRENT_EVENTS).map(message_id).collect();
        assert_exactly(&production.aws.objects(), &ids);
        let puts = production.aws.calls().into_iter().filter(|call| call.operation == "PutObject");
        let connections: BTreeSet<_> = puts.map(|call| call.connection).collect();
        let retried = sidecar.metric("upload_errors_total{code=\"S3Unreachable\"}").await;
        println!("{} events over {} connections; {retried} PUTs met a closed one", ids.len(), connections.len());
        assert!(connections.len() > CONCURRENT_EVENTS, "no connection was closed: {}", connections.len());
    });
}

/// The C library waits 5 s for an answer and then asks again, and its lookup can't be interrupted.
#[test]
fn shutdown_does_not_wait_for_a_silent_nameserver() {
    with_names("production::shutdown_does_not_wait_for_a_silent_nameserver", &[], async || {
        let nameserver = UdpSocket::bind("127.0.0.1:53").await.expect("a free port");
        let (aws, folder) =
            (Aws::start_with(default_options()).await, tempfile::tempdir().expect("a temporary folder"));
        let authorities = folder.path().join("authority.pem");
        Authority::new().write(&authorities);
        let mut sidecar = Setup::new(&aws).trusting(&authorities).start().await;
        let mut query = [0; 512];
        timeout(DEFAULT_TIMEOUT, nameserver.recv_from(&mut query)).await.expect("a query in time").expect("a query");
        let start = Instant::now();
        sidecar.terminate();
        assert_eq!(sidecar.wait_exit(DEFAULT_TIMEOUT).await.code(), Some(0));
        assert!(start.elapsed() < Duration::from_secs(3), "it took {:?}", start.elapsed());
    });
}
