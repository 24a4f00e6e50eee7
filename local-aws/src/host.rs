//! Finds the bucket in a host name: virtual-hosted addressing, `BUCKET.s3.REGION.amazonaws.com`.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};
use tributary_crds::values::Partition;

/// The domains to which a bucket's name may be prepended: AWS's own, and the options' base domains.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    base_domains: Vec<String>,
}

impl Hosts {
    pub(crate) fn new(base_domains: Vec<String>) -> Hosts {
        Hosts { base_domains }
    }

    /// The bucket that a `Host` header names; `None` for path-style addressing or another service.
    pub(crate) fn bucket<'a>(&self, host: &'a str) -> Option<&'a str> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let in_base_domain = self.base_domains.iter().find_map(|domain| strip_domain(name, domain));
        in_base_domain.or_else(|| bucket_in_aws_host(name)).filter(|bucket| !bucket.is_empty())
    }
}

fn strip_domain<'a>(name: &'a str, domain: &str) -> Option<&'a str> {
    name.strip_suffix(domain)?.strip_suffix('.')
}

/// The bucket in an AWS host name: everything before `s3` or `s3-fips`, alone or with `.REGION` or `.dualstack.REGION`.
fn bucket_in_aws_host(name: &str) -> Option<&str> {
    let name = Partition::all().find_map(|partition| strip_domain(name, partition.dns_suffix()))?;
    let service = name.rfind(".s3.").or_else(|| name.rfind(".s3-fips."));
    service.map(|at| &name[..at]).or_else(|| name.strip_suffix(".s3"))
}

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let virtual_host = VirtualHost::new(host);
        Ok(match self.bucket(host) {
            Some(bucket) => virtual_host.with_bucket(bucket),
            None => virtual_host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_the_part_before_the_service() {
        let hosts = Hosts::new(vec!["store.test".to_owned(), "s3.internal".to_owned()]);
        for (host, bucket) in [
            ("lake.s3.us-west-2.amazonaws.com", Some("lake")),
            ("lake.s3.us-west-2.amazonaws.com:443", Some("lake")),
            ("lake.s3.dualstack.us-west-2.amazonaws.com", Some("lake")),
            ("lake.s3-fips.us-west-2.amazonaws.com", Some("lake")),
            ("lake.s3-fips.dualstack.us-west-2.amazonaws.com", Some("lake")),
            ("s3-fips.us-west-2.amazonaws.com", None),
            ("lake.s3.amazonaws.com", Some("lake")),
            ("a.b-c.s3.cn-north-1.amazonaws.com.cn", Some("a.b-c")),
            ("lake.s3.eusc-de-east-1.amazonaws.eu", Some("lake")),
            ("my.s3.lake.s3.eu-central-1.amazonaws.com", Some("my.s3.lake")),
            ("lake.store.test:9000", Some("lake")),
            ("lake.s3.internal", Some("lake")),
            ("s3.us-west-2.amazonaws.com", None),
            ("sts.us-west-2.amazonaws.com", None),
            ("store.test", None),
            ("bookstore.test", None),
            ("127.0.0.1:9000", None),
            ("[::1]:9000", None),
            ("localhost", None),
            ("lake.s3.us-west-2.amazonaws.com.example.com", None),
            (".s3.us-west-2.amazonaws.com", None),
            ("", None),
        ] {
            assert_eq!(hosts.bucket(host), bucket, "{host}");
        }
    }
}
