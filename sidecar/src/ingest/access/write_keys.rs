//! Parses write keys, and finds them in a request's head. Pure.

use hyper::header::{AUTHORIZATION, HeaderMap};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::lines;

/// The accepted write keys, as SHA-256 hashes, so the time of a comparison reveals nothing about a key.
#[derive(Debug)]
pub(super) struct WriteKeys(Vec<[u8; 32]>);

impl WriteKeys {
    pub(super) fn contain(&self, key: &[u8]) -> bool {
        let hash: [u8; 32] = Sha256::digest(key).into();
        self.0.contains(&hash)
    }
}

/// Parses a Secret's value: one write key per line.
pub(super) fn parse(value: &[u8]) -> Result<WriteKeys, String> {
    let mut keys = Vec::new();
    for (number, line) in lines(value) {
        // In Basic authorization the key is the user name, which a colon ends.
        if let Some(at) = line.iter().position(|byte| !byte.is_ascii_graphic() || *byte == b':') {
            return Err(format!("character {} of line {number} is not allowed in a write key", at + 1));
        }
        keys.push(Sha256::digest(line).into());
    }
    if keys.is_empty() { Err("it is empty".to_owned()) } else { Ok(WriteKeys(keys)) }
}

/// Whether a request's head has a key for which `is_right` returns true: in an `Authorization` header, or in the query
/// as `writeKey`, where beacons of RudderStack's library for browsers have it.
pub(super) fn in_head(headers: &HeaderMap, query: Option<&str>, is_right: impl Fn(&[u8]) -> bool) -> bool {
    in_headers(headers, &is_right) || query.is_some_and(|query| in_query(query, is_right))
}

fn in_query(query: &str, is_right: impl Fn(&[u8]) -> bool) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "writeKey" && is_right(value.as_bytes()))
}

/// The key is a Bearer token, or the user name of Basic with any password or none. The colon may be missing, since some
/// clients omit it.
fn in_headers(headers: &HeaderMap, is_right: impl Fn(&[u8]) -> bool) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(|value| {
        let value = value.as_bytes().trim_ascii();
        let Some(space) = value.iter().position(|byte| *byte == b' ') else { return false };
        let (scheme, rest) = (&value[..space], value[space..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"Bearer") {
            return is_right(rest);
        }
        scheme.eq_ignore_ascii_case(b"Basic")
            && base64_simd::forgiving_decode_to_vec(rest)
                .is_ok_and(|user| is_right(user.split(|byte| *byte == b':').next().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn shows(authorization: &[u8]) -> bool {
        let keys = parse(b"key-1\nkey-2").unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_bytes(authorization).unwrap())]);
        in_headers(&headers, |key| keys.contain(key))
    }

    #[test]
    fn a_key_is_found_in_basic_and_bearer_authorization() {
        let basic = |user: &str| format!("Basic {}", base64_simd::STANDARD.encode_to_string(user));
        for right in ["key-1:", "key-1", "key-2:password", "key-2::"] {
            assert!(shows(basic(right).as_bytes()), "{right}");
        }
        for wrong in ["", ":", ":key-1", "key-3:", "key-1 :", "KEY-1:"] {
            assert!(!shows(basic(wrong).as_bytes()), "{wrong}");
        }
        for right in ["Bearer key-1", "bearer  key-2 ", "BASIC a2V5LTE6", "Basic a2V5LTE"] {
            assert!(shows(right.as_bytes()), "{right}");
        }
        for wrong in ["Bearer", "Bearer key", "key-1", "Digest key-1", "Basic key-1", "Basic !!!!"] {
            assert!(!shows(wrong.as_bytes()), "{wrong}");
        }
        assert!(!shows(b"Bearer \xff"));
    }

    #[test]
    fn a_key_is_found_in_the_query() {
        let keys = parse(b"key-1\nke+y/2").unwrap();
        let shows = |query: &str| in_head(&HeaderMap::new(), Some(query), |key| keys.contain(key));
        for right in ["writeKey=key-1", "a=b&writeKey=key-1&c", "writeKey=x&writeKey=key-1", "writeKey=ke%2By%2f2"] {
            assert!(shows(right), "{right}");
        }
        for wrong in ["", "writeKey", "writeKey=", "key-1", "writekey=key-1", "writeKey=key-1%00", "xwriteKey=key-1"] {
            assert!(!shows(wrong), "{wrong}");
        }
    }

    #[test]
    fn keys_are_parsed_one_per_line() {
        let keys = parse(b"\r\nfirst\r\n\nsecond\n").unwrap();
        assert!(keys.contain(b"first") && keys.contain(b"second"));
        assert!(!keys.contain(b"") && !keys.contain(b"first\r"));
        for wrong in [&b""[..], b"\n", b"a b", b"a:b", b"caf\xc3\xa9", b"ok\n tab\t"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
