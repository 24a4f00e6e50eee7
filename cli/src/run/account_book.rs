//! The embedded AWS's accounts: those that a function needs, or those of a file.

use serde_json::json;
use serde_yaml::Value;
use tributary_local_aws::Accounts;

use super::function::Function;

/// The account that stands for the people who run functions.
const OWN_ACCOUNT: &str = "210987654321";
/// Keys of no account at all: they open nothing but the embedded AWS.
const ACCESS_KEY: &str = "AKIATRIBUTARYRUN0000";
const SECRET_KEY: &str = "embedded-aws-only";

/// A principal's long-lived keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The access key.
    pub id: String,
    /// The secret key.
    pub secret: String,
}

/// Accounts, and the one that the sidecar is to be.
#[derive(Debug)]
pub struct AccountBook {
    /// Who and what there is.
    pub accounts: Accounts,
    /// The base identity; none leaves the sidecar without one.
    pub base: Option<Keys>,
}

impl AccountBook {
    /// The accounts that make the function work as it stands: its role, which demands the external
    /// ID, and its bucket, owned by whoever it says.
    pub fn matching(function: &Function, external_id: &str) -> Result<Self, String> {
        let spec = &function.config.spec;
        let partition = spec.role_arn.partition();
        let (role_account, role_arn) = (spec.role_arn.account(), spec.role_arn.as_str());
        let role = role_arn.split_once(":role/").map_or(role_arn, |(_, name)| name);
        let bucket = spec.s3.bucket.as_str();
        let owner = spec.s3.expected_bucket_owner.as_ref().map_or(role_account, |owner| owner.as_str());
        let mut bucket_entry = json!({"region": spec.s3.region});
        if owner != role_account {
            // Across accounts, the bucket must let the role in as well.
            bucket_entry["policy"] = json!({
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": {"AWS": role_arn},
                    "Action": "s3:*",
                    "Resource": format!("arn:{partition}:s3:::{bucket}/*"),
                }],
            });
        }
        let mut file = json!({"accounts": {}});
        let accounts = &mut file["accounts"];
        for account in [OWN_ACCOUNT, role_account, owner] {
            accounts[account]["partition"] = json!(partition);
        }
        accounts[OWN_ACCOUNT]["users"]["tributary"] = json!({"accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY});
        accounts[role_account]["roles"][role] = json!({
            "principals": [format!("arn:{partition}:iam::{OWN_ACCOUNT}:user/tributary")],
            "externalId": external_id,
        });
        accounts[owner]["buckets"][bucket] = bucket_entry;
        let base = Keys { id: ACCESS_KEY.to_owned(), secret: SECRET_KEY.to_owned() };
        Ok(Self { accounts: Accounts::parse(&file.to_string()).map_err(|error| error.to_string())?, base: Some(base) })
    }

    /// The accounts of a file. The sidecar is its user named `tributary`, else its first user, else
    /// nobody.
    pub fn parse(text: &str) -> Result<Self, String> {
        let accounts = Accounts::parse(text).map_err(|error| error.to_string())?;
        let file: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        let users: Vec<_> = values(&file["accounts"])
            .flat_map(|(_, account)| values(&account["users"]))
            .filter_map(|(name, user)| {
                let key = |field: &str| user[field].as_str().map(str::to_owned);
                Some((name, Keys { id: key("accessKeyId")?, secret: key("secretAccessKey")? }))
            })
            .collect();
        let named = users.iter().find(|(name, _)| name.as_str() == Some("tributary"));
        let base = named.or(users.first()).map(|(_, keys)| keys.clone());
        Ok(Self { accounts, base })
    }
}

fn values(mapping: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    mapping.as_mapping().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sidecar_is_the_user_named_tributary_or_the_first_or_nobody() {
        let user = |name: &str, id: &str| format!("{name}: {{accessKeyId: {id}, secretAccessKey: s}}");
        let file = |users: &str| format!("accounts: {{\"123456789012\": {{users: {{{users}}}}}}}");
        let base = |users: &str| AccountBook::parse(&file(users)).unwrap().base.map(|keys| keys.id);
        let (one, two) = (user("one", "AKIAONE0000000000000"), user("tributary", "AKIATWO0000000000000"));
        assert_eq!(base(&format!("{one}, {two}")).as_deref(), Some("AKIATWO0000000000000"));
        assert_eq!(base(&one).as_deref(), Some("AKIAONE0000000000000"));
        assert_eq!(base(""), None);
        assert!(AccountBook::parse("accounts: []").is_err());
    }
}
