//! Builds the accounts of the in-process AWS: one with a role and a bucket, one with the base identity that the role
//! trusts, and one of a stranger. Tests usually change one detail.

use serde_json::{Value, json};
use tributary_local_aws::Accounts;

/// The account with the role and the bucket.
pub const ACCOUNT: &str = "123456789012";
/// The account of the sidecar's base identity.
pub const BASE_ACCOUNT: &str = "999999999999";
/// An unrelated account.
pub const OTHER_ACCOUNT: &str = "555555555555";
/// The ARN of the role that functions assume.
pub const ROLE: &str = "arn:aws:iam::123456789012:role/team/writer";
/// The ARN of the principal that the role trusts: the base identity.
pub const PRINCIPAL: &str = "arn:aws:iam::999999999999:user/base";
/// The external ID that the role requires.
pub const EXTERNAL_ID: &str = "wX8/orders-7f3KpQ2mZc";
/// The base identity's access key ID.
pub const ACCESS_KEY_ID: &str = "AKIATRIBUTARYTESTS01";
/// The base identity's secret access key.
pub const SECRET_ACCESS_KEY: &str = "c2VjcmV0LW9mLXRoZS1iYXNlLWlkZW50aXR5LXRlc3Q";
/// The name of the bucket.
pub const BUCKET: &str = "orders-lake";
/// The region of the bucket.
pub const REGION: &str = "us-west-2";

/// A builder for an accounts file of local-aws.
#[derive(Clone, Debug)]
pub struct World(Value);

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Accounts with which every call of a sidecar succeeds.
    pub fn new() -> Self {
        Self(json!({"accounts": {
            ACCOUNT: {
                "roles": {"team/writer": {"principals": [PRINCIPAL], "externalId": EXTERNAL_ID}},
                "buckets": {BUCKET: {"region": REGION}},
            },
            BASE_ACCOUNT: {
                "users": {"base": {"accessKeyId": ACCESS_KEY_ID, "secretAccessKey": SECRET_ACCESS_KEY}},
            },
            OTHER_ACCOUNT: {"buckets": {}},
        }}))
    }

    /// Sets a field of the role; null removes it.
    #[must_use]
    pub fn role(mut self, field: &str, value: Value) -> Self {
        set(&mut self.0["accounts"][ACCOUNT]["roles"]["team/writer"], field, value);
        self
    }

    /// Makes the role require another external ID.
    #[must_use]
    pub fn external_id(self, external_id: &str) -> Self {
        self.role("externalId", json!(external_id))
    }

    /// Renames the role, so that the function's `roleArn` names none.
    #[must_use]
    pub fn role_named(mut self, name: &str) -> Self {
        let roles = &mut self.0["accounts"][ACCOUNT]["roles"];
        let role = roles["team/writer"].take();
        *roles = json!({name: role});
        self
    }

    /// Sets a field of the bucket; null removes it.
    #[must_use]
    pub fn bucket(mut self, field: &str, value: Value) -> Self {
        set(&mut self.0["accounts"][ACCOUNT]["buckets"][BUCKET], field, value);
        self
    }

    /// Removes the bucket.
    #[must_use]
    pub fn without_bucket(mut self) -> Self {
        self.0["accounts"][ACCOUNT]["buckets"] = json!({});
        self
    }

    /// Moves the bucket to another account, with a bucket policy that allows the role.
    #[must_use]
    pub fn bucket_of_another_account(mut self) -> Self {
        self.0["accounts"][ACCOUNT]["buckets"] = json!({});
        let statement = json!({
            "Effect": "Allow",
            "Principal": {"AWS": ROLE},
            "Action": "s3:*",
            "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
        });
        let policy = policy(&statement);
        self.0["accounts"][OTHER_ACCOUNT]["buckets"] = json!({BUCKET: {"region": REGION, "policy": policy}});
        self
    }

    /// Removes the base identity's user, so that its access key is unknown.
    #[must_use]
    pub fn without_base_identity(mut self) -> Self {
        self.0["accounts"][BASE_ACCOUNT]["users"] = json!({});
        self
    }

    /// The parsed accounts.
    ///
    /// # Panics
    /// If the accounts file is invalid.
    pub fn accounts(&self) -> Accounts {
        Accounts::parse(&self.0.to_string()).expect("an accounts file")
    }
}

/// A policy document with one statement.
pub fn policy(statement: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn set(entry: &mut Value, field: &str, value: Value) {
    let entry = entry.as_object_mut().expect("an entry of the accounts file");
    if value.is_null() {
        entry.remove(field);
    } else {
        entry.insert(field.to_owned(), value);
    }
}
