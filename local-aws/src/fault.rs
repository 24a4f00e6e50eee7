//! Fault rules of the accounts file, which make calls fail on demand: errors, lost answers, broken answers, latency.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::calls::Service;
use crate::error_codes::status_of;
use crate::target::{CallTarget, OPERATIONS};

/// A rule: which calls it applies to, what it does to them, and how often. An absent field matches
/// every call.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The service called.
    pub service: Option<Service>,
    /// The operation called, such as `PutObject`.
    #[serde(default, deserialize_with = "operation")]
    pub operation: Option<String>,
    /// The requested bucket.
    pub bucket: Option<String>,
    /// ARN of the requested role, in AssumeRole, AssumeRoleWithWebIdentity and GetCredentials.
    pub role: Option<String>,
    /// Prefix of the object's key as in the request's path, percent-encoded.
    pub key_prefix: Option<String>,
    /// Whether the call has `If-None-Match`.
    pub conditional: Option<bool>,
    /// What happens to the call.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub action: Action,
    /// The share of matching calls to which it applies, 0 to 1; absent: all.
    #[serde(default, deserialize_with = "probability")]
    pub probability: Option<f64>,
    /// Maximum number of calls to which it applies; absent: no limit.
    pub count: Option<u64>,
}

/// What a fault does to a call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// The call is not executed; the answer is the error of this code, such as `SlowDown`, with AWS's status.
    #[serde(deserialize_with = "code")]
    Error(String),
    /// The call is not executed, and the connection is closed without an answer.
    Refuse,
    /// The call is executed, so PutObject has stored its object, but the connection is closed
    /// without an answer.
    StoreThenDrop,
    /// The call is executed; the connection is closed in the middle of the answer's body.
    CutBody,
    /// The call is executed; the answer is valid HTTP with only the first half of its body.
    TruncateBody,
    /// The call is executed; the answer's body is neither XML nor JSON.
    InvalidBody,
    /// The call is not executed; this is the whole answer, as from a proxy or another server.
    Respond(CannedResponse),
    /// The call is not executed, and no answer comes until the client closes the connection.
    Hang,
    /// The call takes this many milliseconds longer, by the server's clock; later rules apply too.
    LatencyMs(u64),
}

/// An answer to send as it is, without the headers that AWS adds to its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CannedResponse {
    /// The HTTP status code.
    pub status: u16,
    /// The headers, by name; invalid ones are left out.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body, as text.
    #[serde(default)]
    pub body: String,
}

impl Fault {
    /// A fault that applies to every call; its fields restrict it.
    #[must_use]
    pub fn new(action: Action) -> Fault {
        Fault {
            service: None,
            operation: None,
            bucket: None,
            role: None,
            key_prefix: None,
            conditional: None,
            action,
            probability: None,
            count: None,
        }
    }

    /// Whether the rule matches this call, regardless of probability and count.
    pub(crate) fn matches(&self, target: &CallTarget) -> bool {
        fn is_match(wanted: Option<&String>, actual: Option<&str>) -> bool {
            wanted.is_none_or(|wanted| Some(wanted.as_str()) == actual)
        }
        self.service.is_none_or(|service| service == target.service)
            && is_match(self.operation.as_ref(), Some(target.operation))
            && is_match(self.bucket.as_ref(), target.bucket.as_deref())
            && is_match(self.role.as_ref(), target.role.as_deref())
            && self.key_prefix.as_ref().is_none_or(|prefix| target.key.starts_with(prefix.as_str()))
            && self.conditional.is_none_or(|conditional| conditional == target.conditional)
    }
}

fn operation<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    if OPERATIONS.contains(&name.as_str()) {
        Ok(Some(name))
    } else {
        Err(D::Error::custom(format!("operation {name:?} is not one of {}", OPERATIONS.join(", "))))
    }
}

fn probability<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&share) {
        Ok(Some(share))
    } else {
        Err(D::Error::custom(format!("probability {share} is not from 0 to 1")))
    }
}

fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let code = String::deserialize(deserializer)?;
    let known = [Service::S3, Service::Sts].map(|service| status_of(service, &code));
    if known.iter().any(Option::is_some) {
        Ok(code)
    } else {
        Err(D::Error::custom(format!("error code {code:?} is not one of S3's or STS's")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_parsed_from_yaml() {
        let text = "action: {respond: {status: 200, headers: {content-type: text/html}, body: <html>}}";
        let fault: Fault = serde_yaml::from_str(text).unwrap();
        let headers = BTreeMap::from([("content-type".to_owned(), "text/html".to_owned())]);
        assert_eq!(fault.action, Action::Respond(CannedResponse { status: 200, headers, body: "<html>".to_owned() }));
        assert_eq!(serde_yaml::from_str::<Fault>("action: hang").unwrap().action, Action::Hang);
    }
}
