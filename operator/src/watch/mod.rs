//! Watches functions, their children and pods, caches them, and triggers a reconcile of each function
//! that a change concerns.
//!
//! Each kind has its own watch with its own backoff: a watch that fails does not stop the others
//! (stackabletech/trino-operator#936). Children are watched by label; a child that loses its label
//! counts as deleted, and the label is restored.

mod caches;
#[cfg(test)]
pub mod filled;
mod grouped;
mod listener;
mod prune;

pub use caches::{Caches, Scope, fill, get};
pub use grouped::Grouped;
