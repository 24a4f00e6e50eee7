//! The operator: makes a running sidecar of every destination function, and keeps its status true.
//!
//! What becomes of a function, in this order:
//!
//! 1. [`watch`] knows what is in the cluster, and says which function a change concerns;
//! 2. [`validate`] says whether the platform allows the function: pure;
//! 3. [`build`] says what its children should be: pure;
//! 4. [`apply`] makes them so, where they differ;
//! 5. [`observe`] sees what its sidecars do, and asks them;
//! 6. [`status`] computes the conditions, and writes them, with Events and lines of the log.
//!
//! [`controller`] does that for a function whenever something has changed, decides whose turn it is when the platform
//! changes all sidecars, and backs off after failures. [`leader`] sees to it that only one process writes, with the help
//! of [`client`]; [`platform`] is what the cluster's owner says, and [`process`] what surrounds all of it.
//!
//! No module uses one that stands for a later step. The operator has no access to Secrets: the kubelet mounts them into
//! sidecars, which read them.

mod api_error;
pub mod apply;
pub mod build;
pub mod client;
pub mod controller;
pub mod finding;
pub mod function;
pub mod leader;
pub mod metrics;
pub mod names;
pub mod observe;
pub mod operator;
mod owner_references;
pub mod platform;
pub mod process;
mod resource_version;
pub mod status;
pub mod validate;
pub mod watch;
