//! The client for all that the leader does: kube's, with a fence, a meter and a pulse.

mod pulse;
mod request;
mod said;

use std::sync::Arc;

use hyper::Request;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::BoxError;
use tower::filter::FilterLayer;
use tower::layer::layer_fn;

use crate::leader::Leadership;
use crate::metrics::Metrics;

pub use pulse::Pulse;
pub use request::Call;
pub use said::{namespace_ends, said, said_of_watch};

/// A request that was not begun.
#[derive(Debug, thiserror::Error)]
#[error("this process doesn't lead any more, and begins no request")]
struct Fenced;

/// A client that begins requests only while `leadership` holds, counts them, and tells `pulse` what
/// it hears on its watches. It retries nothing: its callers do, each when it suits them.
///
/// # Errors
/// When the configuration is wrong.
pub fn connect(
    config: &Config,
    leadership: &Leadership,
    metrics: &Arc<Metrics>,
    pulse: &Pulse,
) -> kube::Result<Client> {
    let config = without_retries(config);
    let (leadership, metrics, pulse) = (leadership.clone(), Arc::clone(metrics), pulse.clone());
    let fence = move |request: Request<Body>| -> Result<_, BoxError> {
        if !leadership.holds() {
            return Err(Fenced.into());
        }
        metrics.api_request(request::describe(&request));
        Ok(request)
    };
    let client = ClientBuilder::try_from(config)?
        .with_layer(&layer_fn(move |inner| pulse::Listening { inner, pulse: pulse.clone() }))
        .with_layer(&FilterLayer::new(fence));
    Ok(client.build())
}

/// A configuration with which nothing is tried again behind the caller's back.
pub fn without_retries(config: &Config) -> Config {
    let mut config = config.clone();
    config.default_retry = false;
    config
}
