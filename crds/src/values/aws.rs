//! AWS names and identifiers: ARNs, bucket, region, key prefix, account, session name, endpoint, storage class.

use super::shape::Rule::{Must, MustNot};
use super::shape::{Shape, text_value};
use super::wildcard;

text_value!(
    /// The ARN of an IAM role, in one of the partitions aws, aws-cn and aws-us-gov; the role's name may have a path.
    RoleArn,
    Shape {
        field: "roleArn",
        example: "arn:aws:iam::123456789012:role/my-secure-role",
        length: (20, 640),
        rules: &[Must(
            "^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:role/([A-Za-z0-9+=,.@_-]+/)*[A-Za-z0-9+=,.@_-]{1,64}$",
            "is not the ARN of an IAM role",
        )],
    }
);

impl RoleArn {
    /// The ARN's partition: `aws`, `aws-cn` or `aws-us-gov`.
    pub fn partition(&self) -> &str {
        self.field(1)
    }

    /// The twelve digits of the account that owns the role.
    pub fn account(&self) -> &str {
        self.field(4)
    }

    fn field(&self, index: usize) -> &str {
        self.as_str().split(':').nth(index).unwrap_or_default()
    }
}

text_value!(
    /// A pattern of role ARNs in which `*` matches any text: the roles that a platform grants to a namespace.
    RoleArnPattern,
    Shape {
        field: "roleArns",
        example: "arn:aws:iam::123456789012:role/team-a-*",
        length: (1, 640),
        rules: &[Must(
            "^([*]|arn:aws(-cn|-us-gov)?:iam::([0-9]{12}|[*]):role/[A-Za-z0-9+=,.@_/*-]+)$",
            "is not the ARN of an IAM role, with * for any text",
        )],
    }
);

impl RoleArnPattern {
    /// Whether the pattern matches `role`.
    pub fn matches(&self, role: &RoleArn) -> bool {
        wildcard::matches(self.as_str(), role.as_str())
    }
}

text_value!(
    /// The ARN of a KMS key, not of an alias.
    KmsKeyArn,
    Shape {
        field: "keyId",
        example: "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        length: (20, 256),
        rules: &[Must(
            "^arn:aws(-cn|-us-gov)?:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$",
            "is not the full ARN of a KMS key",
        )],
    }
);

text_value!(
    /// The name of an S3 bucket.
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    Bucket,
    Shape {
        field: "bucket",
        example: "my-bucket",
        length: (3, 63),
        rules: &[
            Must(
                "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
                "is not a bucket name (lower-case letters, digits, dots and hyphens)",
            ),
            MustNot("^[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+$", "is an IP address, which is not a valid bucket name"),
        ],
    }
);

text_value!(
    /// An AWS region; `auto` for S3-compatible stores that have no regions.
    Region,
    Shape {
        field: "region",
        example: "us-west-2",
        length: (4, 32),
        rules: &[Must("^(auto|[a-z]{2,3}(-[a-z]+)+-[0-9]{1,2})$", "is not an AWS region")],
    }
);

text_value!(
    /// The prefix of every object key: empty, or ending in `/`.
    Prefix,
    Shape {
        field: "prefix",
        example: "events/orders/",
        length: (0, 256),
        rules: &[
            Must(
                "^([A-Za-z0-9!_.()=@:,&;+-]+/)*$",
                "must be empty or end in /, of letters, digits and !_.()=@:,&;+- between slashes",
            ),
            MustNot("(^|/)[.]{1,2}/", "has a segment of dots only"),
        ],
    }
);

text_value!(
    /// An AWS account ID: twelve digits, which YAML needs in quotes.
    AccountId,
    Shape {
        field: "expectedBucketOwner",
        example: "\"123456789012\"",
        length: (12, 12),
        rules: &[Must("^[0-9]{12}$", "is not an AWS account id of twelve digits")],
    }
);

text_value!(
    /// A role session name, which CloudTrail shows in the role's account.
    // https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    SessionName,
    Shape {
        field: "sessionName",
        example: "segment-function",
        length: (2, 64),
        rules: &[Must(
            "^[A-Za-z0-9_+=,.@-]+$",
            "is not a session name (letters, digits and _+=,.@-)",
        )],
    }
);

impl SessionName {
    /// The default: `<namespace>.<name>`, cut to the 64 characters that STS allows.
    pub fn for_function(namespace: &str, name: &str) -> Self {
        // Both are DNS labels, whose characters are all allowed here.
        Self(format!("{namespace}.{name}").chars().take(64).collect())
    }
}

text_value!(
    /// The scheme, host and port of an S3-compatible store or its STS, without a path.
    Endpoint,
    Shape {
        field: "endpoint",
        example: "https://minio.storage.svc:9000",
        length: (8, 300),
        rules: &[Must(
            r"^https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?$",
            "is not scheme, host and port, with no path",
        )],
    }
);

impl Endpoint {
    /// The port; if it has none, that of its scheme: 80 or 443.
    pub fn port(&self) -> u16 {
        let (scheme, authority) = self.0.split_once("://").unwrap_or_default();
        // An IPv6 address is in brackets: its colons don't begin the port.
        let behind = authority.rsplit_once(']').map_or(authority, |(_, behind)| behind);
        let named = behind.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        named.unwrap_or(if scheme == "http" { 80 } else { 443 })
    }
}

text_value!(
    /// The name of an S3 storage class. Only S3 knows whether it exists.
    // https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    StorageClass,
    Shape {
        field: "storageClass",
        example: "STANDARD_IA",
        length: (2, 32),
        rules: &[Must("^[A-Z][A-Z0-9_]*$", "is not a storage class")],
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_the_port_of_its_scheme_unless_it_names_one() {
        for (endpoint, port) in [
            ("https://minio.storage.svc:9000", 9000),
            ("https://store.example.com", 443),
            ("http://store.example.com", 80),
            ("http://[fd00::1]", 80),
            ("http://[fd00::1]:8333", 8333),
        ] {
            assert_eq!(endpoint.parse::<Endpoint>().unwrap().port(), port, "{endpoint}");
        }
    }
}
