//! Records when each watch last received data, to detect dead watches.
//!
//! A silently dropped connection looks like a cluster in which nothing changes. But the API server
//! sends a bookmark about every minute and ends every watch at its timeout, after which a new one
//! starts: a watch that receives nothing for longer is dead.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Body as HttpBody;
use hyper::{Request, Response};
use kube::client::Body;
use parking_lot::{Mutex, MutexGuard};
use tower::{BoxError, Service};

use super::request::is_watch;

/// When each watch last received data, by request path. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct WatchActivity(Arc<Mutex<BTreeMap<String, Instant>>>);

impl WatchActivity {
    /// The paths of the watches that have received nothing for longer than `max_silence`.
    pub fn silent(&self, max_silence: Duration) -> Vec<String> {
        let heard = self.heard();
        heard.iter().filter(|(_, at)| at.elapsed() > max_silence).map(|(watch, _)| watch.clone()).collect()
    }

    /// Forgets all watches: a standby process has none.
    pub fn forget(&self) {
        self.heard().clear();
    }

    fn record(&self, watch: &str) {
        self.heard().insert(watch.to_owned(), Instant::now());
    }

    fn heard(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.0.lock()
    }
}

/// Middleware that records the time of a watch's data.
#[derive(Clone, Debug)]
pub struct WatchingClient<S> {
    pub(super) inner: S,
    pub(super) activity: WatchActivity,
}

type BoxedResponse = Response<UnsyncBoxBody<Bytes, BoxError>>;

impl<S, B> Service<Request<Body>> for WatchingClient<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = BoxedResponse;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<BoxedResponse, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let watch = is_watch(&request).then(|| request.uri().path().to_owned());
        let activity = self.activity.clone();
        if let Some(watch) = &watch {
            // Counted from here, a watch that never gets an answer is silent, too.
            activity.heard().entry(watch.clone()).or_insert_with(Instant::now);
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await.map_err(Into::into)?;
            let watch = watch.filter(|_| answer.status().is_success());
            if let Some(watch) = &watch {
                activity.record(watch);
            }
            Ok(answer.map(|body| {
                let body = body.map_err(Into::into);
                match watch {
                    None => body.boxed_unsync(),
                    Some(watch) => {
                        let heard = move |frame| {
                            activity.record(&watch);
                            frame
                        };
                        body.map_frame(heard).boxed_unsync()
                    }
                }
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_silent_once_it_receives_no_data() {
        let activity = WatchActivity::default();
        activity.record("/api/v1/pods");
        assert_eq!(activity.silent(Duration::from_secs(60)), Vec::<String>::new());
        assert_eq!(activity.silent(Duration::ZERO), ["/api/v1/pods"]);
        activity.forget();
        assert!(activity.silent(Duration::ZERO).is_empty());
    }
}
