//! The name of a bucket, and the names that look like one but lead to another API than S3's `PutObject`.

use super::shape::Rule::{Must, MustNot};
use super::shape::{Shape, text_value};

/// The pattern of the beginnings that AWS reserves, so that no bucket of AWS has such a name. Other stores allow them.
pub(crate) const RESERVED_IN_AWS: &str = "^(xn--|sthree-|amzn-s3-demo-)";

text_value!(
    /// The name of an S3 bucket.
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    Bucket,
    Shape {
        field: "bucket",
        example: "my-bucket",
        // More than a bucket's name may have, so that the ARN of an access point gets its own message.
        length: (3, 256),
        rules: &[
            MustNot("^arn:", "is an ARN, and access points are not supported; name the bucket itself"),
            Must("^(arn:.*|.{3,63})$", "has not 3 to 63 characters"),
            Must(
                "^(arn:.*|[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*)$",
                "is not a bucket name (lower-case letters, digits, dots and hyphens)",
            ),
            MustNot("^[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+$", "is an IP address, which is not a valid bucket name"),
            MustNot(
                "(-s3alias|--ol-s3|--op-s3|--xa-s3|[.]mrap)$",
                "is the alias of an access point, and access points are not supported; name the bucket itself",
            ),
            // The SDK would ask S3 Express for a session of its own before each PUT.
            MustNot(
                "--x-s3$",
                "is a directory bucket (S3 Express One Zone), which is not supported; use a general purpose bucket",
            ),
            MustNot("--table-s3$", "is a table bucket, which accepts no objects; use a general purpose bucket"),
        ],
    }
);
