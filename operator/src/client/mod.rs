//! The leader's Kubernetes client: refuses requests without leadership, counts them, records watch activity.

mod request;
mod watch_activity;

use hyper::Request;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::BoxError;
use tower::filter::FilterLayer;
use tower::layer::layer_fn;

use crate::leader::Leadership;

pub use request::ApiRequest;
pub use watch_activity::WatchActivity;

/// A request was not sent, since this process does not lead.
#[derive(Debug, thiserror::Error)]
#[error("this process no longer leads, so it sends no request")]
struct Fenced;

/// A client that sends requests only while `leadership` holds, passes each to `count`, and records in `activity` when
/// its watches receive data. It retries nothing: the callers have their own backoff.
///
/// # Errors
/// If the configuration is invalid.
pub fn connect(
    config: &Config,
    leadership: &Leadership,
    activity: &WatchActivity,
    count: impl Fn(ApiRequest) + Clone + Send + Sync + 'static,
) -> kube::Result<Client> {
    let config = without_retries(config);
    let (leadership, activity) = (leadership.clone(), activity.clone());
    let fence = move |request: Request<Body>| -> Result<_, BoxError> {
        if !leadership.holds() {
            return Err(Fenced.into());
        }
        count(request::describe(&request));
        Ok(request)
    };
    let client = ClientBuilder::try_from(config)?
        .with_layer(&layer_fn(move |inner| watch_activity::WatchingClient { inner, activity: activity.clone() }))
        .with_layer(&FilterLayer::new(fence));
    Ok(client.build())
}

/// The configuration without kube's own retries, which the caller's backoff would not see.
pub fn without_retries(config: &Config) -> Config {
    let mut config = config.clone();
    config.default_retry = false;
    config
}
