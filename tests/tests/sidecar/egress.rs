//! Tests how the sidecar reaches AWS from a network with a proxy, with an authority of its own, and at AWS's other
//! endpoints. The proxy leads AWS's host names to local-aws.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;
use tributary_crds::conditions::ConditionType::RoleAssumed;
use tributary_crds::conditions::{ConditionStatus, Reason};
use tributary_tests::connect_proxy::ConnectProxy;
use tributary_tests::event::{message_id, track};
use tributary_tests::stored::assert_exactly;
use tributary_tests::wait::DEFAULT_TIMEOUT;
use tributary_tests::{Authority, Aws, Function, Setup, SidecarProcess, World};

/// EX_USAGE of sysexits.h.
const EX_USAGE: i32 = 64;

/// AWS behind a proxy, with certificates of an authority that nobody trusts by default.
struct Network {
    aws: Aws,
    proxy: ConnectProxy,
    authority: Authority,
    folder: TempDir,
}

impl Network {
    /// `sts` and `s3` are the host names of the endpoints, without the bucket.
    async fn start(sts: &'static str, s3: &'static str, authorization: Option<&'static str>) -> Self {
        let (aws, authority) = (Aws::start(&World::new()).await, Authority::new());
        let (sts_address, _) = aws.serve_tls_on_free_port(authority.server(sts)).await;
        let (s3_address, _) = aws.serve_tls_on_free_port(authority.server(&format!("*.{s3}"))).await;
        let proxy = ConnectProxy::start(vec![("sts", sts_address), ("orders-lake.", s3_address)], authorization).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { aws, proxy, authority, folder }
    }

    /// A PEM file with the authority.
    fn bundle(&self) -> PathBuf {
        let path = self.folder.path().join("authority.pem");
        self.authority.write(&path);
        path
    }

    /// A sidecar that uses AWS's names, through the proxy.
    fn setup(&self, credentials: &str) -> Setup {
        let proxy = format!("http://{credentials}{}", self.proxy.address());
        Setup::new(&self.aws).with_aws_names().environment("HTTPS_PROXY", proxy)
    }

    async fn assert_stores(&self, sidecar: &SidecarProcess) {
        sidecar.wait_ready().await;
        for i in 0..3 {
            let answer = sidecar.send("/v1/track", &track(i)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        assert_exactly(&self.aws.objects(), &(0..3).map(message_id).collect::<Vec<_>>());
    }

    fn targets(&self) -> BTreeSet<String> {
        self.proxy.targets().into_iter().collect()
    }
}

fn targets(sts: &str, s3: &str) -> BTreeSet<String> {
    BTreeSet::from([format!("{sts}:443"), format!("orders-lake.{s3}:443")])
}

const STS: &str = "sts.us-west-2.amazonaws.com";
const S3: &str = "s3.us-west-2.amazonaws.com";

#[tokio::test]
async fn sts_and_s3_are_reached_through_a_proxy_with_a_password_and_a_bundle_of_authorities() {
    let network = Network::start(STS, S3, Some("Basic dXNlcjpodW50ZXIy")).await;
    let setup = network.setup("user:hunter2@").environment("AWS_CA_BUNDLE", network.bundle().display().to_string());
    let sidecar = setup.start().await;
    network.assert_stores(&sidecar).await;
    assert_eq!(network.targets(), targets(STS, S3));
    assert!(!sidecar.output().contains("hunter2"), "the proxy's password is in the log");
}

#[tokio::test]
async fn a_host_in_no_proxy_is_reached_directly() {
    let network = Network::start(STS, S3, None).await;
    let mut setup = network.setup("").environment("NO_PROXY", "127.0.0.1,10.0.0.0/8");
    setup.uses_aws_names = false;
    let sidecar = setup.start().await;
    network.assert_stores(&sidecar).await;
    assert_eq!(network.targets(), BTreeSet::new());
}

#[tokio::test]
async fn the_platforms_authorities_are_trusted_in_addition() {
    let network = Network::start(STS, S3, None).await;
    let pem = std::fs::read_to_string(network.bundle()).expect("the authority");
    let setup = network.setup("").function(Function::new().with_ca_bundle(&pem));
    network.assert_stores(&setup.start().await).await;
}

#[tokio::test]
async fn fips_and_dual_stack_endpoints_are_used_if_the_environment_or_the_function_says_so() {
    let (sts, s3) = ("sts-fips.us-west-2.amazonaws.com", "s3-fips.us-west-2.amazonaws.com");
    let network = Network::start(sts, s3, None).await;
    let setup = network.setup("").environment("AWS_CA_BUNDLE", network.bundle().display().to_string());
    network.assert_stores(&setup.environment("AWS_USE_FIPS_ENDPOINT", "true").start().await).await;
    assert_eq!(network.targets(), targets(sts, s3));

    let (sts, s3) = ("sts.us-west-2.api.aws", "s3.dualstack.us-west-2.amazonaws.com");
    let network = Network::start(sts, s3, None).await;
    let setup = network.setup("").environment("AWS_CA_BUNDLE", network.bundle().display().to_string());
    let s3_fields = json!({"bucket": "orders-lake", "region": "us-west-2", "useDualStack": true});
    let function = Function::new().with("s3", s3_fields).with("sts", json!({"useDualStack": true}));
    network.assert_stores(&setup.function(function).start().await).await;
    assert_eq!(network.targets(), targets(sts, s3));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_in_the_condition() {
    let network = Network::start(STS, S3, Some("Basic dXNlcjpodW50ZXIy")).await;
    let setup = network.setup("user:wrong@").environment("AWS_CA_BUNDLE", network.bundle().display().to_string());
    let sidecar = setup.start().await;
    let refused =
        sidecar.wait_condition(RoleAssumed, ConditionStatus::False, Reason::StsUnreachable, DEFAULT_TIMEOUT).await;
    let proxy = format!("through the proxy http://{}", network.proxy.address());
    for part in [proxy.as_str(), "proxy authorization required"] {
        assert!(refused.message.contains(part), "{}", refused.message);
    }
    assert!(!refused.message.contains("wrong"), "{}", refused.message);
}

#[tokio::test]
async fn settings_that_can_not_be_used_end_the_start() {
    let aws = Aws::start(&World::new()).await;
    for (name, value, expected) in [
        ("HTTPS_PROXY", "socks5://user:hunter2@proxy:1080", "HTTPS_PROXY: it is not the URL of an HTTP proxy"),
        ("AWS_CA_BUNDLE", "/nonexistent.pem", "AWS_CA_BUNDLE: /nonexistent.pem: No such file"),
        ("AWS_USE_FIPS_ENDPOINT", "yes", "AWS_USE_FIPS_ENDPOINT: it is neither true nor false"),
    ] {
        let exit = Setup::new(&aws).environment(name, value).run().await;
        assert_eq!(exit.code, Some(EX_USAGE), "{name}");
        assert!(exit.stderr.contains(expected) && !exit.stderr.contains("hunter2"), "{}", exit.stderr);
    }
}
