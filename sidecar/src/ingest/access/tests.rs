//! Tests of the result for each combination of credentials and Secrets.

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
fn without_a_secret_anyone_may_send() {
    let access = Access { write_keys: None, signature: None };
    assert_eq!(access.admit(Endpoint::Api, &HeaderMap::new(), None, BARE), Ok(()));
    assert_eq!(access.admit(Endpoint::Webhook, &HeaderMap::new(), None, b"not json"), Ok(()));
}

#[test]
fn a_write_key_opens_every_path() {
    let access = Access { write_keys: keys(), signature: secrets() };
    for endpoint in [Endpoint::Api, Endpoint::Webhook] {
        assert_eq!(access.admit(endpoint, &HeaderMap::new(), None, TRACK), Ok(()));
        assert_eq!(access.admit(endpoint, &bearer("old"), None, BARE), Ok(()));
        // If the header has an OAuth token, the key may be in the body, as Segment documents.
        assert_eq!(access.admit(endpoint, &bearer("token"), None, TRACK), Ok(()));
        for body in [BARE, b"[]", b"not json", br#"{"writeKey":"go\u006fd","writeKey":"good"}"#] {
            assert!(
                matches!(access.admit(endpoint, &bearer("bad"), None, body), Err(Denied::Unauthorized(_))),
                "{body:?}"
            );
        }
    }
}

#[test]
fn headers_are_checked_before_the_body() {
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
        // If the header has an OAuth token, the key may be in the body.
        (&keyed, api, &bearer("token"), Ok(Unproven)),
        (&keyed, api, &unsigned, Ok(Unproven)),
        (&keyed, webhook, &signed, Ok(Unproven)),
        // A signature can be verified only with the body.
        (&signing, webhook, &signed, Ok(Unproven)),
        (&signing, webhook, &bearer("good"), Err(true)),
        (&signing, api, &signed, Err(true)),
        (&both, webhook, &bearer("good"), Ok(Authorized)),
        (&both, webhook, &signed, Ok(Unproven)),
        (&both, api, &signed, Ok(Unproven)),
    ] {
        let seen = access.check_head(endpoint, headers, None);
        let seen = seen.map_err(|denied| matches!(denied, Denied::Unauthorized(_)));
        assert_eq!(seen, shown, "{access:?} {endpoint:?} {headers:?}");
    }
}

#[test]
fn an_unreadable_secret_is_reported_before_the_body_unless_another_credential_may_suffice() {
    let signed = signature::tests::signed(b"secret", BARE);
    let unavailable = Err(Denied::Unavailable(gone()));
    let access = Access { write_keys: known(Err(gone())), signature: secrets() };
    assert_eq!(access.check_head(Endpoint::Api, &bearer("good"), None), unavailable);
    assert_eq!(access.check_head(Endpoint::Webhook, &bearer("good"), None), unavailable);
    assert_eq!(access.check_head(Endpoint::Webhook, &signed, None), Ok(Credential::Unproven));
    let access = Access { write_keys: keys(), signature: known(Err(gone())) };
    assert_eq!(access.check_head(Endpoint::Webhook, &bearer("good"), None), Ok(Credential::Authorized));
    assert_eq!(access.check_head(Endpoint::Webhook, &signed, None), Ok(Credential::Unproven));
}

#[test]
fn a_signature_opens_the_webhooks_path_only() {
    let access = Access { write_keys: None, signature: secrets() };
    let headers = signature::tests::signed(b"secret", BARE);
    assert_eq!(access.admit(Endpoint::Webhook, &headers, None, BARE), Ok(()));
    assert!(matches!(access.admit(Endpoint::Webhook, &headers, None, TRACK), Err(Denied::Unauthorized(_))));
    let Err(Denied::Unauthorized(message)) = access.admit(Endpoint::Api, &headers, None, BARE) else {
        panic!("it is accepted")
    };
    assert!(message.contains("writeKeySecretRef"));
}

#[test]
fn a_secret_that_cant_be_read_is_not_the_clients_fault() {
    let unavailable = Err(Denied::Unavailable(gone()));
    let access = Access { write_keys: known(Err(gone())), signature: secrets() };
    assert_eq!(access.admit(Endpoint::Api, &bearer("good"), None, BARE), unavailable);
    // A request with the other, readable credential is authorized.
    assert_eq!(access.admit(Endpoint::Webhook, &signature::tests::signed(b"secret", BARE), None, BARE), Ok(()));
    assert_eq!(access.admit(Endpoint::Webhook, &HeaderMap::new(), None, BARE), unavailable);

    let access = Access { write_keys: keys(), signature: known(Err(gone())) };
    assert_eq!(access.admit(Endpoint::Webhook, &bearer("good"), None, BARE), Ok(()));
    assert_eq!(access.admit(Endpoint::Webhook, &bearer("bad"), None, BARE), unavailable);
    assert!(matches!(access.admit(Endpoint::Api, &bearer("bad"), None, BARE), Err(Denied::Unauthorized(_))));
}

#[test]
fn missing_and_wrong_credentials_have_different_messages() {
    let (none, signed) = (HeaderMap::new(), signature::tests::signed(b"another secret", BARE));
    let keyed = || Access { write_keys: keys(), signature: None };
    let signing = || Access { write_keys: None, signature: secrets() };
    let both = || Access { write_keys: keys(), signature: secrets() };
    let wrong_key: &[u8] = br#"{"userId":"u","writeKey":"bad"}"#;
    for (access, endpoint, headers, body, part) in [
        (keyed(), Endpoint::Api, &none, BARE, "there is no write key"),
        (keyed(), Endpoint::Api, &bearer(""), BARE, "there is no write key"),
        (keyed(), Endpoint::Api, &none, br#"{"userId":"u","writeKey":""}"#, "there is no write key"),
        (keyed(), Endpoint::Api, &bearer("bad"), BARE, "the write key in the request is not one"),
        (keyed(), Endpoint::Webhook, &none, wrong_key, "the write key in the request is not one"),
        (signing(), Endpoint::Webhook, &none, BARE, "has no X-Signature"),
        (signing(), Endpoint::Webhook, &signed, BARE, "the X-Signature is not that of the body"),
        (signing(), Endpoint::Api, &signed, BARE, "only signed webhooks"),
        (both(), Endpoint::Webhook, &none, BARE, "neither an X-Signature nor a write key"),
        (both(), Endpoint::Webhook, &signed, BARE, "the X-Signature is not that of the body"),
        (both(), Endpoint::Webhook, &none, wrong_key, "the write key in the request is not one"),
        (both(), Endpoint::Api, &signed, BARE, "there is no write key"),
    ] {
        let Err(Denied::Unauthorized(message)) = access.admit(endpoint, headers, None, body) else { panic!("{part}") };
        assert!(message.contains(part), "{endpoint:?} {headers:?}: {message}");
    }
    let Err(Denied::Unauthorized(message)) = signing().check_head(Endpoint::Webhook, &none, None) else {
        panic!("accepted")
    };
    assert!(message.contains("has no X-Signature"), "{message}");
}

#[test]
fn while_one_of_two_secrets_can_be_read_some_requests_are_accepted() {
    let (no_keys, no_secrets) = (known(Err(gone())), known(Err(gone())));
    for (write_keys, signature, still_admitted) in [
        (keys(), no_secrets.clone(), "with a write key are accepted"),
        (no_keys.clone(), secrets(), "signed webhooks are accepted"),
        (no_keys.clone(), None, ""),
        (None, no_secrets.clone(), ""),
        (no_keys, no_secrets, ""),
    ] {
        let access = Access { write_keys, signature };
        assert!(access.blocker().is_some());
        let message = access.still_admitted();
        assert!(
            message.is_some() != still_admitted.is_empty() && message.unwrap_or_default().contains(still_admitted),
            "{access:?}"
        );
    }
}

#[test]
fn messages_about_secrets_name_the_fix_and_omit_the_value() {
    let parse_secret = |value: Value| parse_secret(&value, SecretUse::WriteKey, "keys", "writeKey", write_keys::parse);
    for (value, part) in [
        (Err(Missing::Secret), "create it"),
        (Err(Missing::Key), "spec.ingest.writeKeySecretRef.key"),
        (Ok(b"\n\n".to_vec().into()), "it is empty"),
        (Ok(b"good\nhunter 2".to_vec().into()), "line 2"),
    ] {
        let blocker = parse_secret(value).unwrap_err();
        assert_eq!(blocker.reason, Reason::WriteKeyNotFound);
        assert!(blocker.message.contains(part), "{}", blocker.message);
        assert!(!blocker.message.contains("hunter"));
    }
}
