//! Tests HTTPS with a certificate that is rotated, invalid, missing or expired.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};
use tributary_crds::sidecar_config::SecretUse;
use tributary_local_aws::Clock;
use tributary_tests::event::{message_id, track};
use tributary_tests::stored::assert_exactly;
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::{Aws, Function, InProcess, Setup, SidecarProcess, World};

/// A self-signed certificate and its key.
pub(crate) struct SelfSigned {
    der: CertificateDer<'static>,
    certificate: String,
    key: String,
}

impl SelfSigned {
    pub(crate) fn new() -> Self {
        Self::valid(1975, 4096)
    }

    /// A certificate that is valid from the start of the year `from` to the start of the year `to`.
    fn valid(from: i32, to: i32) -> Self {
        let mut parameters = CertificateParams::new(["sidecar.test".to_owned()]).expect("a name");
        parameters.not_before = date_time_ymd(from, 1, 1);
        parameters.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        Self { der: certificate.der().clone(), certificate: certificate.pem(), key: key.serialize_pem() }
    }

    pub(crate) fn files(&self) -> [(&'static str, &str); 2] {
        [("tls.crt", &self.certificate), ("tls.key", &self.key)]
    }

    /// A client that trusts only this certificate.
    pub(crate) fn client(&self) -> TlsConnector {
        trusting(&[self])
    }
}

/// A client that trusts these certificates.
fn trusting(sites: &[&SelfSigned]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for site in sites {
        roots.add(site.der.clone()).expect("a certificate");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Posts an event on a new connection. An error is a failed handshake or request.
async fn post(sidecar: &SidecarProcess, site: &SelfSigned, i: usize) -> Result<StatusCode, String> {
    post_with(&site.client(), sidecar.events, i).await
}

async fn post_with(client: &TlsConnector, events: SocketAddr, i: usize) -> Result<StatusCode, String> {
    let mut connection = connect(client, events).await?;
    send(&mut connection, i).await
}

type Connection = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

/// Performs the client's part of a handshake on a connection.
pub(crate) async fn handshake(client: &TlsConnector, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
    client.connect(ServerName::try_from("sidecar.test").expect("a name"), stream).await
}

async fn connect(client: &TlsConnector, events: SocketAddr) -> Result<Connection, String> {
    let stream = TcpStream::connect(events).await.map_err(|error| error.to_string())?;
    let stream = handshake(client, stream).await.map_err(|error| error.to_string())?;
    let (sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn send(connection: &mut Connection, i: usize) -> Result<StatusCode, String> {
    let request = Request::post("/v1/track").header("host", "sidecar.test").body(Full::from(track(i).to_string()));
    let answer = connection.send_request(request.expect("a request")).await.map_err(|error| error.to_string())?;
    Ok(answer.status())
}

async fn start_https(site: Option<&SelfSigned>) -> (Aws, SidecarProcess) {
    let aws = Aws::start(&World::new()).await;
    let function = Function::new().with("ingest.tlsSecretRef", json!({"name": "site"}));
    let mut setup = Setup::new(&aws).function(function);
    for (name, value) in site.iter().flat_map(|site| site.files()) {
        setup = setup.secret(SecretUse::Tls, name, value);
    }
    (aws, setup.start().await)
}

#[tokio::test]
async fn events_are_accepted_over_tls_and_not_without() {
    let site = SelfSigned::new();
    let (aws, sidecar) = start_https(Some(&site)).await;
    sidecar.wait_ready().await;
    assert_eq!(post(&sidecar, &site, 0).await, Ok(StatusCode::OK));
    assert!(post(&sidecar, &SelfSigned::new(), 1).await.is_err(), "a client that trusts another certificate connects");
    assert!(sidecar.try_send("/v1/track", &track(2)).await.is_err(), "events are accepted without TLS");
    assert_exactly(&aws.objects(), &[message_id(0)]);
}

#[tokio::test]
async fn a_new_certificate_is_presented_to_new_connections_and_old_ones_stay_open() {
    let (old, new) = (SelfSigned::new(), SelfSigned::new());
    let (aws, sidecar) = start_https(Some(&old)).await;
    sidecar.wait_ready().await;
    let mut kept = connect(&old.client(), sidecar.events).await.expect("a connection");
    sidecar.publish(SecretUse::Tls, &new.files());
    let mut i = 0;
    until("the new certificate is shown", DEFAULT_TIMEOUT, async || {
        // Events are accepted before and after the change.
        assert_eq!(send(&mut kept, i).await, Ok(StatusCode::OK));
        i += 1;
        (post(&sidecar, &new, i).await == Ok(StatusCode::OK)).then_some(())
    })
    .await;
    assert!(connect(&old.client(), sidecar.events).await.is_err());
    assert_eq!(send(&mut kept, i + 1).await, Ok(StatusCode::OK));
    assert_exactly(&aws.objects(), &(0..i + 2).map(message_id).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotating_a_certificate_under_load_fails_no_connection() {
    let (old, new) = (SelfSigned::new(), SelfSigned::new());
    let (aws, sidecar) = start_https(Some(&old)).await;
    sidecar.wait_ready().await;
    let (client, events) = (trusting(&[&old, &new]), sidecar.events);
    let traffic = tokio::spawn(async move {
        let mut sends = JoinSet::new();
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        for i in 0..600 {
            ticks.tick().await;
            let client = client.clone();
            sends.spawn(async move { post_with(&client, events, i).await });
        }
        sends.join_all().await
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    sidecar.publish(SecretUse::Tls, &new.files());
    let outcomes = traffic.await.expect("no panic");
    assert_eq!(outcomes, vec![Ok(StatusCode::OK); 600]);
    assert!(post(&sidecar, &old, 0).await.is_err(), "the old certificate is still presented");
    assert_exactly(&aws.objects(), &(0..600).map(message_id).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_invalid_certificate_is_reported_and_the_last_valid_one_stays_in_use() {
    let (good, other) = (SelfSigned::new(), SelfSigned::new());
    let (_aws, sidecar) = start_https(Some(&good)).await;
    sidecar.wait_ready().await;
    let none: [(&str, &str); 0] = [];
    let mixed = [("tls.crt", good.certificate.as_str()), ("tls.key", other.key.as_str())];
    for (wrong, expected) in [
        (&none[..], "kubectl create secret tls site"),
        (&good.files()[..1], "no key tls.key"),
        (&[("tls.crt", "nonsense"), ("tls.key", "nonsense")][..], "tls.crt"),
        (&mixed[..], "the certificate with its key"),
    ] {
        sidecar.publish(SecretUse::Tls, wrong);
        until(expected, DEFAULT_TIMEOUT, async || {
            let reported = sidecar.condition(ConditionType::IngestConfigured).await;
            let is_reported = reported.reason == Reason::TlsInvalid && reported.message.contains(expected);
            // The condition is True: events are accepted with the last valid certificate.
            is_reported.then(|| assert_eq!(reported.status, ConditionStatus::True, "{}", reported.message))
        })
        .await;
        assert_eq!(post(&sidecar, &good, 0).await, Ok(StatusCode::OK));
        assert!(!sidecar.output().contains(&other.key[40..80]), "a key is in the log");
    }
    sidecar.publish(SecretUse::Tls, &other.files());
    sidecar.wait_condition(ConditionType::IngestConfigured, ConditionStatus::True, Reason::Ok, DEFAULT_TIMEOUT).await;
    assert_eq!(post(&sidecar, &other, 0).await, Ok(StatusCode::OK));
}

#[tokio::test]
async fn without_a_certificate_it_is_not_ready_until_there_is_one() {
    let site = SelfSigned::new();
    let (_aws, sidecar) = start_https(None).await;
    sidecar
        .wait_condition(ConditionType::IngestConfigured, ConditionStatus::False, Reason::TlsInvalid, DEFAULT_TIMEOUT)
        .await;
    sidecar.wait_condition(ConditionType::RoleAssumed, ConditionStatus::True, Reason::Ok, DEFAULT_TIMEOUT).await;
    assert_eq!(sidecar.get_admin("/readyz").await.status, 503);
    assert!(post(&sidecar, &site, 0).await.is_err());
    sidecar.publish(SecretUse::Tls, &site.files());
    sidecar.wait_ready().await;
    assert_eq!(post(&sidecar, &site, 0).await, Ok(StatusCode::OK));
}

#[tokio::test]
async fn connections_without_a_handshake_are_closed_for_new_ones() {
    let (aws, site) = (Aws::start(&World::new()).await, SelfSigned::new());
    let ingest = json!({"tlsSecretRef": {"name": "site"}, "maxConnections": 16});
    let mut setup = Setup::new(&aws).function(Function::new().with("ingest", ingest));
    for (name, value) in site.files() {
        setup = setup.secret(SecretUse::Tls, name, value);
    }
    let sidecar = setup.start().await;
    sidecar.wait_ready().await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(sidecar.events).await.expect("a connection"));
    }
    until("all slots are taken", DEFAULT_TIMEOUT, async || (sidecar.metric("connections").await >= 16.0).then_some(()))
        .await;
    let begun = std::time::Instant::now();
    // The connections in the backlog are accepted first, each in place of an older one.
    for i in 0..5 {
        assert_eq!(post(&sidecar, &site, i).await, Ok(StatusCode::OK));
    }
    println!("after {:?}", begun.elapsed());
    assert!(sidecar.metric("connections_shed_total").await >= 48.0);
}

#[tokio::test]
async fn a_connection_without_a_handshake_is_closed() {
    let site = SelfSigned::new();
    let (_aws, sidecar) = start_https(Some(&site)).await;
    let mut stream = TcpStream::connect(sidecar.events).await.expect("a connection");
    let end = tokio::time::timeout(Duration::from_secs(15), stream.read(&mut [0])).await;
    assert_eq!(end.expect("the connection is closed in time").expect("end of stream"), 0);
}

const EXPIRY_METRIC: &str = "certificate_expiry_timestamp_seconds";

#[tokio::test]
async fn a_certificate_outside_its_validity_is_reported_and_stays_in_use() {
    let good = SelfSigned::new();
    for (site, expected, expiry) in [
        (SelfSigned::valid(2020, 2021), "in the Secret site expired at 2021-01-01T00:00:00Z", 1_609_459_200.0),
        (SelfSigned::valid(2200, 2201), "in the Secret site is not valid before 2200-01-01T00:00:00Z", 7_289_654_400.0),
    ] {
        let (_aws, sidecar) = start_https(Some(&site)).await;
        sidecar.wait_ready().await;
        let reported = sidecar
            .wait_condition(
                ConditionType::IngestConfigured,
                ConditionStatus::False,
                Reason::TlsInvalid,
                DEFAULT_TIMEOUT,
            )
            .await;
        assert!(reported.message.contains(expected), "{}", reported.message);
        assert_eq!(sidecar.metric(EXPIRY_METRIC).await, expiry);
        let refused = post(&sidecar, &site, 0).await.expect_err("the client refuses the certificate");
        assert!(refused.to_lowercase().contains("certificate"), "not because of the certificate: {refused}");
        sidecar.publish(SecretUse::Tls, &good.files());
        sidecar
            .wait_condition(ConditionType::IngestConfigured, ConditionStatus::True, Reason::Ok, DEFAULT_TIMEOUT)
            .await;
        assert_eq!(post(&sidecar, &good, 1).await, Ok(StatusCode::OK));
        assert!(sidecar.metric(EXPIRY_METRIC).await > 60_000_000_000.0);
    }
}

#[tokio::test]
async fn the_expiry_of_an_unchanged_certificate_is_reported() {
    let end: SystemTime = "2031-01-01T00:00:00Z".parse::<jiff::Timestamp>().expect("a time").into();
    // Two minutes before it expires, which is four seconds on this clock.
    let aws = Aws::start_at(&World::new(), Clock::scaled(end - Duration::from_secs(120), 30.0)).await;
    let function = Function::new().with("ingest.tlsSecretRef", json!({"name": "site"}));
    let site = SelfSigned::valid(2030, 2031);
    let sidecar = InProcess::start_with(&aws, &function, SecretUse::Tls, &site.files()).await;
    let condition = sidecar.condition(ConditionType::IngestConfigured).await;
    assert!(aws.clock().now() < end, "the test took too long to begin");
    assert_eq!((condition.status, condition.reason), (ConditionStatus::True, Reason::Ok));
    let reported = sidecar
        .wait_condition(ConditionType::IngestConfigured, ConditionStatus::False, Reason::TlsInvalid, DEFAULT_TIMEOUT)
        .await;
    assert!(
        aws.clock().now() > end && reported.message.contains("expired at 2031-01-01T00:00:00Z"),
        "{}",
        reported.message
    );
    sidecar.publish(SecretUse::Tls, &SelfSigned::new().files());
    sidecar.wait_condition(ConditionType::IngestConfigured, ConditionStatus::True, Reason::Ok, DEFAULT_TIMEOUT).await;
}

#[tokio::test]
async fn without_tls_the_certificate_expiry_metric_is_zero() {
    let (_aws, sidecar) = tributary_tests::start_ready(Function::new()).await;
    assert!(sidecar.metrics().await.contains("\ntributary_certificate_expiry_timestamp_seconds 0.0\n"));
}
