//! Removes secrets from texts of servers: STS, S3, or another server in their place, may repeat parts of the request.

use aws_credential_types::Credentials;
use hyper::Uri;

use crate::aws_client::MAX_BODY_BYTES;

/// Shorter values are too likely to be part of a word, and too short to be a secret.
const MIN_SECRET_BYTES: usize = 4;

/// Maximum characters of a body that are quoted.
const MAX_EXCERPT_CHARS: usize = 100;

/// Length from which a run of letters, digits and `+/=_-` may be a key or a token: an access key ID has 20
/// characters.
const MIN_SECRET_CHARS: usize = 20;

/// Length in bytes of a sequence from the object that marks an answer as an echo of it.
const ECHO_BYTES: usize = 12;

/// Longer entities encode no ASCII character.
const MAX_ENTITY_BYTES: usize = 10;

/// The parts of credentials that must not be shown: all of them.
pub(crate) fn parts(credentials: &Credentials) -> [&str; 3] {
    [credentials.access_key_id(), credentials.secret_access_key(), credentials.session_token().unwrap_or_default()]
}

/// Replaces each of the secrets in `text` with an ellipsis, also in the encodings in which servers repeat a request
/// ([`encoded_byte`]). To be called before the text is cut: a part of a secret would not be found.
///
/// A server that wants to show what it was sent can: it may encode it in another way.
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

/// The start of `body` for a message: on one line, without the `secrets` and without anything that looks like a
/// credential. An answer that repeats `sent`, the object, is not quoted at all, since that is the client's data.
pub(crate) fn excerpt(body: &[u8], sent: &[u8], secrets: &[&str]) -> String {
    let text = redact(&String::from_utf8_lossy(body), secrets);
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line: String = words.join(" ").chars().take(MAX_EXCERPT_CHARS).collect();
    let sent = &sent[..sent.len().min(4 * MAX_BODY_BYTES)];
    let echoes = |part: &[u8]| sent.windows(ECHO_BYTES).any(|window| window == part);
    if line.as_bytes().windows(ECHO_BYTES).any(echoes) {
        return "(the object itself)".to_owned();
    }
    without_secrets(&line)
}

/// Replaces runs of characters that are long enough to be a key or a token with an ellipsis.
fn without_secrets(line: &str) -> String {
    let is_secret = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-');
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_secret(c) != is_secret(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        out.push_str(if is_secret(first) && run.len() >= MIN_SECRET_CHARS { "…" } else { run });
        rest = after;
    }
    out
}

/// The scheme, host and port of a URL, for messages: its other parts may be secrets. `None` if it is no URL.
pub(crate) fn origin(url: &str) -> Option<String> {
    let url = url.parse::<Uri>().ok()?;
    let (scheme, host) = (url.scheme_str()?, url.host()?);
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{scheme}://{host}{port}"))
}

/// The text after `secret`, if it begins with it: as it is, or with any of its bytes encoded.
fn without_prefix<'a>(text: &'a str, secret: &str) -> Option<&'a str> {
    text.strip_prefix(secret).or_else(|| {
        let mut length = 0;
        for byte in secret.bytes() {
            length += encoded_byte(text.as_bytes().get(length..)?, byte)?;
        }
        text.get(length..)
    })
}

/// The length of the encoding of `byte` with which the text begins: the byte itself, `%2F` (also `+` for a space) as in
/// a URL, `\/` or `\u002f` as in JSON, or `&#47;`, `&#x2f;` or a named entity as in XML and HTML.
fn encoded_byte(text: &[u8], byte: u8) -> Option<usize> {
    let is_hex = |digits: &[u8]| number(digits, 16) == Some(byte.into());
    match text {
        [b'%', high, low, ..] if is_hex(&[*high, *low]) => Some(3),
        [b'+', ..] if byte == b' ' => Some(1),
        [b'\\', b'u', a, b, c, d, ..] if is_hex(&[*a, *b, *c, *d]) => Some(6),
        [b'\\', escaped, ..] if *escaped == byte => Some(2),
        [b'&', rest @ ..] => entity(rest, byte).or((byte == b'&').then_some(1)),
        [first, ..] if *first == byte => Some(1),
        _ => None,
    }
}

/// The length of the entity of `byte`, if it follows: `text` begins after the `&`.
fn entity(text: &[u8], byte: u8) -> Option<usize> {
    let end = text.iter().take(MAX_ENTITY_BYTES).position(|byte| *byte == b';')?;
    let value = match &text[..end] {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16)?,
        [b'#', digits @ ..] => number(digits, 10)?,
        b"amp" => u32::from(b'&'),
        b"lt" => u32::from(b'<'),
        b"gt" => u32::from(b'>'),
        b"quot" => u32::from(b'"'),
        b"apos" => u32::from(b'\''),
        _ => return None,
    };
    (value == u32::from(byte)).then_some(end + 2)
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        let escaped = ["wX8\\/7 f", "wX8\\u002F7\\u0020f", "wX8&#x2F;7 f", "wX8&#47;7&#032;f", "&#119;X8/7 f"];
        for encoded in escaped {
            assert_eq!(redact(&format!("\"{encoded}\" é"), &["wX8/7 f"]), "\"…\" é", "{encoded}");
        }
        assert_eq!(redact("a&amp;b&lt;c &amp; a&b", &["a&b<c"]), "… &amp; a&b");
        for key in
            ["jane%40example.com/é.json", "jane%2540example.com/%C3%A9.json", "jane%2540example.com%2f%c3%a9.json"]
        {
            assert_eq!(redact(&format!("lake/{key}."), &["jane%40example.com/é.json"]), "lake/….", "{key}");
        }
    }

    #[test]
    fn only_the_origin_of_a_url_is_shown() {
        for (url, shown) in [
            ("http://127.0.0.1:9000", Some("http://127.0.0.1:9000")),
            ("https://s3.example.com/store?token=x", Some("https://s3.example.com")),
            ("https://user:password@s3.example.com:8443/", Some("https://s3.example.com:8443")),
            ("http://[fd00::1]:9000", Some("http://[fd00::1]:9000")),
            ("not a url", None),
            ("s3.example.com", None),
        ] {
            assert_eq!(origin(url).as_deref(), shown, "{url}");
        }
    }

    #[test]
    fn an_excerpt_is_one_short_line_without_secrets_or_events() {
        assert_eq!(excerpt(b"<html>\r\n\t<h1>Hello\x00you</h1>", b"", &[]), "<html> <h1>Hello you</h1>");
        assert_eq!(excerpt(b"", b"", &[]), "");
        assert_eq!(excerpt("é".repeat(300).as_bytes(), b"", &[]).chars().count(), 100);
        assert_eq!(excerpt(b"key ASIATRIBUTARYTESTS01, more", b"", &[]), "key \u{2026}, more");
        assert_eq!(
            excerpt(b"you sent {\"email\":\"a@example.com\"}", b"{\"email\":\"a@example.com\"}", &[]),
            "(the object itself)"
        );
        for (body, expected) in [
            ("Cannot PUT /lake/jane%40example.com/m1.json?x-id=PutObject", "Cannot PUT /lake/…?x-id=PutObject"),
            ("<pre>Cannot PUT /lake/jane&#64;example.com/m1.json</pre>", "<pre>Cannot PUT /lake/…</pre>"),
            ("{\"token\":\"Fwo\\/Gz+X\"}", "{\"token\":\"…\"}"),
        ] {
            assert_eq!(excerpt(body.as_bytes(), b"", &["jane@example.com/m1.json", "Fwo/Gz+X"]), expected);
        }
        let cut = format!("{:95}Fwo/Gz+X", "<").replace(' ', "-");
        assert!(!excerpt(cut.as_bytes(), b"", &["Fwo/Gz+X"]).contains("Fwo"), "removed before the text is cut");
    }

    proptest! {
        #[test]
        fn an_excerpt_is_always_one_short_line(body in prop::collection::vec(any::<u8>(), 0..1_000)) {
            let line = excerpt(&body, b"", &[]);
            prop_assert!(line.chars().count() <= MAX_EXCERPT_CHARS);
            prop_assert!(!line.chars().any(|c| c.is_control() || c == '\n'));
        }
    }
}
