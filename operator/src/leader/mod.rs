//! Leader election: of several replicas only the one that holds a Lease writes.
//!
//! No decision depends on a wall clock. A candidate measures on its own monotonic clock for how long
//! it has seen the Lease unchanged, and takes it over after the Lease's duration; the holder counts
//! from before it sent its last renewal, and stops well before anyone can take over. So clock skew
//! and a frozen process do no harm.
//!
//! The API server does not fence off a former leader, so the client does: past its deadline it
//! sends no request ([`Leadership::holds`], checked before each).

mod decision;
mod elector;
mod leadership;

use std::time::Duration;

pub use elector::Elector;
pub use leadership::Leadership;

/// After this time without a renewal others take the Lease over.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long the holder leads after a renewal, counted from before the request was sent.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often the holder renews the Lease and candidates read it.
const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// The time limit of a request for the Lease.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
