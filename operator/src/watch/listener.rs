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

/// The pause after a failure, doubled each time. The longest is well below the client's own timeouts, into
/// which a request that isn't polled meanwhile could run.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Passes every event to `take`, and retries failures with backoff and jitter.
pub async fn listen<K>(api: Api<K>, config: watcher::Config, mut take: impl FnMut(Event<K>))
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let kind = K::kind(&());
    let events = watcher(api, config);
    pin_mut!(events);
    let mut pause = FIRST_PAUSE;
    let mut failing = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                // A list that has only started does not count as success.
                if !matches!(event, Event::Init) {
                    if failing {
                        info!(%kind, "the watch works again");
                    }
                    (pause, failing) = (FIRST_PAUSE, false);
                }
                take(event);
            }
            Err(error) => {
                if !failing {
                    warn!(%kind, error = watch_error_text(&error), "the watch failed; it is tried again until it succeeds");
                }
                failing = true;
                sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}
