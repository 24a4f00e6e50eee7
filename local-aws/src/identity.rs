//! Who signed a request, once the signature itself has been found right: key, session
//! token, expiry and time, all by our own clock.

mod signed;

use std::time::{Duration, SystemTime};

use hyper::{HeaderMap, Uri};
use s3s::auth::SecretKey;
use signed::Signed;

use crate::call_context::Skew;
use crate::caller::Caller;
use crate::state::ServerState;

/// How far a request's time may be from ours.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html>
pub(crate) const MAX_SKEW: Duration = Duration::from_secs(15 * 60);

/// Why a request with a right signature is refused all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The key is nobody's (any more).
    UnknownKey,
    /// A temporary key without its token, or with another one's.
    BadToken,
    /// The session has ended.
    Expired,
    /// The request is from another time, or a presigned one has run out.
    Skewed(Skew),
    /// A header that counts is not under the signature.
    NotSigned { header: String },
    /// It is not signed with version 4.
    NotVersion4,
}

/// The secret that belongs to an access key id, ended sessions' included: that they have
/// ended is told once the signature is known to be theirs.
pub(crate) fn secret(state: &ServerState, access_key_id: &str) -> Option<SecretKey> {
    find(state, access_key_id).map(|caller| match caller {
        Caller::User(user) => user.secret.clone(),
        Caller::Session(session) => session.secret.clone(),
    })
}

fn find(state: &ServerState, access_key_id: &str) -> Option<Caller> {
    if let Some(session) = state.sessions.get(access_key_id) {
        let exists = state.accounts().roles.contains_key(&session.role_arn);
        return exists.then_some(Caller::Session(session));
    }
    let accounts = state.accounts();
    accounts.users.get(access_key_id).cloned().map(Caller::User)
}

/// Who the holder of `access_key_id` is, if the rest of the request bears it out.
pub(crate) fn caller(
    state: &ServerState,
    access_key_id: &str,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Caller, Refused> {
    let signed = Signed::of(headers, uri).ok_or(Refused::NotVersion4)?;
    let caller = find(state, access_key_id).ok_or(Refused::UnknownKey)?;
    let now = state.clock.now();
    match (&caller, signed.token.as_deref()) {
        (Caller::Session(session), Some(token)) if token == session.token => {
            // Before the time of the request: a clock that was set ahead ends sessions,
            // also those of clients that go by another clock.
            if session.expires <= now {
                return Err(Refused::Expired);
            }
        }
        (Caller::User(_), None) => {}
        _ => return Err(Refused::BadToken),
    }
    if let Some(skew) = skew(&signed, now) {
        return Err(Refused::Skewed(skew));
    }
    if let Some(header) = signed.missing_header(headers) {
        return Err(Refused::NotSigned { header });
    }
    Ok(caller)
}

fn skew(signed: &Signed<'_>, now: SystemTime) -> Option<Skew> {
    let time = signed.time();
    let in_future = time.is_some_and(|time| time > now + MAX_SKEW);
    let in_past = time.is_none_or(|time| now > time + signed.lifetime.unwrap_or(MAX_SKEW));
    (in_future || in_past).then(|| Skew { signed: signed.date.as_ref().to_owned(), received: now, in_future })
}
