//! Opens connections: with TLS to `https` origins, and through the environment's proxy.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower::Service;
use tributary_runtime::errors::causes;

use super::authorities::Authorities;
use super::network::Network;
use super::proxy::Proxies;

/// Time limit for a connection, with its tunnel and its TLS handshake.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// An open connection.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens connections; shared by all clients of a process.
#[derive(Debug, Default)]
pub(crate) struct Connector {
    proxies: Proxies,
    authorities: Authorities,
    /// Made for the first connection with TLS.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Connector {
    pub(crate) fn new(network: Network) -> Self {
        let Network { proxies, authorities, .. } = network;
        Self { proxies, authorities, tls: OnceLock::new() }
    }

    /// Connects to a server; the error has the causes.
    pub(super) async fn connect(&self, origin: &Uri) -> Result<Stream, String> {
        let tls = Arc::clone(self.tls.get_or_init(|| Arc::new(self.authorities.tls_config())));
        let Some(proxy) = self.proxies.of(origin) else {
            let connected = HttpsConnector::from((tcp(), tls)).call(origin.clone()).await;
            return connected.map_err(|error| causes(error.as_ref()));
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp());
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let connected = HttpsConnector::from((tunnel, tls)).call(origin.clone()).await;
        connected.map_err(|error| format!("through the proxy {}: {}", proxy.uri(), causes(error.as_ref())))
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp
}
