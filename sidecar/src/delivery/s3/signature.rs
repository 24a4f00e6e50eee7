//! AWS Signature Version 4, for requests whose canonical form is known.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::Write;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use jiff::tz::TimeZone;
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::clock::timestamp;

type Hmac256 = Hmac<Sha256>;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The key and the scope of a signature.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Scope {
    access_key_id: String,
    region: String,
    service: String,
}

impl Scope {
    /// Parses the value of `Authorization`. Returns its scope and its list of signed headers.
    pub(super) fn parse(authorization: &str) -> Option<(Self, &str)> {
        let rest = authorization.strip_prefix(ALGORITHM)?.strip_prefix(" Credential=")?;
        let (credential, rest) = rest.split_once(", SignedHeaders=")?;
        let (signed_headers, _) = rest.split_once(", Signature=")?;
        let mut parts = credential.rsplitn(5, '/');
        let (end, service, region) = (parts.next()?, parts.next()?, parts.next()?);
        let (_date, access_key_id) = (parts.next()?, parts.next()?);
        let own = str::to_owned;
        let scope = Self { access_key_id: own(access_key_id), region: own(region), service: own(service) };
        (end == "aws4_request").then_some((scope, signed_headers))
    }
}

/// Signs with one access key.
pub(super) struct Signer {
    scope: Scope,
    signed_headers: String,
    secret_access_key: Zeroizing<String>,
    /// The signing key of the latest day.
    day: RwLock<Option<DayKey>>,
}

/// A signing key, which is valid for one day.
#[derive(Clone)]
struct DayKey {
    /// The day, as `20260101`.
    date: String,
    hmac: Hmac256,
}

impl Signer {
    pub(super) fn new(scope: Scope, signed_headers: &str, secret_access_key: &str) -> Self {
        Self {
            scope,
            signed_headers: signed_headers.to_owned(),
            secret_access_key: Zeroizing::new(secret_access_key.to_owned()),
            day: RwLock::new(None),
        }
    }

    /// The names of the signed headers, as in the canonical request.
    pub(super) fn signed_headers(&self) -> &str {
        &self.signed_headers
    }

    /// The value of `Authorization` for a canonical request with the date `amz_date`.
    pub(super) fn authorization(&self, canonical_request: &str, amz_date: &str) -> String {
        let Scope { access_key_id, region, service } = &self.scope;
        let day = amz_date.get(..8).unwrap_or_default();
        let mut hmac = self.day_key(day);
        for part in [ALGORITHM, "\n", amz_date, "\n", day, "/", region, "/", service, "/aws4_request\n"] {
            hmac.update(part.as_bytes());
        }
        hmac.update(sha256_hex(canonical_request.as_bytes()).as_bytes());
        let signature = hex::encode(hmac.finalize().into_bytes());
        let parts = [
            ALGORITHM,
            " Credential=",
            access_key_id,
            "/",
            day,
            "/",
            region,
            "/",
            service,
            "/aws4_request, SignedHeaders=",
            &self.signed_headers,
            ", Signature=",
            &signature,
        ];
        parts.concat()
    }

    fn day_key(&self, date: &str) -> Hmac256 {
        if let Some(day) = self.day.read().as_ref().filter(|day| day.date == date) {
            return day.hmac.clone();
        }
        let secret = Zeroizing::new([b"AWS4", self.secret_access_key.as_bytes()].concat());
        let steps = [date, &self.scope.region, &self.scope.service, "aws4_request"];
        let hmac = steps.iter().fold(hmac(&secret), |mut key, step| {
            key.update(step.as_bytes());
            hmac(&key.finalize().into_bytes())
        });
        *self.day.write() = Some(DayKey { date: date.to_owned(), hmac: hmac.clone() });
        hmac
    }
}

fn hmac(key: &[u8]) -> Hmac256 {
    // Can't fail: HMAC accepts keys of any length.
    Hmac256::new_from_slice(key).expect("a key of any length")
}

/// The SHA-256 of bytes, in lower-case hex.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A time as `20260101T000000Z`.
pub(super) fn amz_date(time: SystemTime) -> String {
    let time = TimeZone::UTC.to_datetime(timestamp(time));
    let mut text = String::with_capacity(16);
    // Writing to memory does not fail.
    let _ = write!(
        text,
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example `get-vanilla` of AWS's test suite for Signature Version 4.
    #[test]
    fn a_signature_matches_awss_example() {
        let (secret, date) = ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830T123600Z");
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                             SignedHeaders=host;x-amz-date, \
                             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        let (scope, signed_headers) = Scope::parse(authorization).unwrap();
        let signer = Signer::new(scope, signed_headers, secret);
        let canonical =
            format!("GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:{date}\n\nhost;x-amz-date\n{}", sha256_hex(b""));
        assert_eq!(signer.authorization(&canonical, date), authorization);
        assert_ne!(signer.authorization(&canonical, "20150831T123600Z"), authorization);
        assert_eq!(signer.authorization(&canonical, date), authorization, "the key of the day is replaced");
    }

    #[test]
    fn another_form_of_signature_has_no_scope() {
        for authorization in
            ["", "AWS AKID:sig", "AWS4-HMAC-SHA256 Credential=AKID/20150830/aws4_request, SignedHeaders=a"]
        {
            assert_eq!(Scope::parse(authorization), None, "{authorization}");
        }
    }

    #[test]
    fn a_date_has_whole_seconds_in_utc() {
        let at = |text: &str| amz_date(text.parse::<jiff::Timestamp>().unwrap().into());
        assert_eq!(at("2026-01-02T03:04:05.999Z"), "20260102T030405Z");
        assert_eq!(at("2026-01-02T00:04:05+01:00"), "20260101T230405Z");
    }
}
