//! What people see of a platform that has the chart installed: each test is a tenant of it, with
//! namespaces of its own.
//!
//! 1. [`stage`] installs the chart, with a policy and base identities, for whichever test comes first;
//! 2. [`tenants`] keeps to what each namespace was given, [`identity`] is who sidecars are;
//! 3. [`rotation`] changes Secrets under load, [`rolls`] changes functions;
//! 4. [`faults`] makes everything go wrong that a condition can tell of.

mod faults;
mod identity;
mod operator_account;
mod rolls;
mod rotation;
mod stage;
mod tenants;
