//! The HTTP client of `tributary send`: authenticates events and retries them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sha1::Sha1;
use tributary_runtime::errors::causes;

use super::Arguments;
use super::tally::Sent;

/// Timeout of one attempt. Functions answer within 9 s.
const ANSWER: Duration = Duration::from_secs(15);
/// Pause between two attempts, if the answer has no `Retry-After`.
const PAUSE: Duration = Duration::from_secs(1);

/// The validated arguments: the URL of events, how to authenticate, how to connect.
pub struct Given {
    track: Uri,
    key: Key,
    tls: ClientConfig,
    keep_alive: bool,
}

enum Key {
    None,
    Write(String),
    WriteFile(PathBuf),
    SignatureFile(PathBuf),
}

impl Given {
    /// Validates the arguments and reads the CA certificates.
    ///
    /// # Errors
    /// One line that says what is wrong with them.
    pub fn of(arguments: &Arguments) -> Result<Self, String> {
        let key = match (&arguments.write_key, &arguments.write_key_file, &arguments.signature_file) {
            (Some(key), ..) => Key::Write(key.clone()),
            (_, Some(file), _) => Key::WriteFile(file.clone()),
            (.., Some(file)) => Key::SignatureFile(file.clone()),
            _ => Key::None,
        };
        let path = if matches!(key, Key::SignatureFile(_)) { "/" } else { "/v1/track" };
        let wrong = || format!("{} is no address of a function; write it like http://orders.shop.svc", arguments.url);
        let url: Uri = format!("{}{path}", arguments.url.trim_end_matches('/')).parse().map_err(|_| wrong())?;
        if url.authority().is_none() || !matches!(url.scheme_str(), Some("http" | "https")) || url.path() != path {
            return Err(wrong());
        }
        let tls = tls(arguments.ca_file.as_deref(), url.scheme_str() == Some("https"))?;
        Ok(Self { track: url, key, tls, keep_alive: !arguments.no_keep_alive })
    }
}

fn tls(ca_file: Option<&Path>, is_needed: bool) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let says = |why: String| format!("{}: {why}", path.display());
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| says(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| says(error.to_string()))?;
                roots.add(certificate).map_err(|error| says(error.to_string()))?;
            }
        }
        None if is_needed => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        None => {}
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

/// A client; clones share its connection pool.
#[derive(Clone)]
pub struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    given: Arc<Given>,
}

impl Client {
    /// A client without open connections. Without keep-alive, each event opens a new one.
    pub fn new(given: Given) -> Self {
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(given.tls.clone()).https_or_http().enable_http1().build();
        let idle = if given.keep_alive { usize::MAX } else { 0 };
        let http = HttpClient::builder(TokioExecutor::new()).pool_max_idle_per_host(idle).build(connector);
        Self { http, given: Arc::new(given) }
    }

    /// Sends an event. After an error, 408, 429 or 5xx it tries again, if that is within `retry` of the start.
    pub async fn send(&self, body: String, retry: Duration) -> Sent {
        let begun = Instant::now();
        let body = Bytes::from(body);
        let mut tries = 0;
        loop {
            tries += 1;
            let (answer, pause) = self.try_once(body.clone()).await;
            let later = match &answer {
                Ok((status, _)) => matches!(status, 408 | 429 | 500..),
                Err(_) => true,
            };
            if !later || begun.elapsed() + pause > retry {
                return Sent { answer, tries, took: begun.elapsed() };
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_once(&self, body: Bytes) -> (Result<(u16, String), String>, Duration) {
        let exchange = async {
            let request = self.request(body)?;
            let response = self.http.request(request).await.map_err(|error| causes(&error))?;
            let (status, pause) = (response.status().as_u16(), retry_after(&response));
            let text = response.into_body().collect().await.map_err(|error| causes(&error))?.to_bytes();
            Ok((status, String::from_utf8_lossy(&text).into_owned(), pause))
        };
        match tokio::time::timeout(ANSWER, exchange).await {
            Ok(Ok((status, text, pause))) => (Ok((status, text)), pause),
            Ok(Err(error)) => (Err(error), PAUSE),
            Err(_) => (Err(format!("nothing in {ANSWER:?}")), PAUSE),
        }
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
        let request = Request::post(self.given.track.clone()).header(CONTENT_TYPE, "application/json");
        let bearer = |key: &str| format!("Bearer {}", key.trim_end());
        let request = match &self.given.key {
            Key::None => request,
            Key::Write(key) => request.header(AUTHORIZATION, bearer(key)),
            Key::WriteFile(path) => request.header(AUTHORIZATION, bearer(&read(path)?)),
            Key::SignatureFile(path) => request.header("x-signature", sign(read(path)?.trim_end(), &body)),
        };
        request.body(Full::new(body)).map_err(|error| error.to_string())
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Signs as Segment's webhooks do: HMAC-SHA1 of the body, in hexadecimal.
fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn retry_after<B>(response: &Response<B>) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    seconds.map_or(PAUSE, Duration::from_secs)
}
