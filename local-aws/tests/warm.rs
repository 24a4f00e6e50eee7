#[test]
fn warm() { let _ = (aws_sdk_s3::Config::builder(), aws_sdk_sts::Config::builder()); }
