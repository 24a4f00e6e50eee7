//! Signs with AWS Signature Version 4: a PUT of an object whose body is in memory, and AssumeRole.

use std::net::SocketAddr;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use parking_lot::RwLock;
use sha2::{Digest, Sha256};

type Hmac256 = Hmac<Sha256>;

/// Values of signed headers: a request must be sent with exactly these.
pub(super) const CONTENT_TYPE_SIGNED: &str = "application/json";
pub(super) const IF_NONE_MATCH_SIGNED: &str = "*";

const SIGNED_HEADERS: &str = "content-type;host;if-none-match;x-amz-checksum-crc32;x-amz-content-sha256;x-amz-date;\
                              x-amz-security-token";

/// The content type of a request to STS.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// The credentials of a session.
pub(super) struct Credentials {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) session_token: String,
}

/// Signs PUTs with one session, for one region.
pub(super) struct Signer {
    host: String,
    credentials: Credentials,
    region: &'static str,
    /// The latest signing key, which is valid for one day.
    day: RwLock<Option<DayKey>>,
}

#[derive(Clone)]
struct DayKey {
    /// The day, as `20260101`.
    date: String,
    key: Hmac256,
}

/// The headers to send.
pub(super) struct Signed {
    pub(super) date: String,
    pub(super) payload_sha256: String,
    pub(super) checksum_crc32: String,
    pub(super) authorization: String,
}

/// The headers of a request to STS.
pub(super) struct SignedForm {
    pub(super) date: String,
    pub(super) authorization: String,
}

/// Signs a POST of a form to STS with a user's access key.
pub(super) fn sign_form(
    host: &str,
    form: &str,
    access_key_id: &str,
    secret: &str,
    region: &str,
    now: Timestamp,
) -> SignedForm {
    const HEADERS: &str = "content-type;host;x-amz-date";
    let date = amz_date(now);
    let canonical = format!(
        "POST\n/\n\ncontent-type:{FORM}\nhost:{host}\nx-amz-date:{date}\n\n{HEADERS}\n{}",
        hex::encode(Sha256::digest(form))
    );
    let day = &date[..8];
    let key = hmac_with_key(&derive_key(secret, day, region, "sts"));
    let scope = format!("{day}/{region}/sts/aws4_request");
    let authorization = authorization(access_key_id, &scope, HEADERS, &date, &canonical, key);
    SignedForm { date, authorization }
}

fn amz_date(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The header Authorization for a canonical request.
fn authorization(id: &str, scope: &str, headers: &str, date: &str, canonical: &str, key: Hmac256) -> String {
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(canonical.as_bytes())));
    let signature = hex::encode(mac(key, to_sign.as_bytes()));
    format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={headers}, Signature={signature}")
}

impl Signer {
    pub(super) fn new(s3: SocketAddr, credentials: Credentials, region: &'static str) -> Signer {
        Signer { host: s3.to_string(), credentials, region, day: RwLock::default() }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn session_token(&self) -> &str {
        &self.credentials.session_token
    }

    /// Signs a PUT of `body` to `path`, which must need no URL encoding.
    pub(super) fn put(&self, path: &str, body: &[u8], now: Timestamp) -> Signed {
        let date = amz_date(now);
        let payload_sha256 = hex::encode(Sha256::digest(body));
        let checksum_crc32 = base64_simd::STANDARD.encode_to_string(crc32fast::hash(body).to_be_bytes());
        let Credentials { access_key_id, session_token, .. } = &self.credentials;
        let canonical = format!(
            "PUT\n{path}\n\ncontent-type:{CONTENT_TYPE_SIGNED}\nhost:{}\nif-none-match:{IF_NONE_MATCH_SIGNED}\n\
             x-amz-checksum-crc32:{checksum_crc32}\nx-amz-content-sha256:{payload_sha256}\nx-amz-date:{date}\n\
             x-amz-security-token:{session_token}\n\n{SIGNED_HEADERS}\n{payload_sha256}",
            self.host
        );
        let day = &date[..8];
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let authorization = authorization(access_key_id, &scope, SIGNED_HEADERS, &date, &canonical, self.key(day));
        Signed { date, payload_sha256, checksum_crc32, authorization }
    }

    fn key(&self, date: &str) -> Hmac256 {
        let cached = self.day.read();
        if let Some(day) = cached.as_ref().filter(|day| day.date == date) {
            return day.key.clone();
        }
        drop(cached);
        let key = hmac_with_key(&derive_key(&self.credentials.secret_access_key, date, self.region, "s3"));
        let day = DayKey { date: date.to_owned(), key: key.clone() };
        *self.day.write() = Some(day);
        key
    }
}

/// The signing key for one day, region and service.
fn derive_key(secret: &str, date: &str, region: &str, service: &str) -> [u8; 32] {
    let secret = format!("AWS4{secret}");
    let parts = [region, service, "aws4_request"];
    parts.iter().fold(mac(hmac_with_key(secret.as_bytes()), date.as_bytes()), |key, part| {
        mac(hmac_with_key(&key), part.as_bytes())
    })
}

fn hmac_with_key(key: &[u8]) -> Hmac256 {
    Hmac256::new_from_slice(key).expect("HMAC accepts keys of any length")
}

fn mac(mut hmac: Hmac256, text: &[u8]) -> [u8; 32] {
    hmac.update(text);
    hmac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// The example of AWS's documentation, "Create a signed AWS API request".
    #[test]
    fn the_derived_key_matches_the_documentations_example() {
        let key = derive_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam");
        assert_eq!(hex::encode(key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    #[test]
    fn a_signature_depends_on_path_body_and_time() {
        let credentials = Credentials {
            access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: "token".to_owned(),
        };
        let signer = Signer::new((Ipv4Addr::LOCALHOST, 9000).into(), credentials, "us-west-2");
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let new_year = 1_767_225_600;
        let sign = |path, body: &str, seconds| signer.put(path, body.as_bytes(), at(seconds)).authorization;
        let first = sign("/b/k", "{}", new_year);
        assert!(
            first.starts_with(
                "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20260101/us-west-2/s3/aws4_request, SignedHeaders="
            ),
            "{first}"
        );
        assert_eq!(first, sign("/b/k", "{}", new_year));
        let others = [sign("/b/l", "{}", new_year), sign("/b/k", "[]", new_year), sign("/b/k", "{}", new_year + 1)];
        assert!(!others.contains(&first));
        assert!(sign("/b/k", "{}", new_year - 1).contains("/20251231/"));
    }
}
