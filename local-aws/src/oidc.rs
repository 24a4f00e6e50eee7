//! Verifies tokens of OIDC identity providers for AssumeRoleWithWebIdentity, such as a Kubernetes
//! cluster's service account tokens.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc.html>

use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64_simd::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// An identity provider that an account trusts.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Provider {
    /// The `iss` claim of its tokens.
    pub(crate) issuer: String,
    /// The `aud` claims that are accepted.
    pub(crate) audiences: Vec<String>,
    /// Its public keys, as in its JWKS.
    pub(crate) keys: Vec<Key>,
}

/// An RSA key of a JWKS (RFC 7517); members other than `n` and `e` are ignored.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Key {
    n: String,
    e: String,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// It is not a JWT with RS256, or no provider has this issuer, audience and signing key.
    Invalid,
    /// It is valid except that it has expired.
    Expired,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// The `sub` claim of a token that one of the providers has signed and that has not expired.
pub(crate) fn subject<'a>(
    token: &str,
    mut providers: impl Iterator<Item = &'a Provider>,
    now: SystemTime,
) -> Result<String, TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Invalid)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Invalid)?;
    let (header, claims): (Header, Claims) = (decode_json(header)?, decode_json(claims)?);
    let signature = decode(signature)?;
    let provider = providers.find(|provider| provider.issuer == claims.iss).ok_or(TokenError::Invalid)?;
    let is_for = |audience: &String| match &claims.aud {
        Audience::One(one) => one == audience,
        Audience::Many(many) => many.contains(audience),
    };
    let signed_by = |key: &Key| {
        let (Ok(n), Ok(e)) = (decode(&key.n), decode(&key.e)) else { return false };
        let key = RsaPublicKeyComponents { n, e };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).is_ok()
    };
    if header.alg != "RS256" || !provider.audiences.iter().any(is_for) || !provider.keys.iter().any(signed_by) {
        return Err(TokenError::Invalid);
    }
    if now >= SystemTime::UNIX_EPOCH + Duration::from_secs(claims.exp) {
        return Err(TokenError::Expired);
    }
    Ok(claims.sub)
}

fn decode(text: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| TokenError::Invalid)
}

fn decode_json<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, TokenError> {
    serde_json::from_slice(&decode(text)?).map_err(|_| TokenError::Invalid)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};

    use super::*;

    struct Issuer(KeyPair);

    impl Issuer {
        fn new() -> Self {
            Self(KeyPair::generate(KeySize::Rsa2048).unwrap())
        }

        fn provider(&self) -> Provider {
            // An RSAPublicKey (RFC 8017, A.1.1) of 2048 bits: two integers, whose DER headers have a fixed length.
            let key = self.0.public_key().as_ref();
            let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode_to_string(bytes);
            Provider {
                issuer: "https://issuer".to_owned(),
                audiences: vec!["sts.amazonaws.com".to_owned()],
                keys: vec![Key { n: encode(&key[9..265]), e: encode(&key[267..]) }],
            }
        }

        fn sign(&self, header: &str, claims: &str) -> String {
            let text = |text: &str| URL_SAFE_NO_PAD.encode_to_string(text.as_bytes());
            let signed = format!("{}.{}", text(header), text(claims));
            let mut signature = vec![0; self.0.public_modulus_len()];
            self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode_to_string(&signature))
        }
    }

    const HEADER: &str = r#"{"alg":"RS256"}"#;

    fn claims(issuer: &str, audience: &str, end: u64) -> String {
        format!(r#"{{"iss":"{issuer}","sub":"system:serviceaccount:shop:orders","aud":["{audience}"],"exp":{end}}}"#)
    }

    #[test]
    fn a_token_is_verified_by_its_signature_issuer_audience_and_expiry() {
        let (issuer, other) = (Issuer::new(), Issuer::new());
        let good = claims("https://issuer", "sts.amazonaws.com", 1000);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(999);
        let verify = |token: &str| subject(token, [issuer.provider()].iter(), now);
        assert_eq!(verify(&issuer.sign(HEADER, &good)).as_deref(), Ok("system:serviceaccount:shop:orders"));
        for (token, error) in [
            (other.sign(HEADER, &good), TokenError::Invalid),
            (issuer.sign(r#"{"alg":"none"}"#, &good), TokenError::Invalid),
            (issuer.sign(HEADER, &claims("https://other", "sts.amazonaws.com", 1000)), TokenError::Invalid),
            (issuer.sign(HEADER, &claims("https://issuer", "kubernetes", 1000)), TokenError::Invalid),
            (issuer.sign(HEADER, &claims("https://issuer", "sts.amazonaws.com", 999)), TokenError::Expired),
            ("plain-token".to_owned(), TokenError::Invalid),
            ("a.b.c".to_owned(), TokenError::Invalid),
        ] {
            assert_eq!(verify(&token), Err(error), "{token}");
        }
    }
}
