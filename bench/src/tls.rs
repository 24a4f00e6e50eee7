//! The certificates of a run, and connections with or without TLS.
//!
//! The bench creates an authority and one certificate for the loopback address when it starts. The double, the floor and
//! the sidecar read them from files, because each is a process of its own.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const AUTHORITY_FILE: &str = "ca.crt";
/// The names of the keys of a Secret of type `kubernetes.io/tls`, from which the sidecar reads its certificate.
pub const CERTIFICATE_FILE: &str = "tls.crt";
pub const KEY_FILE: &str = "tls.key";

/// The files of an authority's certificate, and of a certificate that it signed and its key; removed when dropped.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub fn generate() -> Result<Certificates> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "tributary-bench");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([Ipv4Addr::LOCALHOST.to_string()])?.signed_by(&key, &authority)?;

        let folder = TempDir::new()?;
        fs::write(folder.path().join(AUTHORITY_FILE), authority.pem())?;
        fs::write(folder.path().join(CERTIFICATE_FILE), certificate.pem())?;
        fs::write(folder.path().join(KEY_FILE), key.serialize_pem())?;
        Ok(Certificates { folder })
    }

    /// The file with the authority's certificate, which a client of S3 or of the process under test trusts.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join(AUTHORITY_FILE)
    }

    /// The folder with the server's certificate and key.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A server's configuration, with the certificate and key in `folder`.
pub fn server_config(folder: &Path) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(folder.join(CERTIFICATE_FILE))?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(folder.join(KEY_FILE))?;
    let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_no_client_auth().with_single_cert(chain, key)?))
}

/// A client that trusts the authority in this file.
pub fn connector(authority: &Path) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).with_context(|| authority.display().to_string())?)?;
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()).into())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A connection, with or without TLS.
pub type Stream = Box<dyn ByteStream>;

pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// Connects to `address`; over TLS, if there is a client for it.
pub async fn connect(address: SocketAddr, tls: Option<&TlsConnector>) -> io::Result<Stream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(match tls {
        None => Box::new(stream),
        Some(tls) => Box::new(tls.connect(ServerName::from(address.ip()), stream).await?),
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    #[tokio::test]
    async fn a_client_that_trusts_the_authority_connects_to_the_server() {
        let certificates = Certificates::generate().unwrap();
        let acceptor = TlsAcceptor::from(server_config(certificates.folder()).unwrap());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            for _ in 0..2 {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    stream.write_all(b"hello").await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            }
        };
        let client = async {
            let others = connector(&Certificates::generate().unwrap().authority()).unwrap();
            assert!(connect(address, Some(&others)).await.is_err());
            let tls = connector(&certificates.authority()).unwrap();
            let mut answer = String::new();
            connect(address, Some(&tls)).await.unwrap().read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "hello");
        };
        tokio::join!(server, client);
    }
}
