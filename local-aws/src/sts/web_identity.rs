//! AssumeRoleWithWebIdentity: exchanges a token for a session of the role that accepts it; unsigned.

use super::session_request::{AssumeRoleRequest, text};
use super::{Answer, StsError, error};
use crate::accounts::{Accounts, Role};
use crate::oidc::{self, TokenError};
use crate::policy::wildcard;
use crate::state::ServerState;
use crate::target::Form;

pub(super) fn answer(state: &ServerState, form: &Form) -> Answer {
    let request = AssumeRoleRequest::parse(form, 0)?;
    let token = text(form, "WebIdentityToken", "webIdentityToken", 4..=20_000, |_| true)?;
    // Token files usually end in a newline, which some clients send too.
    let token = token.trim_end();
    let accounts = state.accounts();
    let role = match role_for_listed_token(&accounts, token, request.role_arn) {
        Some(Ok((role, end))) if end.is_none_or(|end| end > state.clock.now()) => role,
        Some(Ok(_)) => return Err(expired()),
        Some(Err(denied)) => return Err(denied),
        None => role_for_provider_token(state, &accounts, token, request.role_arn)?,
    };
    request.grant(state, role, false)
}

/// The role, if it accepts this token of the accounts file, and the token's expiry; an error if only other roles
/// accept it, and `None` if the token is not in the file.
fn role_for_listed_token<'a>(
    accounts: &'a Accounts,
    token: &str,
    role_arn: &str,
) -> Option<Result<(&'a Role, Option<std::time::SystemTime>), StsError>> {
    let listed = accounts.roles.values().flat_map(|role| role.web_tokens.iter().map(move |entry| (role, entry)));
    let mut matches = listed.filter(|(_, entry)| entry.token.expose().trim_end() == token).peekable();
    matches.peek()?;
    let found = matches.find(|(role, _)| role.arn == role_arn);
    Some(found.map(|(role, entry)| (role, entry.expires)).ok_or_else(denied))
}

/// The role, if it accepts the subject of this token of an identity provider.
fn role_for_provider_token<'a>(
    state: &ServerState,
    accounts: &'a Accounts,
    token: &str,
    role_arn: &str,
) -> Result<&'a Role, StsError> {
    let role = accounts.roles.get(role_arn);
    let trusted = |account: &String| role.is_none_or(|role| role.account == *account);
    let providers = accounts.providers.iter().filter(|(account, _)| trusted(account)).map(|(_, provider)| provider);
    let subject = oidc::subject(token, providers, state.clock.now()).map_err(|reason| match reason {
        TokenError::Invalid => error(
            "InvalidIdentityToken",
            "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
        ),
        TokenError::Expired => expired(),
    })?;
    let accepts_subject = |role: &&Role| role.web_subjects.iter().any(|pattern| wildcard::matches(pattern, &subject));
    role.filter(accepts_subject).ok_or_else(denied)
}

fn denied() -> StsError {
    error("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
}

fn expired() -> StsError {
    error("ExpiredTokenException", "Token expired")
}
