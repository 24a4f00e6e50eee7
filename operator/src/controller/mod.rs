//! The controller of one scope: fills the caches, polls the sidecars, and reconciles each function that changes.

pub mod backoff;
pub mod last_accepted;
pub mod reconcile;
pub mod rivals;
pub mod rollouts;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, pin_mut, stream};
use jiff::Timestamp;
use kube::Client;
use kube::runtime::controller::{Config, Error, ReconcileRequest, applier};
use kube::runtime::reflector::ObjectRef;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::apply::Applier;
use crate::controller::backoff::Backoff;
use crate::controller::reconcile::{Context, forget, reconcile, retry};
use crate::controller::rivals::Rivals;
use crate::controller::rollouts::{RequeueRequests, Rollouts};
use crate::function::{FunctionRef, GuardedFunction};
use crate::metrics::Metrics;
use crate::observe::{Reports, SidecarPoller};
use crate::platform::Platform;
use crate::status::events::Events;
use crate::status::writer::StatusWriter;
use crate::watch::{Scope, fill};

/// Maximum number of functions reconciled concurrently, per scope.
const MAX_CONCURRENT_RECONCILES: u16 = 16;
/// Requests for the same function that follow each other this closely become one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// The dependencies that the controllers of all scopes share.
#[derive(Clone)]
pub struct SharedDependencies {
    /// The client that sends requests only while this process leads.
    pub client: Client,
    /// The platform's settings.
    pub platform: Arc<Platform>,
    /// Publishes Events on functions and on the operator's Lease.
    pub events: Events,
    /// The rollout slots, which all scopes share.
    pub rollouts: Arc<Rollouts>,
    /// Requeues functions whose rollout decision may have changed, in any scope.
    pub requeue: RequeueRequests,
    /// The operator's metrics.
    pub metrics: Arc<Metrics>,
    /// Seconds after which a watch is restarted.
    pub watch_timeout: u32,
}

/// Reconciles the functions of a scope for as long as it is polled. Sets `synced` once the caches are complete.
pub async fn run(shared: SharedDependencies, scope: Scope, synced: watch::Sender<bool>) {
    let (triggers, mut triggered) = mpsc::unbounded_channel::<FunctionRef>();
    let (caches, watches) = fill(&shared.client, &scope, shared.watch_timeout, &triggers);
    shared.requeue.subscribe(scope.clone(), triggers.clone());
    let reports = Reports::default();
    // Dropping it aborts the watches and the poller with this future.
    let mut tasks = JoinSet::new();
    for watch in watches {
        tasks.spawn(watch);
    }
    caches.complete().await;
    info!(?scope, functions = caches.functions.len(), "the caches are complete");
    synced.send_replace(true);
    for deployment in caches.deployments.state() {
        let Some(reference) = FunctionRef::of_child(&*deployment) else { continue };
        let function = caches.functions.get(&reference.clone().into());
        let status = function.as_ref().and_then(|function| function.0.as_ref().ok()?.status.as_ref());
        shared.rollouts.restore(&reference, status, &deployment, Timestamp::now());
    }
    tasks.spawn(SidecarPoller::new(caches.clone(), reports.clone(), triggers).run());

    let context = Arc::new(Context {
        rivals: Rivals::of(shared.platform.operator.as_deref().unwrap_or_default()),
        platform: shared.platform,
        applier: Applier::new(shared.client.clone()),
        status_writer: StatusWriter::new(shared.client, shared.events.clone()),
        events: shared.events,
        rollouts: shared.rollouts,
        backoff: Backoff::default(),
        metrics: shared.metrics,
        caches: caches.clone(),
        reports,
        requeue: shared.requeue,
    });
    let requests = stream::poll_fn(move |cx| triggered.poll_recv(cx))
        .map(|function| Ok::<_, Infallible>(ReconcileRequest::<GuardedFunction>::from(ObjectRef::from(function))));
    let config = Config::default().concurrency(MAX_CONCURRENT_RECONCILES).debounce(DEBOUNCE);
    let reconciles = applier(
        |function, context| Box::pin(reconcile(function, context)),
        retry,
        Arc::clone(&context),
        caches.functions,
        requests,
        config,
    );
    pin_mut!(reconciles);
    while let Some(result) = reconciles.next().await {
        match result {
            // `retry` has logged and counted the failure.
            Ok(_) | Err(Error::ReconcilerFailed(..)) => {}
            Err(Error::ObjectNotFound(function)) => {
                let reference = FunctionRef::new(function.namespace.clone().unwrap_or_default(), &function.name);
                forget(&reference, &context).await;
            }
            Err(error) => warn!(%error, "a function could not be reconciled"),
        }
    }
}
