//! Runs one controller per scope while this process leads.

use std::sync::Arc;

use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::controller::rollouts::{RequeueRequests, Rollouts};
use crate::controller::{self, SharedDependencies};
use crate::metrics::Metrics;
use crate::platform::Platform;
use crate::process::flags::Flags;
use crate::process::health::Health;
use crate::status::events::Events;
use crate::watch::Scope;

/// The dependencies of the controllers, kept while leadership comes and goes.
pub struct Operator {
    client: Client,
    platform: Arc<Platform>,
    events: Events,
    scopes: Vec<Scope>,
    watch_timeout: u32,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

impl Operator {
    /// An operator that stands by.
    pub fn new(
        client: Client,
        flags: &Flags,
        events: Events,
        platform: Platform,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
    ) -> Self {
        Self {
            events,
            client,
            platform: Arc::new(platform),
            scopes: flags.scopes(),
            watch_timeout: flags.watch_timeout,
            metrics,
            health,
        }
    }

    /// Reconciles all functions for as long as it is polled. Every call starts with empty caches.
    pub async fn run_controllers(&self) {
        self.metrics.leads(true);
        let shared = SharedDependencies {
            client: self.client.clone(),
            platform: Arc::clone(&self.platform),
            events: self.events.clone(),
            rollouts: Arc::new(Rollouts::new(&self.platform)),
            requeue: RequeueRequests::default(),
            metrics: Arc::clone(&self.metrics),
            watch_timeout: self.watch_timeout,
        };
        // Dropped with this future, which aborts the controllers.
        let mut controllers = JoinSet::new();
        let mut all_synced = Vec::new();
        for scope in &self.scopes {
            let (synced, follower) = watch::channel(false);
            all_synced.push(follower);
            controllers.spawn(controller::run(shared.clone(), scope.clone(), synced));
        }
        self.health.leads(all_synced);
        while controllers.join_next().await.is_some() {}
    }

    /// Resets metrics and health once this process no longer leads.
    pub fn stand_by(&self) {
        self.metrics.leads(false);
        self.health.stands_by();
    }
}
