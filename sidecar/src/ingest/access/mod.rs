//! Authorizes requests: if the function names write keys or a signing secret, every request must show a credential.
//!
//! Requests that need a Secret that can't be read are answered 503 and not 401, since clients do not retry after a 401.

mod signature;
#[cfg(test)]
mod tests;
mod write_keys;

use std::path::Path;

use hyper::header::HeaderMap;
use tokio::sync::watch;
use tributary_crds::conditions::Reason;
use tributary_crds::function::{Ingest, SecretKeyRef};
use tributary_crds::sidecar_config::SecretUse;

use self::signature::SigningSecrets;
use self::write_keys::WriteKeys;
use crate::blocker::Blocker;
use crate::event;
use crate::secret::{Folder, Value, changed, follow};

/// The endpoint of a request, which determines the credentials that it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `/v1/*`: accepts a write key.
    Api,
    /// `/`: accepts a signature or a write key.
    Webhook,
}

/// The authorization that a request's head proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    /// The request is authorized.
    Authorized,
    /// Nothing yet: the body may contain a write key, or match the signature.
    Unproven,
}

/// Why a request is not authorized.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// 401: the credential is missing or wrong; with the message.
    Unauthorized(&'static str),
    /// 503: the credential can't be checked, since a Secret can't be read.
    Unavailable(Blocker),
}

/// Which credentials a request shows, valid or not.
#[derive(Clone, Copy, Debug)]
struct Shown {
    write_key: bool,
    signature: bool,
}

/// The parsed value of a Secret, or why there is none; updated when the Secret changes.
type Known<T> = watch::Receiver<Result<T, Blocker>>;

/// The function's write keys and signing secrets; `None` for those that the function does not name. Clones share the
/// values.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    write_keys: Option<Known<WriteKeys>>,
    signature: Option<Known<SigningSecrets>>,
}

impl Access {
    /// Reads the Secrets that the function names, below the folder `secrets`, and follows them.
    pub(crate) fn follow(ingest: Option<&Ingest>, secrets: &Path) -> Self {
        let write_keys = ingest.and_then(|ingest| ingest.write_key_secret_ref.as_ref());
        let signature = ingest.and_then(|ingest| ingest.signature_secret_ref.as_ref());
        Self {
            write_keys: write_keys
                .map(|reference| follow_ref(secrets, SecretUse::WriteKey, reference, write_keys::parse)),
            signature: signature
                .map(|reference| follow_ref(secrets, SecretUse::Signature, reference, signature::parse)),
        }
    }

    /// Why a Secret can't be read, that of the write keys first.
    pub(crate) fn blocker(&self) -> Option<Blocker> {
        blocker(self.write_keys.as_ref()).or_else(|| blocker(self.signature.as_ref()))
    }

    /// Which requests are still accepted while one of the two Secrets can't be read, for messages; `None` if none are.
    pub(crate) fn still_admitted(&self) -> Option<&'static str> {
        if is_readable(self.write_keys.as_ref()) {
            Some("requests with a write key are accepted, signed ones are answered 503")
        } else if is_readable(self.signature.as_ref()) {
            Some("signed webhooks are accepted, other requests are answered 503")
        } else {
            None
        }
    }

    /// Completes when a Secret changes; never, if the function names none.
    pub(crate) async fn changed(&mut self) {
        tokio::select! {
            () = changed(self.write_keys.as_mut()) => {}
            () = changed(self.signature.as_mut()) => {}
        }
    }

    /// Whether requests need no credential.
    pub(super) fn is_open(&self) -> bool {
        self.write_keys.is_none() && self.signature.is_none()
    }

    /// Checks the head before the body is read. Refuses requests that no body could authorize.
    pub(super) fn check_head(
        &self,
        endpoint: Endpoint,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Result<Credential, Denied> {
        if self.is_open() {
            return Ok(Credential::Authorized);
        }
        let (mut unreadable, mut body_may_prove) = (None, false);
        if let Some(known) = &self.write_keys {
            match &*known.borrow() {
                Ok(keys) if write_keys::in_head(headers, query, |key| keys.contain(key)) => {
                    return Ok(Credential::Authorized);
                }
                Ok(_) => body_may_prove = true,
                Err(blocker) => unreadable = Some(blocker.clone()),
            }
        }
        if let (Endpoint::Webhook, Some(known)) = (endpoint, &self.signature) {
            match &*known.borrow() {
                Ok(_) => body_may_prove |= signature::is_shown(headers),
                Err(blocker) => unreadable = unreadable.or(Some(blocker.clone())),
            }
        }
        if body_may_prove {
            return Ok(Credential::Unproven);
        }
        let shown = Shown { write_key: false, signature: signature::is_shown(headers) };
        Err(unreadable.map_or_else(|| Denied::Unauthorized(self.missing(endpoint, shown)), Denied::Unavailable))
    }

    /// Authorizes a request by its head and its decompressed body.
    pub(super) fn admit(
        &self,
        endpoint: Endpoint,
        headers: &HeaderMap,
        query: Option<&str>,
        body: &[u8],
    ) -> Result<(), Denied> {
        if self.is_open() {
            return Ok(());
        }
        let mut shown = Shown { write_key: false, signature: signature::is_shown(headers) };
        let mut unreadable = None;
        if let Some(known) = &self.write_keys {
            match &*known.borrow() {
                Ok(keys) if write_keys::in_head(headers, query, |key| keys.contain(key)) => return Ok(()),
                Ok(keys) => {
                    let in_body = event::write_key(body).filter(|key| !key.is_empty());
                    if in_body.as_ref().is_some_and(|key| keys.contain(key.as_bytes())) {
                        return Ok(());
                    }
                    shown.write_key = in_body.is_some() || write_keys::in_head(headers, query, |key| !key.is_empty());
                }
                Err(blocker) => unreadable = Some(blocker.clone()),
            }
        }
        if let (Endpoint::Webhook, Some(known)) = (endpoint, &self.signature) {
            match &*known.borrow() {
                Ok(secrets) if secrets.signed(headers, body) => return Ok(()),
                Ok(_) => {}
                Err(blocker) => unreadable = unreadable.or(Some(blocker.clone())),
            }
        }
        Err(unreadable.map_or_else(|| Denied::Unauthorized(self.missing(endpoint, shown)), Denied::Unavailable))
    }

    /// The message for a 401: the missing or wrong credential, given those that the request shows.
    fn missing(&self, endpoint: Endpoint, shown: Shown) -> &'static str {
        let accepts_signature = endpoint == Endpoint::Webhook && self.signature.is_some();
        match (self.write_keys.is_some(), accepts_signature) {
            (true, true) if shown.signature => {
                "the X-Signature is not that of the body with the function's signing secret, and none of the \
                 function's write keys is in the request"
            }
            (true, _) if shown.write_key => "the write key in the request is not one of the function's",
            (true, true) => "there is neither an X-Signature nor a write key in the request",
            (true, false) => {
                "there is no write key in the request; send it as Basic or Bearer authorization, or as writeKey in \
                 the query or the body"
            }
            (false, true) if shown.signature => {
                "the X-Signature is not that of the body with the function's signing secret"
            }
            (false, true) => "the request has no X-Signature; sign its body with the function's signing secret",
            (false, false) => {
                "the function accepts only signed webhooks, on the path /; for /v1, set spec.ingest.writeKeySecretRef"
            }
        }
    }
}

/// Follows a key of a Secret and parses its value.
fn follow_ref<T: Send + Sync + 'static>(
    secrets: &Path,
    r#use: SecretUse,
    reference: &SecretKeyRef,
    parse: fn(&[u8]) -> Result<T, String>,
) -> Known<T> {
    let folder = Folder::of(secrets, r#use);
    let (name, key) = (reference.name.to_string(), reference.key.to_string());
    let read = {
        let key = key.clone();
        move || folder.read(&key)
    };
    follow(read, move |value| parse_secret(value, r#use, &name, &key, parse))
}

/// Parses a Secret's value; the error describes the fix, without the value.
fn parse_secret<T>(
    value: &Value,
    r#use: SecretUse,
    name: &str,
    key: &str,
    parse: fn(&[u8]) -> Result<T, String>,
) -> Result<T, Blocker> {
    let (reason, what, field) = match r#use {
        SecretUse::Signature => (Reason::SignatureNotFound, "signing secret", "signatureSecretRef"),
        _ => (Reason::WriteKeyNotFound, "write keys", "writeKeySecretRef"),
    };
    let message = match value.as_ref().map(|value| parse(value)) {
        Ok(Ok(parsed)) => return Ok(parsed),
        Ok(Err(why)) => {
            format!("the value of {key} in the Secret {name} holds no valid {what}: {why}; put one per line")
        }
        Err(missing) => missing.message(name, key, what, &format!("ingest.{field}")),
    };
    Err(Blocker { reason, message })
}

/// Checks that a Secret's value holds write keys, one per line.
///
/// # Errors
/// Why it does not, without the value.
pub fn check_write_keys(value: &[u8]) -> Result<(), String> {
    write_keys::parse(value).map(drop)
}

/// Checks that a Secret's value holds signing secrets, one per line.
///
/// # Errors
/// Why it does not, without the value.
pub fn check_signing_secrets(value: &[u8]) -> Result<(), String> {
    signature::parse(value).map(drop)
}

/// The non-empty lines of a value, with their numbers from 1. A Secret's key holds one credential per line.
fn lines(value: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = value.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    (1..).zip(lines).filter(|(_, line)| !line.is_empty())
}

fn blocker<T>(known: Option<&Known<T>>) -> Option<Blocker> {
    known.and_then(|known| known.borrow().as_ref().err().cloned())
}

fn is_readable<T>(known: Option<&Known<T>>) -> bool {
    known.is_some_and(|known| known.borrow().is_ok())
}
