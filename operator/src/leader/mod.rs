//! Who leads: of several replicas one writes, the one that holds a Lease.
//!
//! Nobody's wall clock counts. A candidate measures on its own monotonic clock since when it has
//! seen the Lease unchanged, and takes it over after the Lease's duration; a holder counts from
//! before it sent its last renewal, and stops for good well before anybody can take over. Machines
//! whose clocks differ, and a process that was frozen in between, change nothing about that.
//!
//! The API server has no fence for a former leader, so the client has one: past its deadline it
//! begins no request ([`Leadership::holds`], asked before every request).

mod decision;
mod elector;
mod leadership;

use std::time::Duration;

pub use elector::Elector;
pub use leadership::Leadership;

/// How long a Lease that nobody renews is its holder's.
const DURATION: Duration = Duration::from_secs(15);
/// How long its holder counts on it, from before it asked for it.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often it is renewed, or looked at.
const RETRY: Duration = Duration::from_secs(2);
/// How long a request about it may take.
const REQUEST: Duration = Duration::from_secs(4);
