//! Builds the embedded AWS's accounts: those that match a function, or those of an accounts file.

use serde_json::json;
use serde_yaml::Value;
use tributary_local_aws::Accounts;

use super::function::Function;

/// ID of the account with the base identity, which stands for the platform's account.
const BASE_ACCOUNT: &str = "210987654321";
/// Credentials of the base identity. They are valid only in the embedded AWS.
const BASE_ACCESS_KEY_ID: &str = "AKIATRIBUTARYRUN0000";
const BASE_SECRET_ACCESS_KEY: &str = "embedded-aws-only";

/// Long-lived credentials of an IAM user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The access key ID.
    pub id: String,
    /// The secret access key.
    pub secret: String,
}

/// The accounts of the embedded AWS, and the sidecar's base identity in them.
#[derive(Debug)]
pub struct EmbeddedAccounts {
    /// The accounts with their roles, users, buckets and faults.
    pub accounts: Accounts,
    /// Credentials of the base identity; `None` if the accounts have no user.
    pub base_key: Option<AccessKey>,
}

impl EmbeddedAccounts {
    /// Accounts in which the function works unchanged: they contain its role, which requires the external ID, and
    /// its bucket, owned by `spec.s3.expectedBucketOwner` or else by the role's account.
    pub fn for_function(function: &Function, external_id: &str) -> Result<Self, String> {
        let spec = &function.config.spec;
        let partition = spec.role_arn.partition().name();
        let (role_account, role_arn) = (spec.role_arn.account(), spec.role_arn.as_str());
        let role = role_arn.split_once(":role/").map_or(role_arn, |(_, name)| name);
        let bucket = spec.s3.bucket.as_str();
        let owner = spec.s3.expected_bucket_owner.as_ref().map_or(role_account, |owner| owner.as_str());
        let mut bucket_entry = json!({"region": spec.s3.region});
        if owner != role_account {
            // Across accounts, the bucket's policy must allow the role too.
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
        for account in [BASE_ACCOUNT, role_account, owner] {
            accounts[account]["partition"] = json!(partition);
        }
        accounts[BASE_ACCOUNT]["users"]["tributary"] =
            json!({"accessKeyId": BASE_ACCESS_KEY_ID, "secretAccessKey": BASE_SECRET_ACCESS_KEY});
        accounts[role_account]["roles"][role] = json!({
            "principals": [format!("arn:{partition}:iam::{BASE_ACCOUNT}:user/tributary")],
            "externalId": external_id,
        });
        accounts[owner]["buckets"][bucket] = bucket_entry;
        let base_key = AccessKey { id: BASE_ACCESS_KEY_ID.to_owned(), secret: BASE_SECRET_ACCESS_KEY.to_owned() };
        Ok(Self {
            accounts: Accounts::parse(&file.to_string()).map_err(|error| error.to_string())?,
            base_key: Some(base_key),
        })
    }

    /// Parses an accounts file. The base identity is its user named `tributary`, else its first user, else none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let accounts = Accounts::parse(text).map_err(|error| error.to_string())?;
        let file: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        let users: Vec<_> = entries(&file["accounts"])
            .flat_map(|(_, account)| entries(&account["users"]))
            .filter_map(|(name, user)| {
                let key = |field: &str| user[field].as_str().map(str::to_owned);
                Some((name, AccessKey { id: key("accessKeyId")?, secret: key("secretAccessKey")? }))
            })
            .collect();
        let named = users.iter().find(|(name, _)| name.as_str() == Some("tributary"));
        let base_key = named.or(users.first()).map(|(_, keys)| keys.clone());
        Ok(Self { accounts, base_key })
    }
}

fn entries(mapping: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    mapping.as_mapping().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_identity_is_the_user_named_tributary_or_the_first_or_none() {
        let user = |name: &str, id: &str| format!("{name}: {{accessKeyId: {id}, secretAccessKey: s}}");
        let file = |users: &str| format!("accounts: {{\"123456789012\": {{users: {{{users}}}}}}}");
        let base_key_id = |users: &str| EmbeddedAccounts::parse(&file(users)).unwrap().base_key.map(|keys| keys.id);
        let (one, two) = (user("one", "AKIAONE0000000000000"), user("tributary", "AKIATWO0000000000000"));
        assert_eq!(base_key_id(&format!("{one}, {two}")).as_deref(), Some("AKIATWO0000000000000"));
        assert_eq!(base_key_id(&one).as_deref(), Some("AKIAONE0000000000000"));
        assert_eq!(base_key_id(""), None);
        assert!(EmbeddedAccounts::parse("accounts: []").is_err());
    }
}
