//! Principals of trust and bucket policies: parses them, and matches callers with them.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::flexible::OneOrMany;

/// The names by which a policy can refer to a caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallerNames<'a> {
    /// ID of its account, 12 digits.
    pub(crate) account: &'a str,
    /// Its own ARN: a user's, or an assumed role's with the session name.
    pub(crate) arn: &'a str,
    /// ARN of a session's role; `None` for a user.
    pub(crate) role_arn: Option<&'a str>,
}

/// How a policy's principals match a caller; the stronger match is the greater value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PrincipalMatch {
    /// By its account: the account's own policies must allow the action too.
    Account,
    /// By its own ARN, its role's ARN, or `*`.
    Direct,
}

/// The `Principal` element. `Service`, `Federated` and `CanonicalUser` are parsed but match no
/// caller: web identities and pod identities are trusted through the tokens of the accounts file.
#[derive(Clone, Debug)]
pub(super) enum Principals {
    Any,
    Aws(Vec<String>),
}

impl Principals {
    pub(super) fn match_caller(&self, caller: CallerNames<'_>) -> Option<PrincipalMatch> {
        let Principals::Aws(all) = self else {
            return Some(PrincipalMatch::Direct);
        };
        all.iter().filter_map(|one| match_principal(one, caller)).max()
    }
}

fn match_principal(principal: &str, caller: CallerNames<'_>) -> Option<PrincipalMatch> {
    if principal == "*" || principal == caller.arn || Some(principal) == caller.role_arn {
        return Some(PrincipalMatch::Direct);
    }
    let account = principal.strip_suffix(":root").and_then(|root| root.rsplit(':').next()).unwrap_or(principal);
    (account == caller.account).then_some(PrincipalMatch::Account)
}

/// Checks that `principal` has a form that IAM accepts: an ARN without wildcards, an account ID, or `*`.
pub(crate) fn check(principal: &str) -> Result<(), String> {
    let account = principal.len() == 12 && principal.bytes().all(|b| b.is_ascii_digit());
    let arn = principal.starts_with("arn:") && !principal.contains(['*', '?']);
    if principal == "*" || account || arn {
        Ok(())
    } else {
        Err(format!("principal {principal:?} is neither a full ARN (without wildcards) nor an account nor \"*\""))
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalTypes {
    #[serde(rename = "AWS")]
    aws: Option<OneOrMany<String>>,
    #[serde(rename = "Service")]
    _service: Option<OneOrMany<String>>,
    #[serde(rename = "Federated")]
    _federated: Option<OneOrMany<String>>,
    #[serde(rename = "CanonicalUser")]
    _canonical_user: Option<OneOrMany<String>>,
}

impl<'de> Deserialize<'de> for Principals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PrincipalsVisitor)
    }
}

struct PrincipalsVisitor;

impl<'de> Visitor<'de> for PrincipalsVisitor {
    type Value = Principals;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"*\" or a map with AWS, Service, Federated or CanonicalUser")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Principals, E> {
        if value == "*" {
            Ok(Principals::Any)
        } else {
            Err(E::custom(format!("principal {value:?} must be under AWS; only \"*\" can be used without a type")))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Principals, A::Error> {
        let types = PrincipalTypes::deserialize(MapAccessDeserializer::new(map))?;
        let aws = types.aws.map_or_else(Vec::new, |list| list.0);
        for principal in &aws {
            check(principal).map_err(A::Error::custom)?;
        }
        Ok(Principals::Aws(aws))
    }
}
