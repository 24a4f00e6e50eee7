//! The operator: makes a running sidecar of every destination function, and keeps its status true.
//!
//! What becomes of a function, in this order:
//!
//! 1. [`watch`] knows what is in the cluster, and says which function a change concerns;
//! 2. [`acceptance`] says whether the platform allows the function, and [`taken_up`] what goes on of one whose
//!    changes wait: pure;
//! 3. [`desired`] says what its children should be: pure;
//! 4. [`apply`] makes them so, where they differ ([`difference`], [`kinship`], [`ownership`]: pure);
//! 5. [`observe`] sees what its sidecars do, and asks them;
//! 6. [`conditions`] says what is to be said of it: pure; [`status`] and [`events`] say it.
//!
//! [`reconcile`] is one look at a function, from 2 to 6; [`controller`] looks again whenever
//! something has changed; [`rollouts`] says whose turn it is when the platform changes all sidecars, and [`rivals`]
//! whether another release's operator looks after the same functions. [`leader`] sees to it that only one process
//! writes, with the help of [`client`]; [`platform`] is what the cluster's owner says.
//!
//! The operator has no access to Secrets. The kubelet mounts them into sidecars, which read them.

pub mod acceptance;
pub mod admin;
pub mod apply;
mod backoff;
pub mod client;
pub mod conditions;
pub mod controller;
pub mod desired;
pub mod difference;
pub mod events;
pub mod flags;
pub mod function;
pub mod health;
pub mod kinship;
pub mod leader;
pub mod metrics;
pub mod observe;
pub mod operator;
pub mod ownership;
pub mod platform;
pub mod reconcile;
mod resource_version;
pub mod rivals;
pub mod rollouts;
pub mod scale;
pub mod status;
pub mod taken_up;
pub mod watch;
