//! A real Kubernetes: the one that `TEST_KUBECONFIG` names, which `tests/run` brings up.
//!
//! Each test has namespaces of its own, and an operator that looks after no others, so that many
//! run side by side.

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

pub use api::{Kubernetes, eventually, within};
pub use cloud::{Cloud, ENDPOINT};
pub use function::{condition, function, wait_condition};
pub use kstatus::kstatus;
pub use namespace::Namespace;
pub use operator::{OperatorProcess, OperatorSetup};
pub use proxy::{ApiProxy, Request};
pub use release::{Images, Release, SYSTEM};
pub use tenant::Tenant;
pub use tools::{checkout, helm, inside_node, kubectl};
