//! Partitions, and the ARNs of roles, users, sessions, buckets, objects and KMS keys.

/// An AWS partition: `aws`, `aws-cn` or `aws-us-gov`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub(crate) enum Partition {
    #[default]
    #[serde(rename = "aws")]
    Aws,
    #[serde(rename = "aws-cn")]
    China,
    #[serde(rename = "aws-us-gov")]
    GovCloud,
}

impl Partition {
    /// The partition of a region.
    pub(crate) fn of_region(region: &str) -> Partition {
        if region.starts_with("cn-") {
            Partition::China
        } else if region.starts_with("us-gov-") {
            Partition::GovCloud
        } else {
            Partition::Aws
        }
    }

    /// The partition's name in ARNs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Partition::Aws => "aws",
            Partition::China => "aws-cn",
            Partition::GovCloud => "aws-us-gov",
        }
    }

    /// The domain of the partition's endpoints.
    pub(crate) fn dns_suffix(self) -> &'static str {
        match self {
            Partition::China => "amazonaws.com.cn",
            Partition::Aws | Partition::GovCloud => "amazonaws.com",
        }
    }
}

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
