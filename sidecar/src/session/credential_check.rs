//! Checks credentials before they are used. Pure.
//!
//! They come from files, metadata services and STS, or from another server in its place. The AWS SDK panics if an access
//! key ID does not fit into a header.

use aws_credential_types::Credentials;

/// Maximum length of an access key ID, in bytes: AWS's limit.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html>
const MAX_ID_BYTES: usize = 128;

/// Maximum length of a secret access key, in bytes. AWS's have 40.
const MAX_SECRET_BYTES: usize = 256;

/// Maximum length of a session token, in bytes. It is part of every request's head, of which S3 accepts 8 KiB.
const MAX_TOKEN_BYTES: usize = 8 << 10;

/// What is wrong with the credentials, as the end of a sentence about them.
///
/// # Errors
/// If a part is empty, too long or contains other characters than visible ASCII.
pub(super) fn check(credentials: &Credentials) -> Result<(), &'static str> {
    let is_usable =
        |text: &str, max| (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_usable(credentials.access_key_id(), MAX_ID_BYTES) {
        return Err("the access key ID is empty, too long or contains invalid characters");
    }
    if !is_usable(credentials.secret_access_key(), MAX_SECRET_BYTES) {
        return Err("the secret access key is empty, too long or contains invalid characters");
    }
    if !credentials.session_token().is_none_or(|token| is_usable(token, MAX_TOKEN_BYTES)) {
        return Err("the session token is empty, too long or contains invalid characters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_visible_ascii_of_a_possible_length_is_usable() {
        let checked = |id: &str, secret: &str, token: Option<&str>| {
            check(&Credentials::new(id, secret, token.map(str::to_owned), None, "test"))
        };
        assert_eq!(checked("AKIAEXAMPLE", "wJalr/+=", None), Ok(()));
        assert_eq!(checked("ASIAEXAMPLE", "wJalr/+=", Some("token/+==")), Ok(()));
        assert_eq!(checked("minio-user@example.com", "secret", None), Ok(()), "stores other than AWS");
        let long = "x".repeat(10_000);
        for wrong in ["", "a\n", "\u{1}", "a b", "\u{7f}", "é", long.as_str()] {
            assert!(checked(wrong, "secret", None).unwrap_err().starts_with("the access key ID"), "{wrong:?}");
            assert!(checked("id", wrong, None).unwrap_err().starts_with("the secret"), "{wrong:?}");
            assert!(checked("id", "secret", Some(wrong)).unwrap_err().starts_with("the session token"), "{wrong:?}");
        }
    }
}
