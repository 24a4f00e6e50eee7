//! The sidecar: accepts one destination function's events over HTTP and stores them in its S3 bucket.
//!
//! The path of an event, module by module:
//!
//! 1. `http` reads the request, within limits of size, time and memory;
//! 2. `ingest` routes and authorizes the request, and answers it;
//! 3. [`event`] validates and stamps the event: pure;
//! 4. `delivery` computes the object's key, uploads it to S3, and classifies S3's errors;
//! 5. `session` keeps the function's role assumed in the background.
//!
//! `aws_client` is the HTTP client for S3 and STS, `secret` reads the Secrets that the kubelet mounts, `memory` bounds
//! the memory that clients can make the sidecar use, and [`status`] serves conditions, metrics and readiness.
//! [`sidecar`] assembles everything; clock, listeners, base identity and shutdown are passed in.

mod aws_changes;
mod aws_client;
mod aws_message;
mod blocker;
pub mod clock;
pub mod config;
mod delivery;
pub mod event;
mod http;
#[cfg(feature = "internals")]
pub use delivery::internals;
mod ingest;
mod log_level;
mod memory;
mod own_thread;
mod redact;
mod secret;
mod session;
pub mod sidecar;
mod skew;
pub mod status;
mod uncancelled;

pub use aws_changes::AwsChanges;
pub use aws_client::{EndpointVariant, Network};
pub use ingest::{Refusal, check_signing_secrets, check_write_keys};
pub use session::BaseIdentity;
pub use sidecar::{Dependencies, Endpoints, Sidecar};
pub use tributary_runtime::server::Drain;
