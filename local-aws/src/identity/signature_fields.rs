//! Parses the fields of a request's signature, from headers or, if presigned, from the query.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use hyper::header::{AUTHORIZATION, HeaderName};
use hyper::{HeaderMap, Uri};

/// The fields of a Signature Version 4 that are checked here, after s3s has verified the signature.
pub(super) struct SignatureFields<'a> {
    pub(super) token: Option<Cow<'a, str>>,
    /// The signing time, as `20260102T030405Z`.
    pub(super) date: Cow<'a, str>,
    /// How long a presigned URL is valid; `None` for other requests.
    pub(super) lifetime: Option<Duration>,
    /// The names of the signed headers, separated by semicolons.
    headers: Cow<'a, str>,
}

impl<'a> SignatureFields<'a> {
    pub(super) fn parse(headers: &'a HeaderMap, uri: &'a Uri) -> Option<SignatureFields<'a>> {
        match header(headers, AUTHORIZATION.as_str()) {
            Some(authorization) => SignatureFields::from_headers(authorization, headers),
            None => SignatureFields::from_query(uri.query()?),
        }
    }

    fn from_headers(authorization: &'a str, headers: &'a HeaderMap) -> Option<SignatureFields<'a>> {
        let fields = authorization.strip_prefix("AWS4-HMAC-SHA256")?;
        let names = fields.split(',').find_map(|field| field.trim().strip_prefix("SignedHeaders="))?;
        Some(SignatureFields {
            token: header(headers, "x-amz-security-token").map(Cow::Borrowed),
            date: Cow::Borrowed(header(headers, "x-amz-date")?),
            lifetime: None,
            headers: Cow::Borrowed(names),
        })
    }

    fn from_query(query: &'a str) -> Option<SignatureFields<'a>> {
        let field =
            |name: &str| url::form_urlencoded::parse(query.as_bytes()).find_map(|(n, v)| (n == name).then_some(v));
        let seconds = field("X-Amz-Expires")?.parse().ok()?;
        Some(SignatureFields {
            token: field("X-Amz-Security-Token"),
            date: field("X-Amz-Date")?,
            lifetime: Some(Duration::from_secs(seconds)),
            headers: field("X-Amz-SignedHeaders")?,
        })
    }

    /// The signing time; `None` if it can't be parsed.
    pub(super) fn time(&self) -> Option<SystemTime> {
        let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &*self.date).ok()?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(zoned.timestamp().into())
    }

    /// A header that AWS requires to be signed (`host`, `x-amz-…`) but that is not signed.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
    pub(super) fn missing_header(&self, headers: &HeaderMap) -> Option<String> {
        let signed = |name: &str| self.headers.split(';').any(|one| one.eq_ignore_ascii_case(name));
        // The body's hash is not known yet when a URL is presigned.
        let is_exempt = |name: &str| self.lifetime.is_some() && name == "x-amz-content-sha256";
        let must_be_signed = |name: &&HeaderName| {
            let name = name.as_str();
            name == "host" || (name.starts_with("x-amz-") && !is_exempt(name))
        };
        let mut required = headers.keys().filter(must_be_signed);
        required.find(|name| !signed(name.as_str())).map(ToString::to_string)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
