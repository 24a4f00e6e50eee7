//! Tests that Secrets can be rotated under load: new values are used without a restart, and no event is refused or
//! lost.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tributary_tests::kubernetes::pods::Sender;
use tributary_tests::kubernetes::{Tenant, within};
use tributary_tests::world::{ACCOUNT, PRINCIPAL, policy};

use crate::stage::{LOAD_LOCK, tenant};

/// How soon a changed value is used: the kubelet updates a mounted Secret within about 90 s.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(120);
/// How long events are sent, in seconds.
const LOAD_SECONDS: u64 = 150;

/// A certificate authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// The entries of a TLS Secret with a certificate for this name.
    fn tls_secret(&self, name: &str) -> Value {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        json!({"tls.crt": certificate.pem(), "tls.key": key.serialize_pem()})
    }
}

/// Makes the role require one of these external IDs.
async fn require_external_ids(tenant: &Tenant, name: &str, external_ids: &[&str]) {
    let trust = policy(&json!({
        "Effect": "Allow", "Principal": {"AWS": PRINCIPAL}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_ids}},
    }));
    let role = tenant.aws_name(name);
    tenant.cloud.edit(|all| all["accounts"][ACCOUNT]["roles"][role] = json!({"trustPolicy": trust})).await;
}

/// Starts `tributary send` over HTTPS to a function, with the authorities of the Secret `trusted`.
async fn send(tenant: &Tenant, name: &str, trusted: &str, arguments: &[&str]) -> Sender {
    let volumes = json!([{"name": "ca", "secret": {"secretName": trusted}}, {"name": "keys", "secret": {"secretName": "clients"}}]);
    let url = format!("https://{name}.{}.svc", tenant.namespace);
    let all = [&[url.as_str(), "--ca-file", "/mnt/ca/ca.crt"], arguments].concat();
    Sender::start(&tenant.cluster, &tenant.namespace, &tenant.images.tool(), &all, &volumes).await
}

fn uids_and_restarts(pods: &[Pod]) -> Vec<(Option<String>, i32)> {
    let restarts = |pod: &Pod| Some(pod.status.as_ref()?.container_statuses.as_ref()?.first()?.restart_count);
    pods.iter().map(|pod| (pod.metadata.uid.clone(), restarts(pod).unwrap_or_default())).collect()
}

/// Whether an event with this write key is stored.
async fn accepts_write_key(tenant: &Tenant, key: &str) -> bool {
    let body = json!({"userId": "u", "event": "e", "writeKey": key}).to_string();
    tenant.post("signed", "/v1/track", &[], body).await.0 == 200
}

/// Sends an event with a signature, as a webhook does, and returns the status.
async fn send_signed(tenant: &Tenant, secret: &str) -> u16 {
    let body = json!({"type": "track", "userId": "u", "event": "e"}).to_string();
    let signature = tributary_tests::event::signature(secret, &body);
    tenant.post("signed", "/", &[("x-signature", &signature)], body).await.0
}

/// How many sessions STS has given to the function's only sidecar.
async fn count_sessions(tenant: &Tenant, name: &str) -> u64 {
    let pods = tenant.pods(name).await;
    let pod = pods[0].metadata.name.as_deref().expect("a name");
    let uri = format!("/api/v1/namespaces/{}/pods/{pod}:8081/proxy/metrics", tenant.namespace);
    let request = hyper::Request::get(uri).body(Vec::new()).expect("a request");
    let metrics = tenant.cluster.client.request_text(request).await.expect("metrics");
    let line = "tributary_sts_requests_total{outcome=\"assumed\"} ";
    let count = metrics.lines().find_map(|metric| metric.strip_prefix(line));
    count.expect("a count of sessions").parse().expect("a number")
}

#[tokio::test]
async fn rotating_secrets_under_load_loses_no_event() {
    let tenant = tenant("rotation").await;
    let (old_ca, new_ca) = (Authority::new("the old one"), Authority::new("the new one"));
    tenant.secret("clients", &json!({"middle": "key-middle", "signing": "signing-middle"})).await;
    tenant.secret("both-authorities", &json!({"ca.crt": format!("{}{}", old_ca.pem, new_ca.pem)})).await;
    tenant.secret("new-authority", &json!({"ca.crt": new_ca.pem})).await;
    for name in ["sealed", "signed"] {
        tenant.prepare(name).await;
        require_external_ids(&tenant, name, &["rotation/old-3kF9", "rotation/new-3kF9"]).await;
        tenant.secret(name, &json!({"externalId": "rotation/old-3kF9"})).await;
    }
    tenant.secret("keys", &json!({"keys": "key-old\nkey-middle\n"})).await;
    tenant.secret("signing", &json!({"secrets": "signing-old\nsigning-middle\n"})).await;
    tenant.secret("site", &old_ca.tls_secret("sealed.rotation.svc")).await;
    let keys = json!({"name": "keys", "key": "keys"});
    tenant.apply("sealed", &json!({"ingest": {"writeKeySecretRef": keys, "tlsSecretRef": {"name": "site"}}})).await;
    let ingest = json!({"writeKeySecretRef": keys, "signatureSecretRef": {"name": "signing", "key": "secrets"}});
    tenant.apply("signed", &json!({"ingest": ingest})).await;
    for name in ["sealed", "signed"] {
        tenant.wait_ready(name, Duration::from_secs(60)).await;
    }

    let by_key = ["--write-key-file", "/mnt/keys/middle"];
    let by_signature = ["--signature-file", "/mnt/keys/signing"];
    let reached = [&by_key[..], &["--retry", "30"]].concat();
    send(&tenant, "sealed", "both-authorities", &reached)
        .await
        .finish(Duration::from_secs(60))
        .await
        .assert_all_stored();
    let _loaded = LOAD_LOCK.lock().await;
    tenant.wait_responsive("signed").await;
    let count = (LOAD_SECONDS * 100).to_string();
    let load = ["--rate", "100", "--count", &count, "--prefix", "rotation"];
    // A connection keeps the certificate of its handshake, so each request uses a new one.
    let new_connections = [&by_key[..], &load, &["--no-keep-alive"]].concat();
    let to_sealed = send(&tenant, "sealed", "both-authorities", &new_connections).await;
    let volumes = json!([{"name": "keys", "secret": {"secretName": "clients"}}]);
    let url = "http://signed.rotation.svc";
    let arguments = [&[url], &by_signature[..], &load].concat();
    let to_signed = Sender::start(&tenant.cluster, "rotation", &tenant.images.tool(), &arguments, &volumes).await;

    let before = [uids_and_restarts(&tenant.pods("sealed").await), uids_and_restarts(&tenant.pods("signed").await)];
    let sessions = [count_sessions(&tenant, "sealed").await, count_sessions(&tenant, "signed").await];
    assert!(accepts_write_key(&tenant, "key-old").await && !accepts_write_key(&tenant, "key-new").await);
    for name in ["sealed", "signed"] {
        tenant.secret(name, &json!({"externalId": "rotation/new-3kF9"})).await;
    }
    tenant.secret("keys", &json!({"keys": "key-middle\nkey-new\n"})).await;
    tenant.secret("signing", &json!({"secrets": "signing-middle\nsigning-new\n"})).await;
    tenant.secret("site", &new_ca.tls_secret("sealed.rotation.svc")).await;

    let begun = std::time::Instant::now();
    within(RELOAD_TIMEOUT, "the new write key opens, and the old one doesn't", async || {
        (accepts_write_key(&tenant, "key-new").await && !accepts_write_key(&tenant, "key-old").await).then_some(())
    })
    .await;
    let left = || RELOAD_TIMEOUT.saturating_sub(begun.elapsed());
    within(left(), "the new signing secret is accepted, and the old one isn't", async || {
        let (new, old) = (send_signed(&tenant, "signing-new").await, send_signed(&tenant, "signing-old").await);
        (new == 200 && old == 401).then_some(())
    })
    .await;
    for (name, before) in ["sealed", "signed"].into_iter().zip(sessions) {
        within(left(), "the role is assumed with the new external ID", async || {
            (count_sessions(&tenant, name).await > before).then_some(())
        })
        .await;
        // From now on the role accepts only the new external ID.
        require_external_ids(&tenant, name, &["rotation/new-3kF9"]).await;
    }
    let again = left().as_secs().to_string();
    let arguments = [&by_key[..], &["--retry", &again]].concat();
    let sent = send(&tenant, "sealed", "new-authority", &arguments).await.finish(RELOAD_TIMEOUT).await;
    sent.assert_all_stored();
    println!("all Secrets in use after {:.0} s", begun.elapsed().as_secs_f32());

    for (name, sender) in [("sealed", to_sealed), ("signed", to_signed)] {
        let sent = sender.finish(Duration::from_secs(LOAD_SECONDS + 60)).await;
        sent.assert_all_stored();
        tenant.assert_stored(&tenant.aws_name(name), "rotation", sent.sent).await;
        tenant.wait_ready(name, Duration::from_secs(15)).await;
    }
    let after = [uids_and_restarts(&tenant.pods("sealed").await), uids_and_restarts(&tenant.pods("signed").await)];
    assert_eq!(after, before, "something was restarted");
}
