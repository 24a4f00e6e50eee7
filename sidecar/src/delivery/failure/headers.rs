//! The headers of a PUT that a store may not support, each with the setting that leaves it out.

use tributary_crds::function::{Checksum, S3};

/// A header of the function's PUTs that can be left out.
struct OptionalHeader {
    /// Its name or, if several headers belong together, the beginning of their names, in lower case.
    name: &'static str,
    is_sent: fn(&S3) -> bool,
    fix: &'static str,
}

const OPTIONAL_HEADERS: [OptionalHeader; 7] = [
    OptionalHeader {
        name: "if-none-match",
        is_sent: |s3| s3.conditional_writes,
        fix: "set spec.s3.conditionalWrites: false",
    },
    OptionalHeader {
        name: "x-amz-checksum",
        is_sent: |s3| s3.checksum == Checksum::WhenSupported,
        fix: "set spec.s3.checksum: WhenRequired",
    },
    // The session's. No setting leaves it out.
    OptionalHeader {
        name: "x-amz-security-token",
        is_sent: |_| true,
        fix: "the store must accept session tokens, or ignore the header (S3Proxy: s3proxy.ignore-unknown-headers=true)",
    },
    OptionalHeader {
        name: "x-amz-server-side-encryption",
        is_sent: |s3| s3.encryption.is_some(),
        fix: "leave out spec.s3.encryption",
    },
    OptionalHeader {
        name: "x-amz-storage-class",
        is_sent: |s3| s3.storage_class.is_some(),
        fix: "leave out spec.s3.storageClass",
    },
    OptionalHeader { name: "x-amz-tagging", is_sent: |s3| !s3.tags.is_empty(), fix: "leave out spec.s3.tags" },
    OptionalHeader {
        name: "x-amz-expected-bucket-owner",
        is_sent: |s3| s3.expected_bucket_owner.is_some(),
        fix: "leave out spec.s3.expectedBucketOwner",
    },
];

/// The cause and the fix if a store does not support a header of the function's PUTs: `named` is the header that its
/// answer names. Most answers name none, so then every header that it can be is listed.
pub(super) fn unsupported(named: Option<&str>, s3: &S3) -> String {
    if let Some(named) = named {
        let lower = named.to_ascii_lowercase();
        let known = OPTIONAL_HEADERS.iter().find(|header| lower.starts_with(header.name));
        let fix = known.map_or("every upload has it, so this store can't be used", |header| header.fix);
        return format!("the store does not support the header {named} of the request; {fix}");
    }
    let sent = OPTIONAL_HEADERS.iter().filter(|header| (header.is_sent)(s3));
    let listed: Vec<_> = sent.map(|header| format!("if it is {}, {}", header.name, header.fix)).collect();
    format!("the store does not support a header of the request, and does not say which; {}", listed.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn s3(fields: &Value) -> S3 {
        let mut s3 = json!({"bucket": "lake", "region": "us-west-2"});
        s3.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(s3).unwrap()
    }

    #[test]
    fn the_header_that_a_store_names_gets_its_own_fix() {
        for (named, fix) in [
            ("If-None-Match", "set spec.s3.conditionalWrites: false"),
            ("x-amz-checksum-crc32", "set spec.s3.checksum: WhenRequired"),
            ("X-Amz-Security-Token", "must accept session tokens"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "leave out spec.s3.encryption"),
            ("x-amz-storage-class", "leave out spec.s3.storageClass"),
            ("x-amz-tagging", "leave out spec.s3.tags"),
            ("x-amz-expected-bucket-owner", "leave out spec.s3.expectedBucketOwner"),
            ("x-amz-date", "can't be used"),
        ] {
            let message = unsupported(Some(named), &s3(&json!({})));
            assert!(message.contains(&format!("the header {named} of")) && message.contains(fix), "{message}");
            assert_eq!(message.matches("spec.s3.").count(), usize::from(fix.contains("spec.s3.")), "{message}");
        }
    }

    #[test]
    fn without_a_name_every_header_that_the_function_sends_is_listed() {
        let all = ["if-none-match", "x-amz-checksum", "x-amz-security-token", "x-amz-tagging", "x-amz-storage-class"];
        for (fields, sent) in [
            (json!({}), &all[..3]),
            (json!({"conditionalWrites": false, "checksum": "WhenRequired"}), &all[2..3]),
            (json!({"tags": {"a": "b"}, "storageClass": "STANDARD_IA"}), &all[..]),
        ] {
            let message = unsupported(None, &s3(&fields));
            for name in all {
                assert_eq!(message.contains(name), sent.contains(&name), "{name}: {message}");
            }
        }
    }
}
