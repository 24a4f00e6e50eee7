//! Tests of virtual-hosted addressing, TLS, and idle connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::presigning::PresigningConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto};
use tributary_local_aws::{Accounts, Options};

use crate::support::{ACCOUNTS, Aws, admin};

const LAKE: &str = "lake.s3.us-west-2.amazonaws.com";

async fn start(change: impl FnOnce(Options) -> Options) -> Aws {
    Aws::start_with(change(Options::new(Accounts::parse(ACCOUNTS).expect("the accounts are valid")))).await
}

/// A PUT of the object `a b` to `lake`, presigned by a client that uses virtual-hosted addressing.
async fn put(aws: &Aws, endpoint: Option<&str>) -> String {
    let mut config = aws.s3("us-west-2", admin()).config().to_builder().force_path_style(false);
    config.set_endpoint_url(endpoint.map(str::to_owned));
    let expiry = PresigningConfig::expires_in(Duration::from_secs(60)).expect("a lifetime");
    let put = aws_sdk_s3::Client::from_conf(config.build()).put_object().bucket("lake").key("a b");
    let presigned = put.presigned(expiry).await.expect("a signature");
    let uri = presigned.uri().parse::<hyper::Uri>().expect("a URI");
    let (path, host) = (uri.path_and_query().expect("a path"), uri.authority().expect("a host"));
    format!("PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}")
}

/// Sends a request and reads the head of its answer, whose body is empty.
async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("the server answers"));
    }
    String::from_utf8(answer).expect("text")
}

#[tokio::test]
async fn the_bucket_is_parsed_from_the_host_name() {
    let base_domains = vec!["store.test".to_owned(), "other.example".to_owned()];
    let aws = start(|options| Options { base_domains, ..options }).await;
    for (endpoint, host) in [
        (None, LAKE),
        (Some("http://store.test"), "lake.store.test"),
        (Some("http://other.example:9000"), "lake.other.example:9000"),
    ] {
        let mut stream = TcpStream::connect(&aws.address).await.unwrap();
        let answer = exchange(&mut stream, &put(&aws, endpoint).await).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
        let call = aws.local.calls().pop().unwrap();
        assert_eq!((call.operation, call.host.as_deref()), ("PutObject", Some(host)));
        assert_eq!((call.bucket.as_deref(), call.key.as_deref()), (Some("lake"), Some("a b")));
        assert_eq!(call.tls_name, None);
    }
    let objects: Vec<_> = aws.local.objects().into_iter().map(|object| (object.bucket, object.key)).collect();
    assert_eq!(objects, [("lake".to_owned(), "a b".to_owned())], "independent of the host name");
    // If the host is in none of the server's domains, the bucket is in the path.
    let mut stream = TcpStream::connect(&aws.address).await.unwrap();
    let answer = exchange(&mut stream, "HEAD /lake HTTP/1.1\r\nHost: lake.unknown.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let call = aws.local.calls().pop().unwrap();
    assert_eq!((call.operation, call.bucket.as_deref()), ("HeadBucket", Some("lake")));
}

#[tokio::test]
async fn the_server_name_of_the_tls_handshake_is_recorded() {
    let issued = rcgen::generate_simple_self_signed(["*.s3.us-west-2.amazonaws.com".to_owned()]).unwrap();
    let provider = || Arc::new(crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![issued.cert.der().clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(issued.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let client = TlsConnector::from(Arc::new(client.with_root_certificates(roots).with_no_client_auth()));

    let aws = start(|options| options).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let local = aws.local.clone();
    tokio::spawn(async move { local.serve_tls(listener, Arc::new(server), std::future::pending()).await });
    // A client that does not start its TLS handshake does not block others.
    let _silent = TcpStream::connect(address).await.unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = client.connect(ServerName::try_from(LAKE).unwrap(), stream).await.unwrap();
    let answer = exchange(&mut stream, &put(&aws, None).await).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let call = aws.local.calls().pop().unwrap();
    assert_eq!((call.host.as_deref(), call.tls_name.as_deref()), (Some(LAKE), Some(LAKE)));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    const IDLE: Duration = Duration::from_millis(400);
    let aws = start(|options| Options { idle_timeout: IDLE, ..options }).await;
    let request = put(&aws, None).await;
    let mut stream = TcpStream::connect(&aws.address).await.unwrap();
    for pause in [0, 100, 100] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        assert!(exchange(&mut stream, &request).await.starts_with("HTTP/1.1 200"));
    }
    let since = Instant::now();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "the server sends nothing before it closes: {rest:?}");
    assert!((IDLE / 2..IDLE * 10).contains(&since.elapsed()), "{:?}", since.elapsed());
    let mut stream = TcpStream::connect(&aws.address).await.unwrap();
    assert!(exchange(&mut stream, &request).await.starts_with("HTTP/1.1 200"));
    let connections: Vec<_> = aws.local.calls().iter().map(|call| call.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1]);
}
