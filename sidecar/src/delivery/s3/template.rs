//! A request as the AWS SDK builds it, ready to be filled in for each object.
//!
//! The SDK knows how a request for a bucket looks: endpoint rules, addressing style, encryption, tags, owner, storage
//! class. To build one costs it far more CPU time than to send it, and only a few parts differ between the requests of
//! one session. So the SDK builds one request per session ([`sdk`](super::sdk)), and this module replaces these parts:
//! the key, the length, the checksum, the date, the invocation ID and the signature.
//!
//! A template that does not reproduce the SDK's own request, signature included, is refused when it is made.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::signature::{Scope, Signer, amz_date, sha256_hex};
use crate::aws_client::split_origin;

/// The characters that a path contains as they are: the unreserved ones (RFC 3986), and the slashes of keys.
const ENCODED_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-crc32");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const INVOCATION_ID: HeaderName = HeaderName::from_static("amz-sdk-invocation-id");

/// A request without the parts that differ between objects.
pub(super) struct Template {
    method: Method,
    /// Scheme, host and port.
    origin: Uri,
    /// The path before the key.
    before_key: String,
    /// The query with its `?`, or empty.
    after_key: String,
    /// The query in the form that is signed.
    query: String,
    /// All headers. To clone the map is cheaper than to insert each.
    headers: HeaderMap,
    /// The headers whose values [`Template::request`] computes, in addition to the signature.
    computed: Vec<HeaderName>,
    /// The headers that are signed, in the order of their names.
    signed: Vec<SignedHeader>,
    signer: Signer,
}

/// A header that the signature covers.
enum SignedHeader {
    /// Its line in the canonical request.
    Fixed(String),
    Computed(HeaderName),
}

/// A request to send, and the checksum that a store repeats in its answer.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) request: Request<Full<Bytes>>,
    pub(super) checksum: Option<(HeaderName, HeaderValue)>,
}

/// The values of a request's computed headers.
struct Values {
    content_length: HeaderValue,
    checksum: HeaderValue,
    content_sha256: HeaderValue,
    date: HeaderValue,
    invocation_id: HeaderValue,
}

/// Without the headers, of which one is the session token.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("method", &self.method).field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Template {
    /// Makes a template from a signed request that the SDK has built for `key` with an empty body.
    ///
    /// # Errors
    /// If it has a form that this module does not reproduce.
    pub(super) fn new(built: &Request<()>, key: &str, secret_access_key: &str) -> Result<Self, String> {
        let (origin, request) = split_origin(built.clone())?;
        let (target, headers) = (request.uri(), request.headers());
        let after_key = target.query().map_or_else(String::new, |query| format!("?{query}"));
        // The key ends the path. The bucket's name before it may contain the same text.
        let before_key = target.path().strip_suffix(key).ok_or("a path without the key")?;
        let authorization = built.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scope, names) = Scope::parse(authorization.ok_or("no signature")?).ok_or("an unknown signature")?;
        let is_computed = |name: &HeaderName| headers.contains_key(name);
        let computed = [CONTENT_LENGTH, CHECKSUM, CONTENT_SHA256, DATE, INVOCATION_ID];
        let computed: Vec<_> = computed.into_iter().filter(is_computed).collect();
        let signed = names.split(';').map(|name| signed_header(name, headers, &computed)).collect::<Result<_, _>>()?;
        let template = Self {
            method: built.method().clone(),
            origin,
            before_key: before_key.to_owned(),
            after_key,
            query: canonical_query(target.query().unwrap_or_default()),
            headers: headers.clone(),
            computed,
            signed,
            signer: Signer::new(scope, names, secret_access_key),
        };
        template.verify(built)?;
        Ok(template)
    }

    /// Scheme, host and port of the server.
    pub(super) fn origin(&self) -> &Uri {
        &self.origin
    }

    /// The signed request for an object. HeadBucket has an empty key and body.
    pub(super) fn request(&self, key: &str, body: Bytes, now: SystemTime) -> Prepared {
        let values = Values {
            content_length: HeaderValue::from(body.len()),
            checksum: header(base64_simd::STANDARD.encode_to_string(crc32fast::hash(&body).to_be_bytes())),
            content_sha256: header(sha256_hex(&body)),
            date: header(amz_date(now)),
            invocation_id: header(
                uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid().to_string(),
            ),
        };
        let path = [&self.before_key, utf8_percent_encode(key, ENCODED_IN_PATH).to_string().as_str(), &self.after_key]
            .concat();
        let authorization = self.authorization(&path, &values);
        let checksum = self.computed.contains(&CHECKSUM).then(|| (CHECKSUM, values.checksum.clone()));
        let mut headers = self.headers.clone();
        for name in &self.computed {
            headers.insert(name, values.of(name).clone());
        }
        headers.insert(AUTHORIZATION, authorization);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        // A path that was encoded, and the SDK's own, are valid.
        *request.uri_mut() = path.try_into().unwrap_or_default();
        *request.headers_mut() = headers;
        Prepared { request, checksum }
    }

    fn authorization(&self, path_and_query: &str, values: &Values) -> HeaderValue {
        let path = path_and_query.split_once('?').map_or(path_and_query, |(path, _)| path);
        let mut canonical = String::with_capacity(2_048);
        for part in [self.method.as_str(), "\n", path, "\n", &self.query, "\n"] {
            canonical += part;
        }
        for header in &self.signed {
            match header {
                SignedHeader::Fixed(line) => canonical += line,
                SignedHeader::Computed(name) => {
                    for part in [name.as_str(), ":", text(values.of(name)), "\n"] {
                        canonical += part;
                    }
                }
            }
        }
        for part in ["\n", self.signer.signed_headers(), "\n", text(&values.content_sha256)] {
            canonical += part;
        }
        header(self.signer.authorization(&canonical, text(&values.date)))
    }

    /// Checks that this template gives the SDK's own signature for the SDK's own request.
    fn verify(&self, built: &Request<()>) -> Result<(), String> {
        let value = |name| built.headers().get(name).cloned().unwrap_or(HeaderValue::from_static(""));
        let values = Values {
            content_length: value(CONTENT_LENGTH),
            checksum: value(CHECKSUM),
            content_sha256: value(CONTENT_SHA256),
            date: value(DATE),
            invocation_id: value(INVOCATION_ID),
        };
        let path = built.uri().path_and_query().map_or("/", |path| path.as_str());
        let is_same = self.authorization(path, &values) == value(AUTHORIZATION);
        is_same.then_some(()).ok_or_else(|| "a signature of another form".to_owned())
    }
}

impl Values {
    fn of(&self, name: &HeaderName) -> &HeaderValue {
        match name {
            name if *name == CONTENT_LENGTH => &self.content_length,
            name if *name == CHECKSUM => &self.checksum,
            name if *name == CONTENT_SHA256 => &self.content_sha256,
            name if *name == DATE => &self.date,
            _ => &self.invocation_id,
        }
    }
}

fn signed_header(name: &str, headers: &HeaderMap, computed: &[HeaderName]) -> Result<SignedHeader, String> {
    let name: HeaderName = name.parse().map_err(|_| format!("a signed header {name}"))?;
    if computed.contains(&name) {
        return Ok(SignedHeader::Computed(name));
    }
    let value = headers.get(&name).ok_or_else(|| format!("no header {name}, which is signed"))?;
    // Runs of spaces count as one.
    let words: Vec<_> = text(value).split(' ').filter(|word| !word.is_empty()).collect();
    Ok(SignedHeader::Fixed(format!("{name}:{}\n", words.join(" "))))
}

/// The query with its parameters in order. The SDK has encoded them.
fn canonical_query(query: &str) -> String {
    let mut parameters: Vec<_> = query.split('&').filter(|parameter| !parameter.is_empty()).collect();
    parameters.sort_unstable();
    let with_value = |parameter: &str| parameter.to_owned() + if parameter.contains('=') { "" } else { "=" };
    parameters.into_iter().map(with_value).collect::<Vec<_>>().join("&")
}

/// A header of visible ASCII.
fn header(value: String) -> HeaderValue {
    // Can't fail: digits, letters and base64.
    HeaderValue::from_maybe_shared(Bytes::from(value)).unwrap_or(HeaderValue::from_static(""))
}

/// The text of a header's value, all of which are visible ASCII here.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}
