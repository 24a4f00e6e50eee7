//! Who and what there is in AWS: an account with a role and a bucket, another with the principal
//! that the role trusts. Tests change one thing of it at a time.

use serde_json::{Value, json};
use tributary_local_aws::Accounts;

/// The account of the role and the bucket.
pub const ACCOUNT: &str = "123456789012";
/// The account of the sidecar's base identity.
pub const BASE_ACCOUNT: &str = "999999999999";
/// Somebody else's.
pub const OTHER_ACCOUNT: &str = "555555555555";
/// The role that functions assume.
pub const ROLE: &str = "arn:aws:iam::123456789012:role/team/writer";
/// The principal that the role trusts.
pub const PRINCIPAL: &str = "arn:aws:iam::999999999999:user/base";
/// The external ID that the role demands.
pub const EXTERNAL_ID: &str = "wX8/orders-7f3KpQ2mZc";
/// The base identity's access key.
pub const ACCESS_KEY_ID: &str = "AKIATRIBUTARYTESTS01";
/// And its secret.
pub const SECRET_ACCESS_KEY: &str = "c2VjcmV0LW9mLXRoZS1iYXNlLWlkZW50aXR5LXRlc3Q";
/// The bucket.
pub const BUCKET: &str = "orders-lake";
/// Its region.
pub const REGION: &str = "us-west-2";

/// An accounts file in the making.
#[derive(Clone, Debug)]
pub struct World(Value);

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// One in which everything is right.
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

    /// Sets a field of the role; null takes it out.
    #[must_use]
    pub fn role(mut self, field: &str, value: Value) -> Self {
        set(&mut self.0["accounts"][ACCOUNT]["roles"]["team/writer"], field, value);
        self
    }

    /// The role demands another external ID.
    #[must_use]
    pub fn external_id(self, external_id: &str) -> Self {
        self.role("externalId", json!(external_id))
    }

    /// The role has another name than the function's `roleArn` says.
    #[must_use]
    pub fn role_named(mut self, name: &str) -> Self {
        let roles = &mut self.0["accounts"][ACCOUNT]["roles"];
        let role = roles["team/writer"].take();
        *roles = json!({name: role});
        self
    }

    /// Sets a field of the bucket; null takes it out.
    #[must_use]
    pub fn bucket(mut self, field: &str, value: Value) -> Self {
        set(&mut self.0["accounts"][ACCOUNT]["buckets"][BUCKET], field, value);
        self
    }

    /// There is no bucket.
    #[must_use]
    pub fn without_bucket(mut self) -> Self {
        self.0["accounts"][ACCOUNT]["buckets"] = json!({});
        self
    }

    /// The bucket is another account's, which lets the role in.
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

    /// Nobody knows the base identity's access key.
    #[must_use]
    pub fn without_base_identity(mut self) -> Self {
        self.0["accounts"][BASE_ACCOUNT]["users"] = json!({});
        self
    }

    /// As the double takes it.
    ///
    /// # Panics
    /// If the file is wrong.
    pub fn accounts(&self) -> Accounts {
        Accounts::parse(&self.0.to_string()).expect("an accounts file")
    }
}

/// A policy of one statement.
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
