//! The path that production takes: no endpoint is given, so that the AWS SDK makes the names of AWS's own endpoints,
//! the bucket's in front of S3's; they are looked up, and TLS is spoken to port 443.
//!
//! Each test runs in namespaces of its own ([`in_namespaces`]), where these names lead to the double on loopback, as the
//! authority that the sidecar trusts (`SSL_CERT_FILE`) certifies.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tributary_crds::conditions::ConditionType::{BucketWritable, RoleAssumed};
use tributary_crds::conditions::{ConditionType, Reason, Truth};
use tributary_local_aws::{Action, Fault, Options, Service};
use tributary_tests::aws::puts;
use tributary_tests::event::{message_id, track};
use tributary_tests::namespace::with_names;
use tributary_tests::stored::{assert_exactly, lines};
use tributary_tests::wait::SOON;
use tributary_tests::world::BUCKET;
use tributary_tests::{Authority, Aws, Function, Setup, SidecarProcess, World};

const STS: &str = "sts.us-west-2.amazonaws.com";
const S3: &str = "orders-lake.s3.us-west-2.amazonaws.com";
const S3_ELSEWHERE: &str = "orders-lake.s3.eu-central-1.amazonaws.com";
/// Where the names lead: each to an address of its own, whose certificate is its own.
const NAMES: [(&str, &str); 3] = [("127.0.0.1", STS), ("127.0.0.2", S3), ("127.0.0.3", S3_ELSEWHERE)];

/// Runs a test of this file in namespaces of its own.
fn in_namespaces(test: &str, body: impl AsyncFnOnce()) {
    with_names(&format!("production::{test}"), &NAMES, body);
}

/// An AWS behind its own names.
struct Production {
    aws: Aws,
    servers: Vec<JoinHandle<()>>,
    folder: TempDir,
}

/// What each address shows.
struct Certificates<'a> {
    sts: (&'a Authority, &'a str),
    s3: (&'a Authority, &'a str),
}

impl<'a> Certificates<'a> {
    /// As AWS has them: S3's is for every bucket of the region.
    fn right(authority: &'a Authority) -> Self {
        Self { sts: (authority, STS), s3: (authority, "*.s3.us-west-2.amazonaws.com") }
    }
}

impl Production {
    /// One whose certificates are `authority`'s.
    async fn start(options: Options) -> Self {
        let authority = Authority::new();
        Self::showing(options, &authority, Certificates::right(&authority)).await
    }

    /// One that shows these, to sidecars that trust `authority`.
    async fn showing(options: Options, authority: &Authority, shown: Certificates<'_>) -> Self {
        let aws = Aws::start_with(options).await;
        let elsewhere = (authority, "*.s3.eu-central-1.amazonaws.com");
        let mut servers = Vec::new();
        for ((address, _), (by, name)) in NAMES.into_iter().zip([shown.sts, shown.s3, elsewhere]) {
            servers.push(aws.serve_tls(&format!("{address}:443"), by.server(name)).await);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        authority.write(&folder.path().join("authority.pem"));
        Self { aws, servers, folder }
    }

    /// Leaves its addresses to another.
    async fn end(self) {
        for server in self.servers {
            server.abort();
            // An error says that it was aborted.
            let _ = server.await;
        }
    }

    async fn sidecar(&self, function: Function) -> SidecarProcess {
        let setup = Setup::new(&self.aws).trusting(&self.folder.path().join("authority.pem"));
        setup.function(function).start().await
    }

    async fn ready(&self, function: Function) -> SidecarProcess {
        let sidecar = self.sidecar(function).await;
        sidecar.wait_ready().await;
        sidecar
    }

    /// The names that a service was asked by: in the `Host` header, and in the TLS handshake.
    fn names(&self, service: Service) -> BTreeSet<(Option<String>, Option<String>)> {
        let calls = self.aws.calls().into_iter().filter(|call| call.service == service);
        calls.map(|call| (call.host, call.tls_name)).collect()
    }

    /// Every call came over TLS, by the name of the endpoint that a person would expect.
    fn assert_names(&self) {
        for (service, name) in [(Service::Sts, STS), (Service::S3, S3)] {
            let name = Some(name.to_owned());
            assert_eq!(self.names(service), BTreeSet::from([(name.clone(), name)]), "{service:?}");
        }
    }
}

fn right() -> Options {
    Options::new(World::new().accounts())
}

#[test]
fn events_become_objects_by_awss_own_names() {
    in_namespaces("events_become_objects_by_awss_own_names", async || {
        let production = Production::start(right()).await;
        let sidecar = production.ready(Function::new()).await;
        for i in 0..5 {
            assert_eq!(sidecar.send("/v1/track", &track(i)).await.status, 200);
        }
        production.assert_names();
        let objects = production.aws.objects();
        assert_exactly(&objects, &(0..5).map(message_id).collect::<Vec<_>>());
        assert!(objects.iter().all(|object| object.bucket == BUCKET && object.key.starts_with("track/")));
        sidecar.wait_condition(BucketWritable, Truth::True, Reason::Ok, SOON).await;
    });
}

#[test]
fn batches_become_objects_by_awss_own_names() {
    in_namespaces("batches_become_objects_by_awss_own_names", async || {
        let production = Production::start(right()).await;
        let delivery = json!({"mode": "Batch", "batch": {"maxAge": "100ms"}});
        let sidecar = production.ready(Function::new().with("delivery", delivery)).await;
        for i in 0..5 {
            assert_eq!(sidecar.send("/v1/track", &track(i)).await.status, 200);
        }
        production.assert_names();
        let stored: Vec<_> =
            lines(&production.aws.objects()).into_iter().map(|event| event["messageId"].clone()).collect();
        assert_eq!(stored, (0..5).map(|i| json!(message_id(i))).collect::<Vec<_>>());
    });
}

#[test]
fn an_upload_whose_answer_is_lost_is_one_object() {
    in_namespaces("an_upload_whose_answer_is_lost_is_one_object", async || {
        let production = Production::start(right()).await;
        let sidecar = production.ready(Function::new()).await;
        assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 200);
        production.aws.faults([Fault { count: Some(1), ..puts(Action::StoreThenDrop) }]);
        assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
        assert_eq!(production.aws.puts_answered("cut"), 1);
        assert_eq!(production.aws.puts_answered("PreconditionFailed"), 1);
        production.assert_names();
        assert_exactly(&production.aws.objects(), &[message_id(0), message_id(1)]);
    });
}

#[test]
fn a_redirect_to_another_region_is_told_and_not_followed() {
    in_namespaces("a_redirect_to_another_region_is_told_and_not_followed", async || {
        let elsewhere = World::new().bucket("region", json!("eu-central-1"));
        let production = Production::start(Options::new(elsewhere.accounts())).await;
        let sidecar = production.sidecar(Function::new()).await;
        let said = sidecar.wait_condition(BucketWritable, Truth::False, Reason::WrongRegion, SOON).await;
        assert!(said.message.contains("set spec.s3.region to eu-central-1"), "{}", said.message);
        assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 503);
        production.assert_names();
        assert!(production.aws.objects().is_empty());
    });
}

#[test]
fn a_certificate_that_is_not_trusted_is_told() {
    in_namespaces("a_certificate_that_is_not_trusted_is_told", async || {
        let (trusted, other) = (Authority::new(), Authority::new());
        let right = || Certificates::right(&trusted);
        for (shown, condition, reason) in [
            (Certificates { sts: (&other, STS), ..right() }, RoleAssumed, Reason::StsUnreachable),
            (
                Certificates { sts: (&trusted, "sts.eu-central-1.amazonaws.com"), ..right() },
                RoleAssumed,
                Reason::StsUnreachable,
            ),
            (
                Certificates { s3: (&other, "*.s3.us-west-2.amazonaws.com"), ..right() },
                BucketWritable,
                Reason::S3Unreachable,
            ),
            // A wildcard is for one label, and not for the name below it.
            (
                Certificates { s3: (&trusted, "*.us-west-2.amazonaws.com"), ..right() },
                BucketWritable,
                Reason::S3Unreachable,
            ),
        ] {
            let told = told(&trusted, shown, condition, reason).await;
            assert!(told.contains("certificate"), "{told}");
        }
    });
}

/// What is said of certificates that are not trusted.
async fn told(trusted: &Authority, shown: Certificates<'_>, condition: ConditionType, reason: Reason) -> String {
    let production = Production::showing(self::right(), trusted, shown).await;
    let sidecar = production.sidecar(Function::new()).await;
    // That S3 can't be reached is known from an upload.
    assert_eq!(sidecar.send("/v1/track", &track(0)).await.status, 503);
    let said = sidecar.wait_condition(condition, Truth::False, reason, SOON).await;
    assert!(production.aws.objects().is_empty());
    production.end().await;
    said.message
}

/// S3 closes connections that were idle for about 20 s; here it takes less, and volleys come just before, at and after
/// it. A connection may be closed while a PUT is on its way.
#[test]
fn connections_that_s3_closes_cost_no_event() {
    in_namespaces("connections_that_s3_closes_cost_no_event", async || {
        const IDLE: Duration = Duration::from_millis(300);
        const AT_ONCE: usize = 16;
        const VOLLEYS: usize = 40;
        let production = Production::start(Options { idle_timeout: IDLE, ..right() }).await;
        let sidecar = production.ready(Function::new()).await;
        for volley in 0..VOLLEYS {
            let events: Vec<_> = (volley * AT_ONCE..(volley + 1) * AT_ONCE).map(track).collect();
            let answers = join_all(events.iter().map(|event| sidecar.send("/v1/track", event))).await;
            let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
            assert!(refused.is_empty(), "volley {volley}: {refused:?}");
            // From 20 ms before the limit to 20 ms after it.
            let offset = u64::try_from(volley % 11 * 4).expect("a small number");
            tokio::time::sleep(IDLE - Duration::from_millis(20) + Duration::from_millis(offset)).await;
        }
        let ids: Vec<_> = (0..VOLLEYS * AT_ONCE).map(message_id).collect();
        assert_exactly(&production.aws.objects(), &ids);
        let puts = production.aws.calls().into_iter().filter(|call| call.operation == "PutObject");
        let connections: BTreeSet<_> = puts.map(|call| call.connection).collect();
        let retried = sidecar.metric("upload_errors_total{code=\"S3Unreachable\"}").await;
        println!("{} events over {} connections; {retried} PUTs met a closed one", ids.len(), connections.len());
        assert!(connections.len() > AT_ONCE, "no connection was closed: {}", connections.len());
    });
}

/// The C library waits for an answer 5 s and asks again, and nothing interrupts it.
#[test]
fn the_end_waits_for_no_nameserver_that_is_silent() {
    with_names("production::the_end_waits_for_no_nameserver_that_is_silent", &[], async || {
        let nameserver = UdpSocket::bind("127.0.0.1:53").await.expect("a free port");
        let (aws, folder) = (Aws::start_with(right()).await, tempfile::tempdir().expect("a temporary folder"));
        let authorities = folder.path().join("authority.pem");
        Authority::new().write(&authorities);
        let mut sidecar = Setup::new(&aws).trusting(&authorities).start().await;
        let mut query = [0; 512];
        timeout(SOON, nameserver.recv_from(&mut query)).await.expect("a query in time").expect("a query");
        let start = Instant::now();
        sidecar.terminate();
        assert_eq!(sidecar.wait_end(SOON).await.code(), Some(0));
        assert!(start.elapsed() < Duration::from_secs(3), "it took {:?}", start.elapsed());
    });
}
