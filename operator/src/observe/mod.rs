//! What is seen of a function's sidecars: by Kubernetes, and by asking them.

mod asking;
mod chain;
mod deployment;
mod pods;
mod reports;
mod text;

pub use asking::Asking;
pub use chain::is_of;
pub use deployment::{is_complete, rollout};
pub use pods::{goes_on, has_ended, is_current, pod};
pub use reports::Reports;
