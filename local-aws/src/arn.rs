//! The ARNs of roles, users, sessions, buckets, objects and KMS keys.

use tributary_crds::values::Partition;

/// The ARN of a role; `name` may include a path: `team/writer`.
pub(crate) fn role(partition: Partition, account: &str, name: &str) -> String {
    format!("arn:{}:iam::{account}:role/{name}", partition.name())
}

pub(crate) fn user(partition: Partition, account: &str, name: &str) -> String {
    format!("arn:{}:iam::{account}:user/{name}", partition.name())
}

/// The ARN of a session, which does not include the path of its role.
pub(crate) fn assumed_role(partition: Partition, account: &str, role: &str, session: &str) -> String {
    let name = role.rsplit('/').next().unwrap_or(role);
    format!("arn:{}:sts::{account}:assumed-role/{name}/{session}", partition.name())
}

pub(crate) fn bucket(partition: Partition, bucket: &str) -> String {
    format!("arn:{}:s3:::{bucket}", partition.name())
}

pub(crate) fn object(partition: Partition, bucket: &str, key: &str) -> String {
    format!("arn:{}:s3:::{bucket}/{key}", partition.name())
}

/// The ARN of a KMS key; `key` is an ARN already, or the ID of a key of `account` in `region`.
pub(crate) fn kms_key(partition: Partition, region: &str, account: &str, key: &str) -> String {
    if key.starts_with("arn:") {
        key.to_owned()
    } else {
        format!("arn:{}:kms:{region}:{account}:key/{key}", partition.name())
    }
}
