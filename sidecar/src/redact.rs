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
    let secrets = secrets.iter().filter(|secret| secret.len() >= MIN_SECRET_BYTES);
    secrets.fold(text.to_owned(), |text, secret| {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        [secret.to_string(), encoded.replace('+', "%20"), encoded.to_lowercase(), encoded]
            .iter()
            // Checked first, since texts rarely contain a secret.
            .fold(text, |text, form| if text.contains(form) { text.replace(form, "\u{2026}") } else { text })
    })
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
        for encoded in ["ExternalId=wX8%2F7+f", "ExternalId=wX8%2F7%20f", "ExternalId=wX8/7 f"] {
            assert_eq!(redact(encoded, &["wX8/7 f"]), "ExternalId=…");
        }
    }
}
