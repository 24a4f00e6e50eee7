//! What a request asks for, told from its first line and, for STS, its form, before any
//! of it is checked: faults go by it, and the record of calls.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HOST, IF_NONE_MATCH};
use hyper::http::request::Parts;

use crate::calls::Service;
use crate::host::Hosts;

/// The path of the credentials endpoint of EKS Pod Identity.
pub(crate) const POD_IDENTITY_PATH: &str = "/v1/credentials";

/// The operations told apart; everything else is `Other`.
pub(crate) const OPERATIONS: [&str; 7] = [
    "PutObject",
    "HeadBucket",
    "AssumeRole",
    "AssumeRoleWithWebIdentity",
    "GetCallerIdentity",
    "GetCredentials",
    OTHER,
];

const OTHER: &str = "Other";

/// What is called, and on what.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) service: Service,
    pub(crate) operation: &'static str,
    /// The `Host` header.
    pub(crate) host: Option<String>,
    pub(crate) bucket: Option<String>,
    /// The object's key as it stands in the path; empty where there is none.
    pub(crate) key: String,
    /// Whether the request carries `If-None-Match`.
    pub(crate) conditional: bool,
    /// The ARN of the role asked for.
    pub(crate) role: Option<String>,
    pub(crate) session_name: Option<String>,
    pub(crate) external_id: bool,
    pub(crate) session_policy: Option<String>,
}

/// The fields of an STS request.
pub(crate) type Form = Arc<HashMap<String, String>>;

impl Target {
    pub(crate) fn new(service: Service, operation: &'static str) -> Target {
        Target {
            service,
            operation,
            host: None,
            bucket: None,
            key: String::new(),
            conditional: false,
            role: None,
            session_name: None,
            external_id: false,
            session_policy: None,
        }
    }

    /// Tells what `parts` asks for; the form comes along if it is an STS request.
    pub(crate) fn of(parts: &Parts, body: &Bytes, hosts: &Hosts) -> (Target, Option<Form>) {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let (target, form) = Target::at(host.and_then(|host| hosts.bucket(host)), parts, body);
        (Target { host: host.map(str::to_owned), ..target }, form)
    }

    /// The same, where `bucket` is what the host name says.
    fn at(bucket: Option<&str>, parts: &Parts, body: &Bytes) -> (Target, Option<Form>) {
        let path = parts.uri.path();
        if bucket.is_none() && path == POD_IDENTITY_PATH {
            return (Target::new(Service::PodIdentity, "GetCredentials"), None);
        }
        if bucket.is_none() && path == "/" && parts.method == Method::POST {
            let form: HashMap<_, _> = url::form_urlencoded::parse(body).into_owned().collect();
            return (Target::of_form(&form), Some(Arc::new(form)));
        }
        let path = path.trim_start_matches('/');
        let (bucket, key) = match bucket {
            Some(bucket) => (bucket, path),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        let plain = parts.uri.query().is_none_or(|query| {
            // The SDKs put x-id=PutObject there, and presigned URLs X-Amz-….
            query.split('&').all(|pair| pair.to_ascii_lowercase().starts_with("x-"))
        });
        let operation = match (&parts.method, key.is_empty()) {
            (&Method::PUT, false) if plain => "PutObject",
            (&Method::HEAD, true) if plain && !bucket.is_empty() => "HeadBucket",
            _ => OTHER,
        };
        let target = Target {
            bucket: (!bucket.is_empty()).then(|| bucket.to_owned()),
            key: key.to_owned(),
            conditional: parts.headers.contains_key(IF_NONE_MATCH),
            ..Target::new(Service::S3, operation)
        };
        (target, None)
    }

    fn of_form(form: &HashMap<String, String>) -> Target {
        let action = form.get("Action").map_or("", String::as_str);
        let known = OPERATIONS.into_iter().find(|known| *known == action);
        Target {
            role: form.get("RoleArn").cloned(),
            session_name: form.get("RoleSessionName").cloned(),
            external_id: form.contains_key("ExternalId"),
            session_policy: form.get("Policy").cloned(),
            ..Target::new(Service::Sts, known.unwrap_or(OTHER))
        }
    }
}
