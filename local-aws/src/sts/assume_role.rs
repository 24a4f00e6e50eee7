//! AssumeRole: has the role's trust policy evaluated with the external ID ([`authorize`]), checks the session tags, and
//! grants a session of the role.

use std::time::Duration;

use super::session_request::{AssumeRoleRequest, text};
use super::{Answer, StsError, error};
use crate::authorize;
use crate::caller::Caller;
use crate::policy::AccessRequest;
use crate::state::ServerState;
use crate::target::Form;

/// Maximum session duration of a role that is assumed from another role (role chaining).
const MAX_CHAINED_DURATION: Duration = Duration::from_secs(3600);
/// Estimated bytes that the tags of a Pod Identity session take of the packed policy: AWS sets six tags,
/// with short values.
const POD_TAG_BYTES: usize = 300;

pub(super) fn answer(state: &ServerState, form: &Form, caller: &Caller) -> Answer {
    let inherits_tags = caller.session().is_some_and(|session| session.transitive_tags);
    let own_tag_bytes: usize = tags(form).map(|(name, value)| name.len() + value.len()).sum();
    let tag_bytes = own_tag_bytes + if inherits_tags { POD_TAG_BYTES } else { 0 };
    let request = AssumeRoleRequest::parse(form, tag_bytes)?;
    let external_id = match form.get("ExternalId") {
        None => None,
        Some(_) => Some(text(form, "ExternalId", "externalId", 2..=1224, |c| {
            c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c)
        })?),
    };

    let accounts = state.accounts();
    // The same error for an unknown role, an untrusted caller and a wrong external ID, so that
    // it does not reveal which roles exist.
    let denied = |action| denied(caller, request.role_arn, action);
    let role = accounts.roles.get(request.role_arn).ok_or_else(|| denied("sts:AssumeRole"))?;
    let check_allowed = |action| {
        let condition_keys = context(caller, request.session_name, external_id);
        let access = AccessRequest { action, resource: &role.arn, context: &condition_keys };
        authorize::role_assumption(&accounts, caller, role, access).map_err(|_| denied(action))
    };
    check_allowed("sts:AssumeRole")?;
    if inherits_tags || tags(form).next().is_some() {
        check_allowed("sts:TagSession")?;
    }
    if caller.session().is_some() && request.duration > MAX_CHAINED_DURATION {
        return Err(error(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    let transitive = form.contains_key("TransitiveTagKeys.member.1");
    request.grant(state, role, inherits_tags || transitive)
}

fn context<'a>(
    caller: &'a Caller,
    session_name: &'a str,
    external_id: Option<&'a str>,
) -> Vec<(&'static str, &'a str)> {
    let names = caller.names();
    let mut context = vec![
        ("sts:RoleSessionName", session_name),
        ("aws:PrincipalArn", names.role_arn.unwrap_or(names.arn)),
        ("aws:PrincipalAccount", names.account),
        ("aws:SecureTransport", "true"),
    ];
    context.extend(external_id.map(|id| ("sts:ExternalId", id)));
    context
}

/// The request's session tags, as names and values.
fn tags(form: &Form) -> impl Iterator<Item = (&str, &str)> {
    form.iter().filter_map(|(field, name)| {
        let number = field.strip_prefix("Tags.member.")?.strip_suffix(".Key")?;
        let value = form.get(&format!("Tags.member.{number}.Value"))?;
        Some((name.as_str(), value.as_str()))
    })
}

fn denied(caller: &Caller, role_arn: &str, action: &str) -> StsError {
    let arn = caller.names().arn;
    error("AccessDenied", format!("User: {arn} is not authorized to perform: {action} on resource: {role_arn}"))
}
