//! Connects to the Kubernetes cluster of `TEST_KUBECONFIG`, which `tests/run` starts.
//!
//! Each test has its own namespaces, and its own operator that watches only those, so that many tests run in parallel.

mod api;
mod cloud;
mod function;
mod kstatus;
mod namespace;
mod operator;
pub mod pods;
mod proxy;
mod release;
mod tenant;
mod tools;

pub use api::{CONTROLLERS_TIMEOUT, Kubernetes, eventually, within};
pub use cloud::{Cloud, ENDPOINT};
pub use function::{condition, function, wait_condition};
pub use kstatus::kstatus;
pub use namespace::Namespace;
pub use operator::{OperatorProcess, OperatorSetup};
pub use proxy::{ApiProxy, Request};
pub use release::{Images, RELEASE_NAMESPACE, Release};
pub use tenant::Tenant;
pub use tools::{checkout, helm, inside_node, kubectl};
