//! Identifies the caller of a request. The library s3s verifies the signature, with the secret key that this module looks
//! up for it ([`secret_key`]); this module then checks key, session token, expiry, signing time and signed headers, by the
//! server's clock.

mod signature_fields;

use std::time::{Duration, SystemTime};

use hyper::{HeaderMap, Uri};
use s3s::auth::SecretKey;
use signature_fields::SignatureFields;

use crate::call_context::Skew;
use crate::caller::Caller;
use crate::state::ServerState;

/// Maximum difference between a request's signing time and the server's time.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html>
pub(crate) const MAX_SKEW: Duration = Duration::from_secs(15 * 60);

/// Why a request is refused although s3s has verified its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IdentityError {
    /// No user and no session has this access key ID, or the session's role is gone.
    UnknownKey,
    /// Temporary credentials without their session token or with another one, or a user's with one.
    BadToken,
    /// The session has expired.
    Expired,
    /// The signing time is too far from the server's time, or a presigned URL has expired.
    Skewed(Skew),
    /// A header that must be signed is not.
    NotSigned { header: String },
    /// The request is not signed with Signature Version 4.
    NotVersion4,
}

/// The secret of an access key ID, also of an expired session: its expiry is reported only after the
/// signature is verified.
pub(crate) fn secret_key(state: &ServerState, access_key_id: &str) -> Option<SecretKey> {
    find_caller(state, access_key_id).map(|caller| match caller {
        Caller::User(user) => user.secret.clone(),
        Caller::Session(session) => session.secret.clone(),
    })
}

fn find_caller(state: &ServerState, access_key_id: &str) -> Option<Caller> {
    if let Some(session) = state.sessions.get(access_key_id) {
        let exists = state.accounts().roles.contains_key(&session.role_arn);
        return exists.then_some(Caller::Session(session));
    }
    let accounts = state.accounts();
    accounts.users.get(access_key_id).cloned().map(Caller::User)
}

/// The caller with this access key ID, if the rest of the request is valid for it.
pub(crate) fn caller(
    state: &ServerState,
    access_key_id: &str,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Caller, IdentityError> {
    let fields = SignatureFields::parse(headers, uri).ok_or(IdentityError::NotVersion4)?;
    let caller = find_caller(state, access_key_id).ok_or(IdentityError::UnknownKey)?;
    let now = state.clock.now();
    match (&caller, fields.token.as_deref()) {
        (Caller::Session(session), Some(token)) if token == session.token => {
            // Checked before the signing time: if the server's clock was set ahead, sessions are expired also for
            // clients that use another clock.
            if session.expires <= now {
                return Err(IdentityError::Expired);
            }
        }
        (Caller::User(_), None) => {}
        _ => return Err(IdentityError::BadToken),
    }
    if let Some(skew) = skew(&fields, now) {
        return Err(IdentityError::Skewed(skew));
    }
    if let Some(header) = fields.missing_header(headers) {
        return Err(IdentityError::NotSigned { header });
    }
    Ok(caller)
}

fn skew(fields: &SignatureFields<'_>, now: SystemTime) -> Option<Skew> {
    let time = fields.time();
    let in_future = time.is_some_and(|time| time > now + MAX_SKEW);
    let in_past = time.is_none_or(|time| now > time + fields.lifetime.unwrap_or(MAX_SKEW));
    (in_future || in_past).then(|| Skew { signed: fields.date.as_ref().to_owned(), received: now, in_future })
}
