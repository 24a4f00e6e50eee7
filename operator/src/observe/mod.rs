//! Observes a function's sidecars: their state as Kubernetes reports it, and their answers to polls.

mod deployment;
mod observed;
mod owner_chain;
mod pods;
mod poller;
mod reports;
mod sanitize;

pub use deployment::{creation_problem, has_template, is_complete, is_stuck, rollout, template_hash};
pub use observed::{Observed, Pod, Rollout, RolloutDecision, SidecarAnswer};
pub use owner_chain::is_of;
pub use pods::{has_ended, is_active, is_changing, is_current, is_ready, pod};
pub use poller::SidecarPoller;
pub use reports::Reports;
