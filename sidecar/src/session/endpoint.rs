//! The STS that a function's role is assumed through. Pure.

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tributary_crds::function::{DestinationFunctionSpec, Sts};
use tributary_crds::values::{Partition, Region};

use crate::aws_client::EndpointVariant;
use crate::redact;

/// The STS endpoint to call.
#[derive(Clone, Debug)]
pub(crate) struct StsEndpoint {
    /// The region that requests are signed for.
    pub(crate) region: String,
    /// The URL, if it is not the region's default.
    pub(crate) url: Option<String>,
    /// Which of AWS's endpoints, if there is no URL.
    pub(crate) variant: EndpointVariant,
    /// Whether it is another store's, and not AWS's or one that stands for it in a test.
    pub(crate) is_store: bool,
    /// The HTTP client.
    pub(crate) http: SharedHttpClient,
}

impl StsEndpoint {
    /// The endpoint of a function. `given`, from the environment, stands for AWS's own, and overrides the function's.
    /// `by_platform` is the variant where the function sets none.
    pub(crate) fn of(
        spec: &DestinationFunctionSpec,
        given: Option<String>,
        platform_region: Option<&str>,
        by_platform: EndpointVariant,
        http: SharedHttpClient,
    ) -> Self {
        let sts = spec.sts.as_ref();
        let is_store = given.is_none() && spec.sts_store().is_some();
        let url = given.or_else(|| sts?.endpoint.as_ref().map(ToString::to_string));
        let (fips, dual_stack) = (sts.and_then(|sts| sts.use_fips), sts.and_then(|sts| sts.use_dual_stack));
        let variant = by_platform.of_function(fips, dual_stack, url.is_some());
        Self { region: region(spec, is_store, platform_region), url, variant, is_store, http }
    }

    /// The URL without anything that may be a secret, for messages; without a configured one, the usual URL of the
    /// region.
    pub(crate) fn shown_url(&self) -> String {
        let configured = self.url.as_deref().and_then(redact::origin);
        configured.unwrap_or_else(|| {
            let partition = Partition::of_region(&self.region).unwrap_or_default();
            let EndpointVariant { fips, dual_stack } = self.variant;
            let domain = if dual_stack { partition.dual_stack_suffix() } else { partition.dns_suffix() };
            format!("https://{}.{}.{domain}", if fips { "sts-fips" } else { "sts" }, self.region)
        })
    }
}

/// The region of STS: the function's own; else the first of the platform's and the bucket's that is in the role's
/// partition, since a role can be assumed only there; else the partition's home region. A store's STS is in the
/// store's region.
fn region(spec: &DestinationFunctionSpec, is_store: bool, platform_region: Option<&str>) -> String {
    let bucket_region = spec.s3.region.as_str();
    if let Some(region) = spec.sts.as_ref().and_then(|sts: &Sts| sts.region.as_ref()) {
        return Region::to_string(region);
    }
    if is_store {
        return bucket_region.to_owned();
    }
    let partition = spec.role_arn.partition();
    let candidates = [platform_region, Some(bucket_region)].into_iter().flatten();
    let mut in_partition = candidates.filter(|region| Partition::of_region(region) == Some(partition));
    in_partition.next().unwrap_or_else(|| partition.home_region()).to_owned()
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
    use serde_json::{Value, json};

    use super::*;

    fn endpoint(role: &str, region: &str, sts: &Value, given: Option<&str>, platform: Option<&str>) -> StsEndpoint {
        let spec = json!({
            "roleArn": role,
            "externalIdSecretRef": {"name": "lake"},
            "s3": {"bucket": "lake", "region": region, "endpoint": "https://s3.example.com"},
            "sts": sts,
        });
        let unused = http_client_fn(|_, _| -> SharedHttpConnector { unreachable!("no request is sent") });
        let spec = serde_json::from_value(spec).unwrap();
        StsEndpoint::of(&spec, given.map(str::to_owned), platform, EndpointVariant::default(), unused)
    }

    #[test]
    fn the_roles_partition_decides_which_sts_is_called() {
        const AWS: &str = "arn:aws:iam::123456789012:role/r";
        const CHINA: &str = "arn:aws-cn:iam::123456789012:role/r";
        const EUROPE: &str = "arn:aws-eusc:iam::123456789012:role/r";
        const GOV: &str = "arn:aws-us-gov:iam::123456789012:role/r";
        let at_store = json!({"endpoint": "https://minio.storage.svc:9000"});
        let at_vpc_endpoint = json!({"endpoint": "https://vpce-1.sts.us-east-1.vpce.amazonaws.com"});
        for (role, bucket, sts, platform, region, url) in [
            (AWS, "us-west-2", json!(null), None, "us-west-2", "https://sts.us-west-2.amazonaws.com"),
            (
                AWS,
                "us-west-2",
                json!(null),
                Some("eu-central-1"),
                "eu-central-1",
                "https://sts.eu-central-1.amazonaws.com",
            ),
            (
                AWS,
                "us-west-2",
                json!({"region": "eu-west-1"}),
                Some("eu-central-1"),
                "eu-west-1",
                "https://sts.eu-west-1.amazonaws.com",
            ),
            (
                CHINA,
                "cn-north-1",
                json!(null),
                Some("eu-central-1"),
                "cn-north-1",
                "https://sts.cn-north-1.amazonaws.com.cn",
            ),
            (
                CHINA,
                "garage",
                json!(null),
                Some("eu-central-1"),
                "cn-northwest-1",
                "https://sts.cn-northwest-1.amazonaws.com.cn",
            ),
            (EUROPE, "eusc-de-east-1", json!(null), None, "eusc-de-east-1", "https://sts.eusc-de-east-1.amazonaws.eu"),
            (
                GOV,
                "us-gov-east-1",
                json!(null),
                Some("us-east-1"),
                "us-gov-east-1",
                "https://sts.us-gov-east-1.amazonaws.com",
            ),
            (AWS, "garage", json!(null), None, "us-east-1", "https://sts.us-east-1.amazonaws.com"),
            // The platform's region is AWS's, and no store's.
            (AWS, "garage", at_store.clone(), Some("eu-central-1"), "garage", "https://minio.storage.svc:9000"),
            (
                AWS,
                "us-east-1",
                at_vpc_endpoint,
                Some("us-east-1"),
                "us-east-1",
                "https://vpce-1.sts.us-east-1.vpce.amazonaws.com",
            ),
        ] {
            let endpoint = endpoint(role, bucket, &sts, None, platform);
            assert_eq!(
                (endpoint.region.as_str(), endpoint.shown_url().as_str()),
                (region, url),
                "{role} {bucket} {sts}"
            );
            assert_eq!(endpoint.is_store, url.contains("minio"), "{url}");
        }
        let given = endpoint(AWS, "us-west-2", &at_store, Some("http://user:secret@127.0.0.1:9000/x"), None);
        assert_eq!((given.is_store, given.shown_url().as_str()), (false, "http://127.0.0.1:9000"));
    }
}
