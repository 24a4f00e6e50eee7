//! The HTTP client for AWS: S3, STS, and the endpoints from which credentials come.
//!
//! Uploads use [`Connections`] directly. The SDK, which calls STS, sends its requests through [`sdk_client`]. Both make
//! connections with one [`Connector`], read only the start of an answer, follow no redirects, and ignore the proxy
//! settings of the environment.

mod connections;
mod connector;
mod sdk_client;

pub(crate) use connections::{Connections, MAX_BODY_BYTES};
pub(crate) use connector::Connector;
pub(crate) use sdk_client::{sdk_client, split_origin};
