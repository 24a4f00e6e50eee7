//! Runs one watch and retries it with backoff, for as long as it is polled.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::{StreamExt, pin_mut};
use kube::Resource;
use kube::api::Api;
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::api_error::watch_error_text;

/// The delay after a failure, doubled each time. The longest is well below the client's own timeouts, which
/// could expire for a request that isn't polled meanwhile.
const INITIAL_RETRY_DELAY: Duration = Duration::from_millis(200);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);

/// Passes every event to `handle`, and retries failures with backoff and jitter.
pub async fn listen<K>(api: Api<K>, config: watcher::Config, mut handle: impl FnMut(Event<K>))
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let kind = K::kind(&());
    let events = watcher(api, config);
    pin_mut!(events);
    let mut delay = INITIAL_RETRY_DELAY;
    let mut failing = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                // A list that has only started does not count as success.
                if !matches!(event, Event::Init) {
                    if failing {
                        info!(%kind, "the watch works again");
                    }
                    (delay, failing) = (INITIAL_RETRY_DELAY, false);
                }
                handle(event);
            }
            Err(error) => {
                if !failing {
                    warn!(%kind, error = watch_error_text(&error), "the watch failed; it is retried until it succeeds");
                }
                failing = true;
                sleep(delay.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
                delay = (delay * 2).min(MAX_RETRY_DELAY);
            }
        }
    }
}
