//! Builds the Service to which applications send events, and its URL.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tributary_crds::function::DestinationFunctionSpec;

use super::child_meta::ChildMeta;
use super::pod::EVENTS_PORT_NAME;

/// The function's Service. It exposes only the port for events, never the platform's.
pub fn service(meta: &ChildMeta, spec: &DestinationFunctionSpec) -> Service {
    let (name, port) = if has_tls(spec) { ("https", 443) } else { ("http", 80) };
    Service {
        metadata: meta.metadata(meta.name.clone()),
        spec: Some(ServiceSpec {
            selector: Some(meta.selector()),
            ports: Some(vec![ServicePort {
                name: Some(name.to_owned()),
                port,
                target_port: Some(IntOrString::String(EVENTS_PORT_NAME.to_owned())),
                app_protocol: Some(name.to_owned()),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// The URL for applications in the cluster: HTTPS if the function has a TLS Secret.
pub fn url(meta: &ChildMeta, spec: &DestinationFunctionSpec) -> String {
    let scheme = if has_tls(spec) { "https" } else { "http" };
    format!("{scheme}://{}.{}.svc", meta.name, meta.namespace)
}

fn has_tls(spec: &DestinationFunctionSpec) -> bool {
    spec.ingest.as_ref().is_some_and(|ingest| ingest.tls_secret_ref.is_some())
}
