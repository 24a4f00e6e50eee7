//! What is in the cluster, as far as it concerns functions: caches that watches keep current, and
//! the functions that a change concerns.
//!
//! Each kind is watched by itself, with pauses of its own after failures: one watch that can't be
//! had leaves the others going (stackabletech/trino-operator#936). Children are watched by label; a
//! child that loses its label is one that has gone, and is put back.

mod caches;
mod grouped;
mod listener;
mod prune;

pub use caches::{Caches, Scope, fill, get};
pub use grouped::Grouped;
