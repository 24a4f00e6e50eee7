//! The sidecar's reports about itself: conditions, metrics, readiness, and the admin port that serves them.

pub(crate) mod admin;
pub mod conditions;
pub mod metrics;
pub(crate) mod readiness;
