//! Opens connections, with TLS to `https` origins.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower::Service;
use tracing::warn;
use tributary_runtime::errors::causes;

/// Time limit for a connection, with its TLS handshake.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// An open connection.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens connections; shared by all clients of a process.
#[derive(Debug, Default)]
pub(crate) struct Connector {
    /// Made for the first connection: to read the system's authorities takes milliseconds.
    https: OnceLock<HttpsConnector<HttpConnector>>,
}

impl Connector {
    /// Connects to a server; the error has the causes.
    pub(super) async fn connect(&self, origin: &Uri) -> Result<Stream, String> {
        let mut https = self.https.get_or_init(https).clone();
        https.call(origin.clone()).await.map_err(|error| causes(error.as_ref()))
    }
}

fn https() -> HttpsConnector<HttpConnector> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    HttpsConnectorBuilder::new().with_tls_config(tls_config()).https_or_http().enable_http1().wrap_connector(tcp)
}

/// Trusts the authorities that the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` override them.
fn tls_config() -> ClientConfig {
    let native = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        let errors: Vec<_> = native.errors.iter().map(ToString::to_string).collect();
        warn!(errors = errors.join("; "), "no certificate authorities were found, so HTTPS to AWS will fail");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
