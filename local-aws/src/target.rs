//! Parses what a request targets (service, operation, bucket, key, role) from its line, headers and STS
//! form. This happens before any check: faults match on it, and calls are recorded with it.

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

/// The operations that are distinguished; any other is `Other`.
pub(crate) const OPERATIONS: [&str; 8] = [
    "PutObject",
    "HeadBucket",
    "ListObjectsV2",
    "AssumeRole",
    "AssumeRoleWithWebIdentity",
    "GetCallerIdentity",
    "GetCredentials",
    OTHER_OPERATION,
];

const OTHER_OPERATION: &str = "Other";

/// The operation that a request calls, and the names that it contains; nothing is verified.
#[derive(Debug)]
pub(crate) struct CallTarget {
    pub(crate) service: Service,
    pub(crate) operation: &'static str,
    /// The `Host` header.
    pub(crate) host: Option<String>,
    pub(crate) bucket: Option<String>,
    /// The object's key as in the path, still percent-encoded; empty if there is none.
    pub(crate) key: String,
    /// Whether the request has `If-None-Match`.
    pub(crate) conditional: bool,
    /// ARN of the requested role.
    pub(crate) role: Option<String>,
    pub(crate) session_name: Option<String>,
    /// Whether the request has an external ID, which itself is never recorded.
    pub(crate) external_id: bool,
    pub(crate) session_policy: Option<String>,
}

/// The fields of an STS request, decoded, by name.
pub(crate) type Form = Arc<HashMap<String, String>>;

impl CallTarget {
    pub(crate) fn new(service: Service, operation: &'static str) -> CallTarget {
        CallTarget {
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

    /// Parses the target, and the form if it is an STS request.
    pub(crate) fn parse(parts: &Parts, body: &Bytes, hosts: &Hosts) -> (CallTarget, Option<Form>) {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let (target, form) = CallTarget::parse_path(host.and_then(|host| hosts.bucket(host)), parts, body);
        (CallTarget { host: host.map(str::to_owned), ..target }, form)
    }

    /// Parses all but the host; `bucket` is the one that the host name contains.
    fn parse_path(bucket: Option<&str>, parts: &Parts, body: &Bytes) -> (CallTarget, Option<Form>) {
        let path = parts.uri.path();
        if bucket.is_none() && path == POD_IDENTITY_PATH {
            return (CallTarget::new(Service::PodIdentity, "GetCredentials"), None);
        }
        if bucket.is_none() && path == "/" && parts.method == Method::POST {
            let form: HashMap<_, _> = url::form_urlencoded::parse(body).into_owned().collect();
            return (CallTarget::of_form(&form), Some(Arc::new(form)));
        }
        let path = path.trim_start_matches('/');
        let (bucket, key) = match bucket {
            Some(bucket) => (bucket, path),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        let selects_object = parts.uri.query().is_none_or(|query| {
            // The SDKs add x-id=PutObject, and presigned URLs X-Amz-…; any other query selects another operation.
            query.split('&').all(|pair| pair.to_ascii_lowercase().starts_with("x-"))
        });
        let lists = parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "list-type=2"));
        let operation = match (&parts.method, key.is_empty()) {
            (&Method::PUT, false) if selects_object => "PutObject",
            (&Method::HEAD, true) if selects_object && !bucket.is_empty() => "HeadBucket",
            (&Method::GET, true) if lists && !bucket.is_empty() => "ListObjectsV2",
            _ => OTHER_OPERATION,
        };
        let target = CallTarget {
            bucket: (!bucket.is_empty()).then(|| bucket.to_owned()),
            key: key.to_owned(),
            conditional: parts.headers.contains_key(IF_NONE_MATCH),
            ..CallTarget::new(Service::S3, operation)
        };
        (target, None)
    }

    fn of_form(form: &HashMap<String, String>) -> CallTarget {
        let action = form.get("Action").map_or("", String::as_str);
        let known = OPERATIONS.into_iter().find(|known| *known == action);
        CallTarget {
            role: form.get("RoleArn").cloned(),
            session_name: form.get("RoleSessionName").cloned(),
            external_id: form.contains_key("ExternalId"),
            session_policy: form.get("Policy").cloned(),
            ..CallTarget::new(Service::Sts, known.unwrap_or(OTHER_OPERATION))
        }
    }
}
