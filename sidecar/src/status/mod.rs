//! What a sidecar shows of itself: conditions, metrics, readiness, and the port that serves them.

pub(crate) mod admin;
pub mod conditions;
pub mod metrics;
pub(crate) mod readiness;
