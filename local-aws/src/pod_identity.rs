//! The credentials endpoint of EKS Pod Identity: exchanges a pod's token for credentials of a role.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>

use std::time::Duration;

use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response, StatusCode};
use s3s::Body;

use crate::answer;
use crate::call_context::CallContext;
use crate::calls::Service;
use crate::clock::iso8601;
use crate::sessions::NewSession;
use crate::state::ServerState;

/// How long the credentials are valid.
const CREDENTIALS_LIFETIME: Duration = Duration::from_secs(6 * 3600);

/// ARN of the role that the request's token is for; `None` if the token is missing or not known.
pub(crate) fn role(state: &ServerState, headers: &HeaderMap) -> Option<String> {
    let token = headers.get(AUTHORIZATION)?.to_str().ok()?;
    state.accounts().pod_identities.get(token).cloned()
}

/// Answers a request to the endpoint with credentials of a new session, or an error in JSON.
pub(crate) fn answer(state: &ServerState, parts: &Parts, context: &CallContext) -> Response<Body> {
    let fail = |code, message| answer::error(Service::PodIdentity, code, message, &context.request_id);
    if parts.method != Method::GET {
        return fail("InvalidRequestException", "credentials must be requested with GET");
    }
    let accounts = state.accounts();
    let arn = role(state, &parts.headers);
    let Some(role) = arn.and_then(|arn| accounts.roles.get(&arn)) else {
        return fail("InvalidTokenException", "the token is missing or unknown");
    };
    let now = state.clock.now();
    let new = NewSession {
        role,
        name: "eks-local-pod",
        expires: now + CREDENTIALS_LIFETIME,
        policy: None,
        transitive_tags: true,
    };
    let session = state.sessions.issue(new, now);
    let body = serde_json::json!({
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret.expose(),
        "Token": session.token,
        "AccountId": session.account,
        "Expiration": iso8601(session.expires),
    });
    answer::text_response(StatusCode::OK, "application/json", body.to_string())
}
