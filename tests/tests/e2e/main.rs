//! Tests the installed chart end to end, as its users see it, on a cluster with a real kubelet that runs the pods. Each
//! test is a tenant with its own namespaces. The tests in `release` also run pods: they change the cluster as a whole.
//!
//! 1. [`stage`] installs the chart with a policy and base identities, when the first test starts;
//! 2. [`tenants`] tests what a namespace may use, [`identity`] the sidecars' base identity, [`operator_account`] what
//!    the operator's credentials allow;
//! 3. [`rotation`] changes Secrets under load, [`rolls`] changes functions under load;
//! 4. [`faults`] causes every fault that a condition reports.

mod faults;
mod identity;
mod operator_account;
mod rolls;
mod rotation;
mod stage;
mod tenants;
