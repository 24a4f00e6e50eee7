//! Parses the fields of a request's signature, from headers or, if presigned, from the query.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use hyper::header::{AUTHORIZATION, HeaderName};
use hyper::{HeaderMap, Uri};

/// The fields of a Signature Version 4 that are checked here, after s3s has verified the signature.
pub(super) struct Signed<'a> {
    pub(super) token: Option<Cow<'a, str>>,
    /// The signing time, as `20260102T030405Z`.
    pub(super) date: Cow<'a, str>,
    /// How long a presigned URL is valid; `None` for other requests.
    pub(super) lifetime: Option<Duration>,
    /// The names of the signed headers, separated by semicolons.
    headers: Cow<'a, str>,
}

impl<'a> Signed<'a> {
    pub(super) fn of(headers: &'a HeaderMap, uri: &'a Uri) -> Option<Signed<'a>> {
        match header(headers, AUTHORIZATION.as_str()) {
            Some(authorization) => Signed::of_headers(authorization, headers),
            None => Signed::of_query(uri.query()?),
        }
    }

    fn of_headers(authorization: &'a str, headers: &'a HeaderMap) -> Option<Signed<'a>> {
        let fields = authorization.strip_prefix("AWS4-HMAC-SHA256")?;
        let names = fields.split(',').find_map(|field| field.trim().strip_prefix("SignedHeaders="))?;
        Some(Signed {
            token: header(headers, "x-amz-security-token").map(Cow::Borrowed),
            date: Cow::Borrowed(header(headers, "x-amz-date")?),
            lifetime: None,
            headers: Cow::Borrowed(names),
        })
    }

    fn of_query(query: &'a str) -> Option<Signed<'a>> {
        let field =
            |name: &str| url::form_urlencoded::parse(query.as_bytes()).find_map(|(n, v)| (n == name).then_some(v));
        let seconds = field("X-Amz-Expires")?.parse().ok()?;
        Some(Signed {
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

    /// A header that AWS requires to be signed (`host`, `x-amz-…`) and that is not.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
    pub(super) fn missing_header(&self, headers: &HeaderMap) -> Option<String> {
        let signed = |name: &str| self.headers.split(';').any(|one| one.eq_ignore_ascii_case(name));
        // The body's hash is not known yet when a URL is presigned.
        let excepted = |name: &str| self.lifetime.is_some() && name == "x-amz-content-sha256";
        let must = |name: &&HeaderName| {
            let name = name.as_str();
            name == "host" || (name.starts_with("x-amz-") && !excepted(name))
        };
        let mut wanted = headers.keys().filter(must);
        wanted.find(|name| !signed(name.as_str())).map(ToString::to_string)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
