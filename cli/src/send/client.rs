//! The HTTP client of `tributary send`: authenticates events, sends them, and retries them as client libraries do.

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
use super::tally::SendResult;

/// Timeout of one attempt. Functions answer within 9 s, so a longer wait means that something in between fails.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Delay before the next attempt, if the answer has no `Retry-After`.
const DEFAULT_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The validated arguments: where to send events, how to authenticate, how to connect.
pub struct SendOptions {
    url: Uri,
    authentication: Authentication,
    tls: ClientConfig,
    keep_alive: bool,
}

enum Authentication {
    None,
    WriteKey(String),
    WriteKeyFile(PathBuf),
    SignatureFile(PathBuf),
}

impl SendOptions {
    /// Validates the arguments and reads the CA certificates.
    ///
    /// # Errors
    /// One line with the reason, if an argument or a certificate is invalid.
    pub fn from_arguments(arguments: &Arguments) -> Result<Self, String> {
        let authentication = match (&arguments.write_key, &arguments.write_key_file, &arguments.signature_file) {
            (Some(key), ..) => Authentication::WriteKey(key.clone()),
            (_, Some(file), _) => Authentication::WriteKeyFile(file.clone()),
            (.., Some(file)) => Authentication::SignatureFile(file.clone()),
            _ => Authentication::None,
        };
        if let Authentication::WriteKeyFile(path) | Authentication::SignatureFile(path) = &authentication {
            read(path)?;
        }
        let path = if matches!(authentication, Authentication::SignatureFile(_)) { "/" } else { "/v1/track" };
        let url = function_url(&arguments.url, path)?;
        let tls = tls(arguments.ca_file.as_deref(), url.scheme_str() == Some("https"))?;
        Ok(Self { url, authentication, tls, keep_alive: !arguments.no_keep_alive })
    }
}

/// The URL of `path` at the function's URL.
fn function_url(url: &str, path: &str) -> Result<Uri, String> {
    let invalid = |why| {
        format!(
            "{url} is not the URL of a function: {why}; write it like http://127.0.0.1:8080 or http://orders.shop.svc"
        )
    };
    if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(invalid("it does not begin with http:// or https://"));
    }
    let whole: Uri = format!("{}{path}", url.trim_end_matches('/')).parse().map_err(|_| invalid("it is malformed"))?;
    if whole.path() != path || whole.query().is_some() {
        return Err(invalid("it has a path, which this command adds itself"));
    }
    Ok(whole)
}

fn tls(ca_file: Option<&Path>, is_needed: bool) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let error_in_file = |why: String| format!("{}: {why}", path.display());
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error_in_file(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| error_in_file(error.to_string()))?;
                roots.add(certificate).map_err(|error| error_in_file(error.to_string()))?;
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
    options: Arc<SendOptions>,
}

impl Client {
    /// A client without open connections. Without keep-alive, each event opens a new one.
    pub fn new(options: SendOptions) -> Self {
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(options.tls.clone()).https_or_http().enable_http1().build();
        let idle = if options.keep_alive { usize::MAX } else { 0 };
        let http = HttpClient::builder(TokioExecutor::new()).pool_max_idle_per_host(idle).build(connector);
        Self { http, options: Arc::new(options) }
    }

    /// Sends an event. After an error, 408, 429 or 5xx, retries it as long as the next attempt starts within `retry`.
    pub async fn send(&self, body: String, retry: Duration) -> SendResult {
        let start = Instant::now();
        let body = Bytes::from(body);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (answer, delay) = self.attempt(body.clone()).await;
            let is_retryable = match &answer {
                Ok((status, _)) => matches!(status, 408 | 429 | 500..),
                Err(_) => true,
            };
            if !is_retryable || start.elapsed() + delay > retry {
                return SendResult { answer, attempts, duration: start.elapsed() };
            }
            tokio::time::sleep(delay).await;
        }
    }

    async fn attempt(&self, body: Bytes) -> (Result<(u16, String), String>, Duration) {
        let exchange = async {
            let request = self.request(body)?;
            let response = self.http.request(request).await.map_err(|error| connection_error(&error))?;
            let (status, delay) = (response.status().as_u16(), retry_after(&response));
            let text = response.into_body().collect().await.map_err(|error| causes(&error))?.to_bytes();
            Ok((status, String::from_utf8_lossy(&text).into_owned(), delay))
        };
        match tokio::time::timeout(ATTEMPT_TIMEOUT, exchange).await {
            Ok(Ok((status, text, delay))) => (Ok((status, text)), delay),
            Ok(Err(error)) => (Err(error), DEFAULT_RETRY_DELAY),
            Err(_) => (Err(format!("timed out after {ATTEMPT_TIMEOUT:?}")), DEFAULT_RETRY_DELAY),
        }
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
        let request = Request::post(self.options.url.clone()).header(CONTENT_TYPE, "application/json");
        let bearer = |key: &str| format!("Bearer {}", key.trim_end());
        let request = match &self.options.authentication {
            Authentication::None => request,
            Authentication::WriteKey(key) => request.header(AUTHORIZATION, bearer(key)),
            Authentication::WriteKeyFile(path) => request.header(AUTHORIZATION, bearer(&read(path)?)),
            Authentication::SignatureFile(path) => request.header("x-signature", sign(read(path)?.trim_end(), &body)),
        };
        request.body(Full::new(body)).map_err(|error| error.to_string())
    }
}

/// The error of a request without an answer.
fn connection_error(error: &hyper_util::client::legacy::Error) -> String {
    let text = causes(error);
    // The answer to a TLS handshake by a server that speaks HTTP.
    let hint = if text.contains("InvalidContentType") {
        "; the server does not speak TLS: write http://"
    } else if text.contains("Connection refused") {
        "; nothing listens there: check the host and port, and that the function runs"
    } else if text.contains("dns error") {
        "; check the host name in the URL"
    } else {
        ""
    };
    text + hint
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Signs as Segment's webhooks do: HMAC-SHA1 of the body, in hexadecimal.
fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("HMAC accepts keys of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn retry_after<B>(response: &Response<B>) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    seconds.map_or(DEFAULT_RETRY_DELAY, Duration::from_secs)
}
