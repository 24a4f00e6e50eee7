//! The HTTP client for AWS: S3, STS, and the endpoints from which credentials come.
//!
//! Uploads use [`Connections`] directly. The SDK, which calls STS, sends its requests through [`sdk_client`]. Both make
//! connections with one [`Connector`], read only the start of an answer, and follow no redirects.

mod authorities;
mod connections;
mod connector;
mod network;
mod proxy;
mod sdk_client;

pub(crate) use connections::{Connections, MAX_BODY_BYTES};
pub(crate) use connector::Connector;
pub use network::{EndpointVariant, Network};
pub(crate) use sdk_client::{sdk_client, split_origin};
