//! AssumeRoleWithWebIdentity: unsigned; who holds one of the role's tokens gets a session.

use super::grant::{Wish, text};
use super::{Answer, error};
use crate::request::Form;
use crate::shared::Shared;

pub(super) fn answer(shared: &Shared, form: &Form) -> Answer {
    let wish = Wish::of(form, 0)?;
    let token = text(form, "WebIdentityToken", "webIdentityToken", 4..=20_000, |_| true)?;
    // A token file usually ends in a newline, and some clients send it along.
    let token = token.trim_end();
    let accounts = shared.accounts();
    let known = accounts
        .roles
        .values()
        .flat_map(|role| role.web_tokens.iter().map(move |known| (role, known)))
        .filter(|(_, known)| known.token.expose().trim_end() == token);
    let mut known = known.peekable();
    if known.peek().is_none() {
        return Err(error(
            "InvalidIdentityToken",
            "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
        ));
    }
    let Some((role, token)) = known.find(|(role, _)| role.arn == wish.role_arn) else {
        return Err(error("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"));
    };
    if token.expires.is_some_and(|end| end <= shared.clock.now()) {
        return Err(error("ExpiredTokenException", "Token expired"));
    }
    wish.grant(shared, role, false)
}
