//! How AWS is reached: through which proxy, trusting which authorities, at which of its endpoints. AWS's tools and curl
//! read the same variables of the environment.

use std::env::var;

use super::authorities::Authorities;
use super::proxy::Proxies;

/// How the sidecar reaches AWS, where the function does not say.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// The proxy.
    pub proxies: Proxies,
    /// The certificate authorities that AWS's certificates are checked against.
    pub authorities: Authorities,
    /// Which of AWS's endpoints are used.
    pub variant: EndpointVariant,
}

/// Which of AWS's endpoints are used, in a region that has several.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointVariant {
    /// Those whose cryptography is validated by FIPS 140.
    pub fips: bool,
    /// Those with IPv6 addresses too.
    pub dual_stack: bool,
}

impl Network {
    /// The settings of the environment: `HTTPS_PROXY`, `NO_PROXY`, `AWS_CA_BUNDLE`, `AWS_USE_FIPS_ENDPOINT` and
    /// `AWS_USE_DUALSTACK_ENDPOINT`. An empty variable counts as unset.
    ///
    /// # Errors
    /// When one of them can't be used; the message names it.
    pub fn of_environment() -> Result<Self, String> {
        // By the names that curl reads.
        let read = |names: [&str; 2]| names.iter().find_map(|name| var(name).ok()).unwrap_or_default();
        let (https, except) = (read(["HTTPS_PROXY", "https_proxy"]), read(["NO_PROXY", "no_proxy"]));
        let authorities = match var("AWS_CA_BUNDLE").unwrap_or_default().as_str() {
            "" => Authorities::default(),
            path => Authorities::of_bundle(path.as_ref()).map_err(|why| format!("AWS_CA_BUNDLE: {why}"))?,
        };
        Ok(Self {
            proxies: Proxies::new(&https, &except).map_err(|why| format!("HTTPS_PROXY: {why}"))?,
            authorities,
            variant: EndpointVariant {
                fips: switch("AWS_USE_FIPS_ENDPOINT")?,
                dual_stack: switch("AWS_USE_DUALSTACK_ENDPOINT")?,
            },
        })
    }
}

impl EndpointVariant {
    /// The variant for a function that sets `fips` and `dual_stack`, each if it is not `None`, and may set an endpoint of
    /// its own, which has no variants.
    pub(crate) fn of_function(self, fips: Option<bool>, dual_stack: Option<bool>, has_endpoint: bool) -> Self {
        let or = |by_function: Option<bool>, default: bool| by_function.unwrap_or(default) && !has_endpoint;
        Self { fips: or(fips, self.fips), dual_stack: or(dual_stack, self.dual_stack) }
    }
}

/// A variable that is `true` or `false`, as AWS's tools read it.
fn switch(name: &str) -> Result<bool, String> {
    match var(name).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "false" => Ok(false),
        "true" => Ok(true),
        _ => Err(format!("{name}: it is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_overrides_the_environment_and_its_own_endpoint_has_no_variants() {
        let of = |fips, dual_stack| EndpointVariant { fips, dual_stack };
        assert_eq!(of(true, false).of_function(None, None, false), of(true, false));
        assert_eq!(of(true, true).of_function(Some(false), None, false), of(false, true));
        assert_eq!(of(false, false).of_function(Some(true), Some(true), false), of(true, true));
        assert_eq!(of(true, true).of_function(None, None, true), of(false, false));
    }
}
