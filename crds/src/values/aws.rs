//! AWS names and identifiers: ARNs, region, key prefix, account, session name, endpoint, storage class.

use super::partition::{Partition, partition_names};
use super::shape::Rule::{self, Must, MustNot};
use super::shape::{Shape, text_value};
use super::wildcard;

text_value!(
    /// The ARN of an IAM role, in any partition; the role's name may have a path.
    RoleArn,
    Shape {
        field: "roleArn",
        example: "arn:aws:iam::123456789012:role/my-secure-role",
        length: (20, 640),
        rules: &[Must(
            concat!(
                "^arn:(",
                partition_names!(),
                "):iam::[0-9]{12}:role/([A-Za-z0-9+=,.@_-]+/)*[A-Za-z0-9+=,.@_-]{1,64}$"
            ),
            "is not the ARN of an IAM role",
        )],
    }
);

impl RoleArn {
    /// The ARN's partition.
    pub fn partition(&self) -> Partition {
        Partition::try_from(self.field(1).to_owned()).expect("the pattern of the ARN has the partitions' names")
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
            concat!(
                "^([*]|arn:(",
                partition_names!(),
                "):iam::([0-9]{12}|[*]):role/[A-Za-z0-9+=,.@_/*-]+)$"
            ),
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
            concat!("^arn:(", partition_names!(), "):kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$"),
            "is not the full ARN of a KMS key",
        )],
    }
);

text_value!(
    /// A region of AWS or, for an S3-compatible store, the name that the store gives its own. The rules of the fields
    /// that name an endpoint beside it decide which.
    Region,
    Shape {
        field: "region",
        example: "us-west-2",
        length: (1, 32),
        rules: &[Must("^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$", "is not a region (letters, digits and hyphens)")],
    }
);

/// A segment of dots would be another folder for clients that resolve paths.
const NO_DOT_SEGMENTS: Rule = MustNot("(^|/)[.]{1,2}/", "has a segment of dots only");

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
            NO_DOT_SEGMENTS,
        ],
    }
);

text_value!(
    /// The prefix of the keys of dead letters, after that of every object key: ends in `/`.
    DeadLetterPrefix,
    Shape {
        field: "deadLetter.prefix",
        example: "_dead-letters/",
        length: (2, 128),
        rules: &[
            Must(
                "^([A-Za-z0-9!_.()=@:,&;+-]+/)+$",
                "must end in /, of letters, digits and !_.()=@:,&;+- between slashes",
            ),
            NO_DOT_SEGMENTS,
            MustNot(
                "^(type=)?(track|identify|page|screen|group|alias|delete|other)/",
                "is the folder of an event type, so readers could take a dead letter for an event",
            ),
            MustNot("^([a-z]+=)?[0-9]", "begins like a time in the keys of events"),
        ],
    }
);

/// The prefix of dead letters if a function sets none. Hive, Spark and Arrow skip folders that begin with an underscore
/// when they read a whole prefix.
const DEFAULT_DEAD_LETTER_PREFIX: &str = "_dead-letters/";

impl Default for DeadLetterPrefix {
    fn default() -> Self {
        Self(DEFAULT_DEAD_LETTER_PREFIX.to_owned())
    }
}

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

    /// Whether AWS itself answers there, as at a VPC endpoint, rather than another store.
    pub fn is_aws(&self) -> bool {
        let (_, authority) = self.0.split_once("://").unwrap_or_default();
        let host = authority.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let is_in = |domain: &str| host.strip_suffix(domain).is_some_and(|name| name.ends_with('.'));
        Partition::all().flat_map(Partition::domains).any(is_in)
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
        rules: &[
            Must("^[A-Z][A-Z0-9_]*$", "is not a storage class"),
            MustNot(
                "^EXPRESS_ONEZONE$",
                "is the class of directory buckets, which are not supported; leave it out, with a general purpose \
                 bucket",
            ),
        ],
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::region_pattern;

    /// Helm checks roles and regions by patterns of its own file, which can't refer to the types.
    #[test]
    fn the_charts_schema_has_the_types_patterns() {
        let schema = include_str!("../../../charts/tributary/values.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let mut patterns = Vec::new();
        let mut values = vec![&schema];
        while let Some(value) = values.pop() {
            patterns.extend(value.get("pattern").and_then(|pattern| pattern.as_str()));
            values.extend(value.as_object().into_iter().flat_map(|fields| fields.values()));
            values.extend(value.as_array().into_iter().flatten());
        }
        let Some(Must(of_role, _)) = RoleArn::SHAPE.rules.first() else { panic!("no rule") };
        let Some(Must(of_grant, _)) = RoleArnPattern::SHAPE.rules.first() else { panic!("no rule") };
        let mut of_chart: Vec<_> = patterns.iter().copied().filter(|pattern| pattern.contains("arn:")).collect();
        of_chart.sort_unstable();
        of_chart.dedup();
        assert_eq!(of_chart, [*of_grant, *of_role]);
        let region = region_pattern().replacen('^', "^(|", 1).replacen('$', ")$", 1);
        assert!(patterns.contains(&region.as_str()), "not in the chart: {region}");
    }

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

    #[test]
    fn an_endpoint_is_aws_if_its_host_is_in_a_domain_of_aws() {
        for (endpoint, is_aws) in [
            ("https://s3.us-west-2.amazonaws.com", true),
            ("https://bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com", true),
            ("https://sts.cn-north-1.amazonaws.com.cn:443", true),
            ("https://sts.eusc-de-east-1.amazonaws.eu", true),
            ("https://s3.us-iso-east-1.c2s.ic.gov", true),
            ("https://s3.dualstack.us-west-2.API.aws", true),
            ("https://minio.storage.svc:9000", false),
            ("https://amazonaws.com.example.com", false),
            ("https://notamazonaws.com", false),
            ("http://[fd00::1]:8333", false),
            ("http://127.0.0.1:9000", false),
        ] {
            assert_eq!(endpoint.parse::<Endpoint>().unwrap().is_aws(), is_aws, "{endpoint}");
        }
    }
}
