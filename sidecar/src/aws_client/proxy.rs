//! Chooses the proxy of a connection, by the environment's `HTTPS_PROXY` and `NO_PROXY`. Pure.

use std::sync::Arc;

use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// The proxy for HTTPS, and the hosts without it. Requests over plain HTTP have no proxy: they go to the endpoints that
/// hand out credentials on the node, or to a store in the cluster.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Option<Arc<Matcher>>);

impl Proxies {
    /// `https` is the proxy's URL, empty if there is none. `except` lists the hosts that are reached without it, as curl
    /// reads it: domains with their subdomains, addresses, networks such as `10.0.0.0/8`, or `*`.
    ///
    /// # Errors
    /// When the URL is not that of a proxy that is reached over HTTP. The message does not contain its password.
    pub fn new(https: &str, except: &str) -> Result<Self, String> {
        if https.is_empty() {
            return Ok(Self::default());
        }
        let matcher = Matcher::builder().https(https).no(except).build();
        let any = Uri::from_static("https://proxied.invalid/");
        let is_disabled = except.split(',').any(|host| host.trim() == "*");
        match matcher.intercept(&any) {
            Some(proxy) if proxy.uri().scheme_str() == Some("http") => Ok(Self(Some(Arc::new(matcher)))),
            None if is_disabled => Ok(Self::default()),
            _ => Err("it is not the URL of an HTTP proxy; write it like http://proxy.internal:3128".to_owned()),
        }
    }

    /// The proxy for connections to `origin`; `None`: connect directly.
    pub(super) fn of(&self, origin: &Uri) -> Option<Intercept> {
        let matcher = self.0.as_ref()?;
        matcher.intercept(origin).filter(|_| origin.scheme_str() == Some("https"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(proxies: &Proxies, origin: &str) -> Option<String> {
        proxies.of(&origin.parse().unwrap()).map(|proxy| proxy.uri().to_string())
    }

    #[test]
    fn only_https_to_other_hosts_uses_the_proxy() {
        let proxies = Proxies::new("http://proxy:3128", "s3.us-west-2.amazonaws.com, .internal,10.0.0.0/8").unwrap();
        let through = Some("http://proxy:3128/".to_owned());
        for origin in
            ["https://sts.us-west-2.amazonaws.com/", "https://b.s3.eu-west-1.amazonaws.com/", "https://11.0.0.1/"]
        {
            assert_eq!(proxy(&proxies, origin), through, "{origin}");
        }
        for origin in [
            "https://b.s3.us-west-2.amazonaws.com/",
            "https://minio.internal:9000/",
            "https://10.1.2.3/",
            "http://sts.us-west-2.amazonaws.com/",
            "http://169.254.170.23/v1/credentials",
        ] {
            assert_eq!(proxy(&proxies, origin), None, "{origin}");
        }
        for none in [Proxies::default(), Proxies::new("", "").unwrap(), Proxies::new("http://proxy", "*").unwrap()] {
            assert_eq!(proxy(&none, "https://sts.us-west-2.amazonaws.com/"), None);
        }
    }

    #[test]
    fn a_proxy_is_an_http_url() {
        let with_password = Proxies::new("http://user:hunter2@proxy:3128", "").unwrap();
        let intercept = with_password.of(&Uri::from_static("https://a/")).unwrap();
        assert_eq!(intercept.uri(), "http://proxy:3128/");
        assert_eq!(intercept.basic_auth().unwrap(), "Basic dXNlcjpodW50ZXIy");
        assert!(!format!("{with_password:?}").contains("hunter2"));
        assert!(Proxies::new("proxy:3128", "").is_ok(), "curl takes it for http");
        for wrong in ["https://proxy:3128", "socks5://user:hunter2@proxy:1080", "http://", "::", "http://a b"] {
            let error = Proxies::new(wrong, "").unwrap_err();
            assert!(
                error.contains("like http://proxy.internal:3128") && !error.contains("hunter2"),
                "{wrong}: {error}"
            );
        }
    }
}
