//! The sidecar: takes one destination function's events over HTTP and stores them in its S3 bucket.
//!
//! What happens to an event, folder by folder:
//!
//! 1. `http` reads the request, within limits of size, time and memory;
//! 2. `ingest` finds the route and gives the answer;
//! 3. [`event`] checks and stamps it: pure;
//! 4. `delivery` makes its key, puts it into S3, and judges what S3 says;
//! 5. `session` keeps the function's role assumed meanwhile.
//!
//! `secret` reads what the kubelet mounts, `memory` bounds what clients can make grow, and [`status`] shows conditions,
//! metrics and readiness. [`sidecar`] puts it all together; time, listeners, identity and the end are passed in.

mod blocker;
mod bounded_response;
pub mod clock;
pub mod config;
mod delivery;
pub mod event;
mod http;
mod ingest;
mod log_level;
mod memory;
mod own_thread;
mod secret;
mod session;
pub mod sidecar;
mod skew;
pub mod status;

pub use http::Drain;
pub use ingest::Refusal;
pub use session::BaseIdentity;
pub use sidecar::{Dependencies, Endpoints, Sidecar};
