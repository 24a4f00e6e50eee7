//! Who may send events: once the function names write keys or a signature, every request must show
//! one.
//!
//! A Secret that can't be read is no reason for a 401, which clients take as final: they are told
//! to come back.

mod signature;
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

/// Where a request asks to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `/v1/*`: a write key.
    Api,
    /// `/`: a signature or a write key.
    Webhook,
}

/// What a request's headers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    /// All that the function asks for.
    Authorized,
    /// Nothing yet: a write key may be in the body, or a signature may be the body's.
    Unproven,
}

/// Why a request is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// 401: what it shows is not enough. The message says what would be.
    Unauthorized(&'static str),
    /// 503: nobody can tell, since a Secret can't be read.
    Unavailable(Blocker),
}

/// Which credentials a request shows, right or wrong.
#[derive(Clone, Copy, Debug)]
struct Shown {
    write_key: bool,
    signature: bool,
}

/// What is known of a Secret's value, which changes when the Secret does.
type Known<T> = watch::Receiver<Result<T, Blocker>>;

/// The function's write keys and signing secrets. A clone is a second view of the same.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    write_keys: Option<Known<WriteKeys>>,
    signature: Option<Known<SigningSecrets>>,
}

impl Access {
    /// Reads what the function names, below the folder of its Secrets, and follows it.
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

    /// What keeps the Secrets from being read: write keys first.
    pub(crate) fn blocker(&self) -> Option<Blocker> {
        blocker(self.write_keys.as_ref()).or_else(|| blocker(self.signature.as_ref()))
    }

    /// Which requests are let in while one of the two Secrets can't be read; nothing, if none are.
    pub(crate) fn goes_on(&self) -> Option<&'static str> {
        if is_readable(self.write_keys.as_ref()) {
            Some("requests with a write key are taken, signed ones are answered 503")
        } else if is_readable(self.signature.as_ref()) {
            Some("signed webhooks are taken, other requests are answered 503")
        } else {
            None
        }
    }

    /// Ends when a Secret has changed; never, where there is none.
    pub(crate) async fn changed(&mut self) {
        tokio::select! {
            () = changed(self.write_keys.as_mut()) => {}
            () = changed(self.signature.as_mut()) => {}
        }
    }

    /// Whether requests must show anything at all.
    pub(super) fn is_open(&self) -> bool {
        self.write_keys.is_none() && self.signature.is_none()
    }

    /// Looks at a request's headers before its body is read; refuses what no body could prove.
    pub(super) fn check_head(&self, endpoint: Endpoint, headers: &HeaderMap) -> Result<Credential, Denied> {
        if self.is_open() {
            return Ok(Credential::Authorized);
        }
        let (mut unreadable, mut body_may_prove) = (None, false);
        if let Some(known) = &self.write_keys {
            match &*known.borrow() {
                Ok(keys) if write_keys::in_headers(headers, |key| keys.contain(key)) => {
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

    /// Lets a request in, or not. `body` is what it says, decompressed.
    pub(super) fn admit(&self, endpoint: Endpoint, headers: &HeaderMap, body: &[u8]) -> Result<(), Denied> {
        if self.is_open() {
            return Ok(());
        }
        let mut shown = Shown { write_key: false, signature: signature::is_shown(headers) };
        let mut unreadable = None;
        if let Some(known) = &self.write_keys {
            match &*known.borrow() {
                Ok(keys) if write_keys::in_headers(headers, |key| keys.contain(key)) => return Ok(()),
                Ok(keys) => {
                    let in_body = event::write_key(body).filter(|key| !key.is_empty());
                    if in_body.as_ref().is_some_and(|key| keys.contain(key.as_bytes())) {
                        return Ok(());
                    }
                    shown.write_key = in_body.is_some() || write_keys::in_headers(headers, |key| !key.is_empty());
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

    /// What a request lacks that `shown` is not enough of.
    fn missing(&self, endpoint: Endpoint, shown: Shown) -> &'static str {
        let takes_signature = endpoint == Endpoint::Webhook && self.signature.is_some();
        match (self.write_keys.is_some(), takes_signature) {
            (true, true) if shown.signature => {
                "the X-Signature is not that of the body with the function's signing secret, and none of the \
                 function's write keys is in the request"
            }
            (true, _) if shown.write_key => "the write key in the request is none of the function's",
            (true, true) => "there is neither an X-Signature nor a write key in the request",
            (true, false) => {
                "there is no write key in the request; send it as Basic or Bearer authorization, or as writeKey in \
                 the body"
            }
            (false, true) if shown.signature => {
                "the X-Signature is not that of the body with the function's signing secret"
            }
            (false, true) => "the request has no X-Signature; sign its body with the function's signing secret",
            (false, false) => {
                "the function takes signed webhooks on / only; name write keys in spec.ingest.writeKeySecretRef for /v1"
            }
        }
    }
}

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
    follow(read, move |value| judge(value, r#use, &name, &key, parse))
}

/// The value as what it is to be, or what a person should do.
fn judge<T>(
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
        Ok(Err(why)) => format!("the value of {key} in the Secret {name} is no {what}: {why}"),
        Err(missing) => missing.says(name, key, what, &format!("ingest.{field}")),
    };
    Err(Blocker { reason, message })
}

/// The lines of a value that say something: several keys, one per line.
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

#[cfg(test)]
mod tests {
    use hyper::header::{AUTHORIZATION, HeaderValue};

    use super::*;
    use crate::secret::Missing;

    const TRACK: &[u8] = br#"{"userId":"u","writeKey":"good","event":"e"}"#;
    const BARE: &[u8] = br#"{"userId":"u","event":"e"}"#;

    fn known<T>(value: Result<T, Blocker>) -> Option<Known<T>> {
        Some(watch::channel(value).1)
    }

    fn gone() -> Blocker {
        Blocker { reason: Reason::WriteKeyNotFound, message: "gone".to_owned() }
    }

    fn keys() -> Option<Known<WriteKeys>> {
        known(Ok(write_keys::parse(b"good\nold\n").unwrap()))
    }

    fn secrets() -> Option<Known<SigningSecrets>> {
        known(Ok(signature::parse(b"secret").unwrap()))
    }

    fn bearer(key: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}")).unwrap())])
    }

    #[test]
    fn without_a_secret_everybody_may_send() {
        let access = Access { write_keys: None, signature: None };
        assert_eq!(access.admit(Endpoint::Api, &HeaderMap::new(), BARE), Ok(()));
        assert_eq!(access.admit(Endpoint::Webhook, &HeaderMap::new(), b"not json"), Ok(()));
    }

    #[test]
    fn a_write_key_opens_every_path() {
        let access = Access { write_keys: keys(), signature: secrets() };
        for endpoint in [Endpoint::Api, Endpoint::Webhook] {
            assert_eq!(access.admit(endpoint, &HeaderMap::new(), TRACK), Ok(()));
            assert_eq!(access.admit(endpoint, &bearer("old"), BARE), Ok(()));
            // An OAuth token in the header leaves the key in the body, as Segment has it.
            assert_eq!(access.admit(endpoint, &bearer("token"), TRACK), Ok(()));
            for body in [BARE, b"[]", b"not json", br#"{"writeKey":"go\u006fd","writeKey":"good"}"#] {
                assert!(
                    matches!(access.admit(endpoint, &bearer("bad"), body), Err(Denied::Unauthorized(_))),
                    "{body:?}"
                );
            }
        }
    }

    #[test]
    fn what_the_headers_show_is_known_before_the_body() {
        use Credential::{Authorized, Unproven};
        let unsigned = HeaderMap::new();
        let signed = signature::tests::signed(b"another secret", BARE);
        let (api, webhook) = (Endpoint::Api, Endpoint::Webhook);
        let open = Access { write_keys: None, signature: None };
        let keyed = Access { write_keys: keys(), signature: None };
        let signing = Access { write_keys: None, signature: secrets() };
        let both = Access { write_keys: keys(), signature: secrets() };
        for (access, endpoint, headers, shown) in [
            (&open, api, &bearer("any"), Ok(Authorized)),
            (&open, webhook, &unsigned, Ok(Authorized)),
            (&keyed, api, &bearer("good"), Ok(Authorized)),
            (&keyed, webhook, &bearer("old"), Ok(Authorized)),
            // An OAuth token in the header leaves the key in the body.
            (&keyed, api, &bearer("token"), Ok(Unproven)),
            (&keyed, api, &unsigned, Ok(Unproven)),
            (&keyed, webhook, &signed, Ok(Unproven)),
            // What a signature is worth, only the body says.
            (&signing, webhook, &signed, Ok(Unproven)),
            (&signing, webhook, &bearer("good"), Err(true)),
            (&signing, api, &signed, Err(true)),
            (&both, webhook, &bearer("good"), Ok(Authorized)),
            (&both, webhook, &signed, Ok(Unproven)),
            (&both, api, &signed, Ok(Unproven)),
        ] {
            let seen = access.check_head(endpoint, headers);
            let seen = seen.map_err(|denied| matches!(denied, Denied::Unauthorized(_)));
            assert_eq!(seen, shown, "{access:?} {endpoint:?} {headers:?}");
        }
    }

    #[test]
    fn a_secret_that_cant_be_read_is_told_before_the_body_unless_another_may_prove_it() {
        let signed = signature::tests::signed(b"secret", BARE);
        let unavailable = Err(Denied::Unavailable(gone()));
        let access = Access { write_keys: known(Err(gone())), signature: secrets() };
        assert_eq!(access.check_head(Endpoint::Api, &bearer("good")), unavailable);
        assert_eq!(access.check_head(Endpoint::Webhook, &bearer("good")), unavailable);
        assert_eq!(access.check_head(Endpoint::Webhook, &signed), Ok(Credential::Unproven));
        let access = Access { write_keys: keys(), signature: known(Err(gone())) };
        assert_eq!(access.check_head(Endpoint::Webhook, &bearer("good")), Ok(Credential::Authorized));
        assert_eq!(access.check_head(Endpoint::Webhook, &signed), Ok(Credential::Unproven));
    }

    #[test]
    fn a_signature_opens_the_webhooks_path_only() {
        let access = Access { write_keys: None, signature: secrets() };
        let headers = signature::tests::signed(b"secret", BARE);
        assert_eq!(access.admit(Endpoint::Webhook, &headers, BARE), Ok(()));
        assert!(matches!(access.admit(Endpoint::Webhook, &headers, TRACK), Err(Denied::Unauthorized(_))));
        let Err(Denied::Unauthorized(says)) = access.admit(Endpoint::Api, &headers, BARE) else {
            panic!("it is let in")
        };
        assert!(says.contains("writeKeySecretRef"));
    }

    #[test]
    fn a_secret_that_cant_be_read_is_not_the_clients_fault() {
        let unavailable = Err(Denied::Unavailable(gone()));
        let access = Access { write_keys: known(Err(gone())), signature: secrets() };
        assert_eq!(access.admit(Endpoint::Api, &bearer("good"), BARE), unavailable);
        // What the other one lets in is let in.
        assert_eq!(access.admit(Endpoint::Webhook, &signature::tests::signed(b"secret", BARE), BARE), Ok(()));
        assert_eq!(access.admit(Endpoint::Webhook, &HeaderMap::new(), BARE), unavailable);

        let access = Access { write_keys: keys(), signature: known(Err(gone())) };
        assert_eq!(access.admit(Endpoint::Webhook, &bearer("good"), BARE), Ok(()));
        assert_eq!(access.admit(Endpoint::Webhook, &bearer("bad"), BARE), unavailable);
        assert!(matches!(access.admit(Endpoint::Api, &bearer("bad"), BARE), Err(Denied::Unauthorized(_))));
    }

    #[test]
    fn a_credential_that_is_missing_is_told_from_one_that_is_wrong() {
        let (none, signed) = (HeaderMap::new(), signature::tests::signed(b"another secret", BARE));
        let keyed = || Access { write_keys: keys(), signature: None };
        let signing = || Access { write_keys: None, signature: secrets() };
        let both = || Access { write_keys: keys(), signature: secrets() };
        let wrong_key: &[u8] = br#"{"userId":"u","writeKey":"bad"}"#;
        for (access, endpoint, headers, body, says) in [
            (keyed(), Endpoint::Api, &none, BARE, "there is no write key"),
            (keyed(), Endpoint::Api, &bearer(""), BARE, "there is no write key"),
            (keyed(), Endpoint::Api, &none, br#"{"userId":"u","writeKey":""}"#, "there is no write key"),
            (keyed(), Endpoint::Api, &bearer("bad"), BARE, "the write key in the request is none"),
            (keyed(), Endpoint::Webhook, &none, wrong_key, "the write key in the request is none"),
            (signing(), Endpoint::Webhook, &none, BARE, "has no X-Signature"),
            (signing(), Endpoint::Webhook, &signed, BARE, "the X-Signature is not that of the body"),
            (signing(), Endpoint::Api, &signed, BARE, "webhooks on / only"),
            (both(), Endpoint::Webhook, &none, BARE, "neither an X-Signature nor a write key"),
            (both(), Endpoint::Webhook, &signed, BARE, "the X-Signature is not that of the body"),
            (both(), Endpoint::Webhook, &none, wrong_key, "the write key in the request is none"),
            (both(), Endpoint::Api, &signed, BARE, "there is no write key"),
        ] {
            let Err(Denied::Unauthorized(said)) = access.admit(endpoint, headers, body) else { panic!("{says}") };
            assert!(said.contains(says), "{endpoint:?} {headers:?}: {said}");
        }
        let Err(Denied::Unauthorized(said)) = signing().check_head(Endpoint::Webhook, &none) else { panic!("let in") };
        assert!(said.contains("has no X-Signature"), "{said}");
    }

    #[test]
    fn while_one_of_two_secrets_can_be_read_some_requests_are_let_in() {
        let (no_keys, no_secrets) = (known(Err(gone())), known(Err(gone())));
        for (write_keys, signature, goes_on) in [
            (keys(), no_secrets.clone(), "with a write key are taken"),
            (no_keys.clone(), secrets(), "signed webhooks are taken"),
            (no_keys.clone(), None, ""),
            (None, no_secrets.clone(), ""),
            (no_keys, no_secrets, ""),
        ] {
            let access = Access { write_keys, signature };
            assert!(access.blocker().is_some());
            let said = access.goes_on();
            assert!(said.is_some() != goes_on.is_empty() && said.unwrap_or_default().contains(goes_on), "{access:?}");
        }
    }

    #[test]
    fn what_a_person_should_do_is_said_without_the_value() {
        let judge = |value: Value| judge(&value, SecretUse::WriteKey, "keys", "writeKey", write_keys::parse);
        for (value, says) in [
            (Err(Missing::Secret), "create it"),
            (Err(Missing::Key), "spec.ingest.writeKeySecretRef.key"),
            (Ok(b"\n\n".to_vec().into()), "it is empty"),
            (Ok(b"good\nhunter 2".to_vec().into()), "line 2"),
        ] {
            let blocker = judge(value).unwrap_err();
            assert_eq!(blocker.reason, Reason::WriteKeyNotFound);
            assert!(blocker.message.contains(says), "{}", blocker.message);
            assert!(!blocker.message.contains("hunter"));
        }
    }
}
