//! What a signature says about itself, in headers or, presigned, in the query.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use hyper::header::{AUTHORIZATION, HeaderName};
use hyper::{HeaderMap, Uri};

/// The parts of a version 4 signature that the library which checks it does not look at.
pub(super) struct Signed<'a> {
    pub(super) token: Option<Cow<'a, str>>,
    /// As `20260102T030405Z`.
    pub(super) date: Cow<'a, str>,
    /// How long a presigned request stays good; none for the others.
    pub(super) lifetime: Option<Duration>,
    /// The names of the headers under the signature, between semicolons.
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

    /// The time of signing.
    pub(super) fn time(&self) -> Option<SystemTime> {
        let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &*self.date).ok()?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(zoned.timestamp().into())
    }

    /// A header that AWS wants signed and that isn't: `host`, and `x-amz-…`.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
    pub(super) fn missing_header(&self, headers: &HeaderMap) -> Option<String> {
        let signed = |name: &str| self.headers.split(';').any(|one| one.eq_ignore_ascii_case(name));
        // The body's hash is not known when a URL is signed for somebody else.
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
