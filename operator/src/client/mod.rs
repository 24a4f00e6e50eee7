//! The client for all that the leader does: kube's, with a fence, a meter and a pulse.

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

/// A request that was not begun.
#[derive(Debug, thiserror::Error)]
#[error("this process doesn't lead any more, and begins no request")]
struct Fenced;

/// A client that begins requests only while `leadership` holds, reports each to `count`, and tells `activity` what
/// it hears on its watches. It retries nothing: its callers do, each when it suits them.
///
/// # Errors
/// When the configuration is wrong.
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
        .with_layer(&layer_fn(move |inner| watch_activity::Listening { inner, activity: activity.clone() }))
        .with_layer(&FilterLayer::new(fence));
    Ok(client.build())
}

/// A configuration with which nothing is tried again behind the caller's back.
pub fn without_retries(config: &Config) -> Config {
    let mut config = config.clone();
    config.default_retry = false;
    config
}
