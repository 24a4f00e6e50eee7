//! Verifies the signature of Segment's webhook destinations. Pure.
//!
//! `X-Signature` is the HMAC-SHA1 of the body, in hex. For an array of events it covers only the first one: that is how
//! Segment signs.
//! <https://segment.com/docs/connections/destinations/catalog/actions-webhook/>

use hmac::{Hmac, KeyInit, Mac};
use hyper::header::HeaderMap;
use sha1::Sha1;

use super::lines;
use crate::event;

const SIGNATURE_HEADER: &str = "x-signature";

/// The accepted signing secrets: more than one while they are rotated.
pub(super) struct SigningSecrets(Vec<Hmac<Sha1>>);

/// Shows only the number of secrets.
impl std::fmt::Debug for SigningSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningSecrets({})", self.0.len())
    }
}

impl SigningSecrets {
    /// Whether the request has a valid signature. Compares in constant time.
    pub(super) fn signed(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let Some(signature) =
            headers.get(SIGNATURE_HEADER).and_then(|value| hex::decode(value.as_bytes().trim_ascii()).ok())
        else {
            return false;
        };
        let Some(covered) = covered(body) else { return false };
        self.0.iter().any(|secret| secret.clone().chain_update(covered).verify_slice(&signature).is_ok())
    }
}

/// Whether the request has a signature, valid or not.
pub(super) fn is_shown(headers: &HeaderMap) -> bool {
    headers.contains_key(SIGNATURE_HEADER)
}

/// The part of the body that the signature covers; `None` for an array without a readable first event.
fn covered(body: &[u8]) -> Option<&[u8]> {
    if body.trim_ascii_start().starts_with(b"[") { event::first_of_array(body) } else { Some(body) }
}

/// Parses a Secret's value: one signing secret per line.
pub(super) fn parse(value: &[u8]) -> Result<SigningSecrets, String> {
    let secrets: Result<Vec<_>, _> = lines(value).map(|(_, line)| Hmac::new_from_slice(line)).collect();
    match secrets {
        Ok(secrets) if !secrets.is_empty() => Ok(SigningSecrets(secrets)),
        // Not a bad key: HMAC accepts keys of any length.
        _ => Err("it is empty".to_owned()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The headers of a request that is signed with `secret`.
    pub(in super::super) fn signed(secret: &[u8], covered: &[u8]) -> HeaderMap {
        let mac = Hmac::<Sha1>::new_from_slice(secret).unwrap().chain_update(covered).finalize();
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE_HEADER, hex::encode(mac.into_bytes()).parse().unwrap());
        headers
    }

    #[test]
    fn the_signature_is_the_documented_one() {
        // RFC 2202, section 3, case 2.
        let secrets = parse(b"Jefe").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE_HEADER, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79".parse().unwrap());
        assert!(secrets.signed(&headers, b"what do ya want for nothing?"));
        assert!(!secrets.signed(&headers, b"what do ya want for nothing?\n"));
    }

    #[test]
    fn one_event_is_signed_as_it_is_and_an_array_by_its_first() {
        let secrets = parse(b"old\nnew\n").unwrap();
        let event = br#"{"type":"track", "a":[1]}"#;
        for secret in [&b"old"[..], b"new"] {
            assert!(secrets.signed(&signed(secret, event), event));
            let array = [b" [ ", &event[..], b" ,{\"b\":2}]"].concat();
            assert!(secrets.signed(&signed(secret, event), &array));
            assert!(!secrets.signed(&signed(secret, &array), &array));
        }
        assert!(!secrets.signed(&signed(b"other", event), event));
        assert!(!secrets.signed(&signed(b"old\nnew\n", event), event));
        for body in [&b"[]"[..], b"[", b"[1"] {
            assert!(!secrets.signed(&signed(b"old", b""), body), "{body:?}");
        }
    }

    #[test]
    fn an_invalid_signature_is_refused() {
        let secrets = parse(b"secret").unwrap();
        assert!(!secrets.signed(&HeaderMap::new(), b"{}"));
        for wrong in ["", "zz", "effc", &"0".repeat(40), &"0".repeat(4000)] {
            let mut headers = HeaderMap::new();
            headers.insert(SIGNATURE_HEADER, wrong.parse().unwrap());
            assert!(!secrets.signed(&headers, b"{}"), "{wrong}");
        }
    }

    #[test]
    fn there_must_be_a_secret() {
        assert!(parse(b"").is_err() && parse(b"\n\n").is_err());
        assert_eq!(format!("{:?}", parse(b"hunter2").unwrap()), "SigningSecrets(1)");
    }
}
