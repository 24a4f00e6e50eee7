//! Removes secrets from texts of servers: STS, S3, or another server in their place, may repeat parts of the request.

use aws_credential_types::Credentials;

/// Shorter values are too likely to be part of a word, and too short to be a secret.
const MIN_SECRET_BYTES: usize = 4;

/// The parts of credentials that must not be shown: all of them.
pub(crate) fn parts(credentials: &Credentials) -> [&str; 3] {
    [credentials.access_key_id(), credentials.secret_access_key(), credentials.session_token().unwrap_or_default()]
}

/// Replaces each of the secrets in `text` with an ellipsis, also where it is percent-encoded. To be called before the
/// text is cut: a part of a secret would not be found.
pub(crate) fn redact(text: &str, secrets: &[&str]) -> String {
    let secrets = || secrets.iter().filter(|secret| secret.len() >= MIN_SECRET_BYTES);
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let after = secrets().find_map(|secret| without_prefix(rest, secret));
        shown.push(if after.is_some() { '\u{2026}' } else { first });
        rest = after.unwrap_or(&rest[first.len_utf8()..]);
    }
    shown
}

/// The text after `secret`, if it begins with it: as it is, or with any of its bytes encoded as `%XX`, or a space as `+`.
fn without_prefix<'a>(text: &'a str, secret: &str) -> Option<&'a str> {
    text.strip_prefix(secret).or_else(|| {
        let mut length = 0;
        for byte in secret.bytes() {
            length += match text.as_bytes().get(length..)? {
                [b'%', high, low, ..] if decoded(*high, *low) == Some(byte) => 3,
                [b'+', ..] if byte == b' ' => 1,
                [first, ..] if *first == byte => 1,
                _ => return None,
            };
        }
        text.get(length..)
    })
}

fn decoded(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_of_a_secret_is_replaced() {
        let credentials = Credentials::new("AKIAEXAMPLE", "wJalrXUt", Some("FwoGZXIv".to_owned()), None, "test");
        let text = "the token FwoGZXIv of AKIAEXAMPLE (wJalrXUt, FwoGZXIv) is malformed";
        assert_eq!(redact(text, &parts(&credentials)), "the token … of … (…, …) is malformed");
        assert_eq!(redact("an id", &["id", ""]), "an id", "no secret is so short");
        for encoded in ["wX8%2F7+f", "wX8%2F7%20f", "wX8/7 f", "wX8%2f7 f", "wX8/7%20f", "%77%58%38%2F%37%20%66"] {
            assert_eq!(redact(&format!("ExternalId={encoded}&é"), &["wX8/7 f"]), "ExternalId=…&é", "{encoded}");
        }
        for key in
            ["jane%40example.com/é.json", "jane%2540example.com/%C3%A9.json", "jane%2540example.com%2f%c3%a9.json"]
        {
            assert_eq!(redact(&format!("lake/{key}."), &["jane%40example.com/é.json"]), "lake/….", "{key}");
        }
    }
}
