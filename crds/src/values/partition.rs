//! AWS's partitions, in one table: their names in ARNs, the shapes of their regions, and the domains of their endpoints.
//!
//! Everything that depends on a partition reads this table: the patterns of ARNs, the CEL rules on regions, the policies,
//! the choice of an STS endpoint, and the embedded AWS.

use std::fmt;
use std::sync::LazyLock;

use regex_lite::Regex;
use serde::Deserialize;

/// The names of all partitions, as the alternatives of a pattern. It is a literal, since the patterns of values are
/// constants; a test compares it with the table.
macro_rules! partition_names {
    () => {
        "aws|aws-cn|aws-eusc|aws-iso|aws-iso-b|aws-iso-e|aws-iso-f|aws-us-gov"
    };
}
pub(super) use partition_names;

/// The end of every region's name: a direction and a number. AWS has named all regions of all partitions so, and a
/// misspelt direction, such as `us-wset-2`, is the typo that would look like an S3 that can't be reached.
const DIRECTION_AND_NUMBER: &str = "(central|north|south|(north|south)?(east|west))-[1-9][0-9]?";

/// A group of AWS regions with its own accounts and its own IAM: nothing in one partition can be used from another.
/// <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub enum Partition {
    /// All public regions outside China, in no other partition.
    #[default]
    Aws,
    /// China.
    China,
    /// The European Sovereign Cloud.
    EuropeanSovereignCloud,
    /// AWS Top Secret of the US.
    Iso,
    /// AWS Secret of the US.
    IsoB,
    /// AWS's isolated partition for Europe.
    IsoE,
    /// AWS's second isolated partition of the US.
    IsoF,
    /// AWS GovCloud (US).
    GovCloud,
}

/// A row of the table.
struct Row {
    partition: Partition,
    /// The name in ARNs.
    name: &'static str,
    /// The text with which the names of its regions begin, as a pattern without anchors.
    region_prefix: &'static str,
    /// Text with which only names of its regions begin; empty for the partition of all others.
    region_marker: &'static str,
    /// The region whose STS is used if nothing names one.
    home_region: &'static str,
    /// The domain of its endpoints.
    dns_suffix: &'static str,
    /// The domain of its endpoints with IPv4 and IPv6.
    dual_stack_suffix: &'static str,
}

/// The table of the AWS SDKs (`partitions.json`), which the SDK for Rust contains too.
const TABLE: [Row; 8] = [
    Row {
        partition: Partition::China,
        name: "aws-cn",
        region_prefix: "cn-",
        region_marker: "cn-",
        home_region: "cn-northwest-1",
        dns_suffix: "amazonaws.com.cn",
        dual_stack_suffix: "api.amazonwebservices.com.cn",
    },
    Row {
        partition: Partition::EuropeanSovereignCloud,
        name: "aws-eusc",
        region_prefix: "eusc-[a-z]{2}-",
        region_marker: "eusc-",
        home_region: "eusc-de-east-1",
        dns_suffix: "amazonaws.eu",
        dual_stack_suffix: "api.amazonwebservices.eu",
    },
    Row {
        partition: Partition::Iso,
        name: "aws-iso",
        region_prefix: "us-iso-",
        region_marker: "us-iso-",
        home_region: "us-iso-east-1",
        dns_suffix: "c2s.ic.gov",
        dual_stack_suffix: "api.aws.ic.gov",
    },
    Row {
        partition: Partition::IsoB,
        name: "aws-iso-b",
        region_prefix: "us-isob-",
        region_marker: "us-isob-",
        home_region: "us-isob-east-1",
        dns_suffix: "sc2s.sgov.gov",
        dual_stack_suffix: "api.aws.scloud",
    },
    Row {
        partition: Partition::IsoE,
        name: "aws-iso-e",
        region_prefix: "eu-isoe-",
        region_marker: "eu-isoe-",
        home_region: "eu-isoe-west-1",
        dns_suffix: "cloud.adc-e.uk",
        dual_stack_suffix: "api.cloud-aws.adc-e.uk",
    },
    Row {
        partition: Partition::IsoF,
        name: "aws-iso-f",
        region_prefix: "us-isof-",
        region_marker: "us-isof-",
        home_region: "us-isof-south-1",
        dns_suffix: "csp.hci.ic.gov",
        dual_stack_suffix: "api.aws.hci.ic.gov",
    },
    Row {
        partition: Partition::GovCloud,
        name: "aws-us-gov",
        region_prefix: "us-gov-",
        region_marker: "us-gov-",
        home_region: "us-gov-west-1",
        dns_suffix: "amazonaws.com",
        dual_stack_suffix: "api.aws",
    },
    // The last row: its regions have no marker. AWS adds regions with new prefixes (in 2025, mx-central-1), so the
    // prefixes are not listed.
    Row {
        partition: Partition::Aws,
        name: "aws",
        region_prefix: "[a-z]{2}-",
        region_marker: "",
        home_region: "us-east-1",
        dns_suffix: "amazonaws.com",
        dual_stack_suffix: "api.aws",
    },
];

/// The pattern of an AWS region's name.
static REGION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&region_pattern()).expect("a constant pattern, compiled by this file's tests"));

impl Partition {
    /// All partitions.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.partition)
    }

    /// The partition of an AWS region; `None` if the text does not have the form of one.
    pub fn of_region(region: &str) -> Option<Self> {
        let row = || TABLE.iter().find(|row| region.starts_with(row.region_marker));
        REGION.is_match(region).then(row).flatten().map(|row| row.partition)
    }

    /// The name in ARNs, such as `aws-cn`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The region whose STS is used if nothing names one: that of the partition's global services.
    pub fn home_region(self) -> &'static str {
        self.row().home_region
    }

    /// The domain of the partition's endpoints, such as `amazonaws.com.cn`.
    pub fn dns_suffix(self) -> &'static str {
        self.row().dns_suffix
    }

    /// The domain of the partition's endpoints that also have IPv6 addresses.
    pub fn dual_stack_suffix(self) -> &'static str {
        self.row().dual_stack_suffix
    }

    /// The domains of all the partition's endpoints.
    pub(super) fn domains(self) -> [&'static str; 2] {
        [self.row().dns_suffix, self.row().dual_stack_suffix]
    }

    fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.partition == self).expect("each partition has a row, as a test shows")
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for Partition {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let row = TABLE.iter().find(|row| row.name == name);
        row.map(|row| row.partition).ok_or_else(|| format!("{name:?} is not an AWS partition: {}", partition_names!()))
    }
}

/// The pattern of an AWS region's name, for CEL and `regex-lite`.
pub fn region_pattern() -> String {
    let prefixes: Vec<_> = TABLE.iter().map(|row| row.region_prefix).collect();
    format!("^({}){DIRECTION_AND_NUMBER}$", prefixes.join("|"))
}

/// The CEL expression for the name of the partition of the region that the expression `region` gives.
pub(crate) fn cel_partition_of(region: &str) -> String {
    TABLE.iter().rev().fold(String::new(), |others, row| match row.region_marker {
        "" => format!("'{}'", row.name),
        marker => format!("{region}.startsWith('{marker}') ? '{}' : {others}", row.name),
    })
}

/// The CEL expression for the home region of the partition that the expression `partition` names.
pub(crate) fn cel_home_region_of(partition: &str) -> String {
    let entries: Vec<_> = TABLE.iter().map(|row| format!("'{}': '{}'", row.name, row.home_region)).collect();
    format!("{{{}}}[{partition}]", entries.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The regions of 2026 in the SDKs' table, and announced ones.
    const REGIONS: [(Partition, &[&str]); 8] = [
        (
            Partition::Aws,
            &[
                "af-south-1",
                "ap-east-1",
                "ap-east-2",
                "ap-northeast-1",
                "ap-northeast-3",
                "ap-south-1",
                "ap-south-2",
                "ap-southeast-1",
                "ap-southeast-7",
                "ca-central-1",
                "ca-west-1",
                "eu-central-2",
                "eu-north-1",
                "eu-south-1",
                "eu-west-3",
                "il-central-1",
                "me-central-1",
                "me-south-1",
                "mx-central-1",
                "sa-east-1",
                "sa-west-1",
                "us-east-1",
                "us-west-2",
                "ap-southeast-12",
                "nz-northwest-1",
            ],
        ),
        (Partition::China, &["cn-north-1", "cn-northwest-1"]),
        (Partition::EuropeanSovereignCloud, &["eusc-de-east-1", "eusc-fr-west-2"]),
        (Partition::Iso, &["us-iso-east-1", "us-iso-west-1"]),
        (Partition::IsoB, &["us-isob-east-1", "us-isob-west-1"]),
        (Partition::IsoE, &["eu-isoe-west-1"]),
        (Partition::IsoF, &["us-isof-east-1", "us-isof-south-1"]),
        (Partition::GovCloud, &["us-gov-east-1", "us-gov-west-1"]),
    ];

    #[test]
    fn every_region_of_aws_is_in_its_partition() {
        for (partition, regions) in REGIONS {
            for region in regions.iter().copied().chain([partition.home_region()]) {
                assert_eq!(Partition::of_region(region), Some(partition), "{region}");
            }
        }
    }

    #[test]
    fn typos_and_the_regions_of_other_stores_are_not_aws_regions() {
        for region in [
            "us-wset-2",
            "us-west2",
            "us-west",
            "us_west_2",
            "uswest-2",
            "u-west-2",
            "us-west-0",
            "us-west-004",
            "US-WEST-2",
            "us-west-2a",
            "us-west-2 ",
            "eu-frankfurt-1",
            "oregon",
            "aws-global",
            "us-isox-east-1",
            "eusc-east-1",
            "cn-wset-1",
            "fr-par",
            "garage",
            "auto",
            "eeur",
            "nyc3",
            "gra",
            "ru-central1",
            "",
        ] {
            assert_eq!(Partition::of_region(region), None, "{region}");
        }
    }

    #[test]
    fn names_and_rows_are_complete_and_unique() {
        let mut names: Vec<_> = Partition::all().map(Partition::name).collect();
        names.sort_unstable();
        assert_eq!(names.join("|"), partition_names!());
        for (partition, _) in REGIONS {
            assert_eq!(Partition::try_from(partition.name().to_owned()), Ok(partition));
        }
        assert!(Partition::try_from("aws-xx".to_owned()).unwrap_err().contains("\"aws-xx\" is not an AWS partition"));
    }
}
