//! The operator: runs sidecars for every DestinationFunction and keeps the function's status current.
//!
//! The steps of a reconcile, and the module of each:
//!
//! 1. [`watch`] caches the cluster's objects and maps each change to the function it concerns;
//! 2. [`validate`] decides whether the platform allows the function: pure;
//! 3. [`build`] computes the function's children: pure;
//! 4. [`apply`] writes the children that differ;
//! 5. [`observe`] reads the state of the sidecars from the caches and from their `/status`;
//! 6. [`status`] computes the conditions and writes them, with Events and log lines.
//!
//! [`controller`] reconciles a function when something has changed, assigns rollout slots when the platform changes all
//! sidecars, and backs off after failures. [`leader`] and [`client`] ensure that only one process writes; [`platform`]
//! holds the platform owner's settings, [`process`] the flags, the health checks and the admin port.
//!
//! No module depends on one of a later step. The operator has no access to Secrets: the kubelet mounts them into the
//! sidecars.

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
