//! Secrets that change while events come in: taken up, with nothing restarted, refused or lost.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tributary_tests::kubernetes::pods::Sender;
use tributary_tests::kubernetes::{Tenant, within};
use tributary_tests::world::{ACCOUNT, PRINCIPAL, policy};

use crate::stage::{LOADED, tenant};

/// How soon a value that has changed is used: the kubelet brings it within some 90 s.
const TAKEN_UP: Duration = Duration::from_secs(120);
/// How long events come in.
const LOAD: u64 = 150;

/// An authority, and what it signs.
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

    /// A Secret's content for a site of this name.
    fn site(&self, name: &str) -> Value {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        json!({"tls.crt": certificate.pem(), "tls.key": key.serialize_pem()})
    }
}

/// The role demands one of these external IDs.
async fn demand(tenant: &Tenant, name: &str, external_ids: &[&str]) {
    let trust = policy(&json!({
        "Effect": "Allow", "Principal": {"AWS": PRINCIPAL}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_ids}},
    }));
    let role = tenant.of(name);
    tenant.cloud.edit(|all| all["accounts"][ACCOUNT]["roles"][role] = json!({"trustPolicy": trust})).await;
}

/// Starts `tributary send` to a function that has a certificate, trusting these authorities.
async fn send(tenant: &Tenant, name: &str, trusted: &str, arguments: &[&str]) -> Sender {
    let volumes = json!([{"name": "ca", "secret": {"secretName": trusted}}, {"name": "keys", "secret": {"secretName": "clients"}}]);
    let url = format!("https://{name}.{}.svc", tenant.namespace);
    let all = [&[url.as_str(), "--ca-file", "/mnt/ca/ca.crt"], arguments].concat();
    Sender::start(&tenant.cluster, &tenant.namespace, &tenant.images.tool(), &all, &volumes).await
}

fn incarnations(pods: &[Pod]) -> Vec<(Option<String>, i32)> {
    let restarts = |pod: &Pod| Some(pod.status.as_ref()?.container_statuses.as_ref()?.first()?.restart_count);
    pods.iter().map(|pod| (pod.metadata.uid.clone(), restarts(pod).unwrap_or_default())).collect()
}

/// Whether an event with this write key is stored.
async fn opens(tenant: &Tenant, key: &str) -> bool {
    let body = json!({"userId": "u", "event": "e", "writeKey": key}).to_string();
    tenant.post("signed", "/v1/track", &[], body).await.0 == 200
}

/// Sends an event with a signature, as a webhook destination does: the status.
async fn send_signed(tenant: &Tenant, secret: &str) -> u16 {
    let body = json!({"type": "track", "userId": "u", "event": "e"}).to_string();
    let signature = tributary_tests::event::signature(secret, &body);
    tenant.post("signed", "/", &[("x-signature", &signature)], body).await.0
}

/// How often the function's only sidecar was given its role.
async fn sessions(tenant: &Tenant, name: &str) -> u64 {
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
async fn secrets_rotate_while_events_come_in() {
    let tenant = tenant("rotation").await;
    let (old_ca, new_ca) = (Authority::new("the old one"), Authority::new("the new one"));
    tenant.secret("clients", &json!({"middle": "key-middle", "signing": "signing-middle"})).await;
    tenant.secret("both-authorities", &json!({"ca.crt": format!("{}{}", old_ca.pem, new_ca.pem)})).await;
    tenant.secret("new-authority", &json!({"ca.crt": new_ca.pem})).await;
    for name in ["sealed", "signed"] {
        tenant.prepare(name).await;
        demand(&tenant, name, &["rotation/old-3kF9", "rotation/new-3kF9"]).await;
        tenant.secret(name, &json!({"externalId": "rotation/old-3kF9"})).await;
    }
    tenant.secret("keys", &json!({"keys": "key-old\nkey-middle\n"})).await;
    tenant.secret("signing", &json!({"secrets": "signing-old\nsigning-middle\n"})).await;
    tenant.secret("site", &old_ca.site("sealed.rotation.svc")).await;
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
    let _loaded = LOADED.lock().await;
    tenant.wait_calm("signed").await;
    let count = (LOAD * 100).to_string();
    let load = ["--rate", "100", "--count", &count, "--prefix", "rotation"];
    // A connection shows the certificate that was there when it began.
    let anew = [&by_key[..], &load, &["--no-keep-alive"]].concat();
    let to_sealed = send(&tenant, "sealed", "both-authorities", &anew).await;
    let volumes = json!([{"name": "keys", "secret": {"secretName": "clients"}}]);
    let url = "http://signed.rotation.svc";
    let arguments = [&[url], &by_signature[..], &load].concat();
    let to_signed = Sender::start(&tenant.cluster, "rotation", &tenant.images.tool(), &arguments, &volumes).await;

    let before = [incarnations(&tenant.pods("sealed").await), incarnations(&tenant.pods("signed").await)];
    let sessions = [sessions(&tenant, "sealed").await, sessions(&tenant, "signed").await];
    assert!(opens(&tenant, "key-old").await && !opens(&tenant, "key-new").await);
    for name in ["sealed", "signed"] {
        tenant.secret(name, &json!({"externalId": "rotation/new-3kF9"})).await;
    }
    tenant.secret("keys", &json!({"keys": "key-middle\nkey-new\n"})).await;
    tenant.secret("signing", &json!({"secrets": "signing-middle\nsigning-new\n"})).await;
    tenant.secret("site", &new_ca.site("sealed.rotation.svc")).await;

    let begun = std::time::Instant::now();
    within(TAKEN_UP, "the new write key opens, and the old one doesn't", async || {
        (opens(&tenant, "key-new").await && !opens(&tenant, "key-old").await).then_some(())
    })
    .await;
    let left = || TAKEN_UP.saturating_sub(begun.elapsed());
    within(left(), "the new signing secret counts", async || {
        let (new, old) = (send_signed(&tenant, "signing-new").await, send_signed(&tenant, "signing-old").await);
        (new == 200 && old == 401).then_some(())
    })
    .await;
    for (name, before) in ["sealed", "signed"].into_iter().zip(sessions) {
        within(left(), "the role is assumed with the new external ID", async || {
            (self::sessions(&tenant, name).await > before).then_some(())
        })
        .await;
        // From now on no other is right.
        demand(&tenant, name, &["rotation/new-3kF9"]).await;
    }
    let again = left().as_secs().to_string();
    let arguments = [&by_key[..], &["--retry", &again]].concat();
    let sent = send(&tenant, "sealed", "new-authority", &arguments).await.finish(TAKEN_UP).await;
    sent.assert_all_stored();
    println!("all Secrets taken up after {:.0} s", begun.elapsed().as_secs_f32());

    for (name, sender) in [("sealed", to_sealed), ("signed", to_signed)] {
        let sent = sender.finish(Duration::from_secs(LOAD + 60)).await;
        sent.assert_all_stored();
        tenant.assert_stored(&tenant.of(name), "rotation", sent.sent).await;
        tenant.wait_ready(name, Duration::from_secs(15)).await;
    }
    let after = [incarnations(&tenant.pods("sealed").await), incarnations(&tenant.pods("signed").await)];
    assert_eq!(after, before, "something was restarted");
}
