//! All caches of one scope.

use std::fmt::Debug;
use std::hash::Hash;

use futures_util::future::BoxFuture;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::reflector::{Store, store};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

use super::grouped::{Feeder, Grouped};
use super::{listener, prune};
use crate::function::{FunctionRef, Guarded};
use crate::names::{MANAGER, label};

/// Where functions are looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In all namespaces.
    Cluster,
    /// In this one.
    Namespace(String),
}

impl Scope {
    /// Whether the function is looked after here.
    pub fn has(&self, function: &FunctionRef) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespace(namespace) => *namespace == function.namespace,
        }
    }

    /// The API for a kind, within the scope.
    pub fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }
}

/// What is in the cluster, of functions, their children and their pods.
#[derive(Clone, Debug)]
pub struct Caches {
    /// The functions.
    pub functions: Store<Guarded>,
    /// The functions' Deployments.
    pub deployments: Store<Deployment>,
    /// The functions' Services.
    pub services: Store<Service>,
    /// The functions' ServiceAccounts.
    pub service_accounts: Store<ServiceAccount>,
    /// The functions' NetworkPolicies.
    pub network_policies: Store<NetworkPolicy>,
    /// The functions' PodDisruptionBudgets.
    pub disruption_budgets: Store<PodDisruptionBudget>,
    /// Configurations, of which a function may have several while it rolls.
    pub config_maps: Grouped<ConfigMap>,
    /// Between Deployments and pods.
    pub replica_sets: Grouped<PartialObjectMeta<ReplicaSet>>,
    /// The sidecars.
    pub pods: Grouped<Pod>,
    complete: Vec<watch::Receiver<bool>>,
}

/// Makes the caches, and what keeps them current while it is polled: a future for each kind.
/// Functions that a change concerns go into `triggers`.
pub fn fill(
    client: &Client,
    scope: &Scope,
    watch_timeout: u32,
    triggers: &mpsc::UnboundedSender<FunctionRef>,
) -> (Caches, Vec<BoxFuture<'static, ()>>) {
    let mut filling = Filling {
        client,
        scope,
        any: watcher::Config::default().timeout(watch_timeout),
        ours: watcher::Config::default().timeout(watch_timeout).labels(&format!("{}={MANAGER}", label::MANAGED_BY)),
        triggers,
        functions: None,
        watches: Vec::new(),
        complete: Vec::new(),
    };
    let functions = filling.functions();
    filling.functions = Some(functions.clone());
    let caches = Caches {
        functions,
        deployments: filling.named(prune::deployment),
        services: filling.named(prune::books),
        service_accounts: filling.named(prune::books),
        network_policies: filling.named(prune::books),
        disruption_budgets: filling.named(prune::books),
        config_maps: filling.grouped(prune::books),
        replica_sets: filling.grouped(prune::books),
        pods: filling.grouped(prune::pod),
        complete: filling.complete,
    };
    (caches, filling.watches)
}

impl Caches {
    /// Ends when all are complete: before, what is not there may just not be known.
    pub async fn complete(&self) {
        for complete in &self.complete {
            // Never an error while the watches are polled; and if they are not, nothing is looked after.
            let _ = complete.clone().wait_for(|complete| *complete).await;
        }
    }
}

struct Filling<'a> {
    client: &'a Client,
    scope: &'a Scope,
    any: watcher::Config,
    ours: watcher::Config,
    triggers: &'a mpsc::UnboundedSender<FunctionRef>,
    functions: Option<Store<Guarded>>,
    watches: Vec<BoxFuture<'static, ()>>,
    complete: Vec<watch::Receiver<bool>>,
}

impl Filling<'_> {
    fn functions(&mut self) -> Store<Guarded> {
        let (reader, mut writer) = store::<Guarded>();
        let config = self.any.clone();
        self.listen(
            config,
            |function| Some(FunctionRef::of(function)),
            move |event| writer.apply_watcher_event(event),
            prune::books,
        );
        reader
    }

    fn named<K>(&mut self, prune: fn(&mut K)) -> Store<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let (reader, mut writer) = store::<K>();
        let config = self.ours.clone();
        self.listen(config, FunctionRef::of_child, move |event| writer.apply_watcher_event(event), prune);
        reader
    }

    fn grouped<K>(&mut self, prune: fn(&mut K)) -> Grouped<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let groups = Grouped::default();
        let mut feeder = Feeder::new(groups.clone());
        let config = self.ours.clone();
        self.listen(config, FunctionRef::of_child, move |event| feeder.feed(event), prune);
        groups
    }

    /// Adds a watch.
    fn listen<K>(
        &mut self,
        config: watcher::Config,
        function: impl Fn(&K) -> Option<FunctionRef> + Send + 'static,
        mut keep: impl FnMut(&Event<K>) + Send + 'static,
        prune: fn(&mut K),
    ) where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let api = self.scope.api::<K>(self.client);
        let (triggers, functions) = (self.triggers.clone(), self.functions.clone());
        let (complete, follower) = watch::channel(false);
        self.complete.push(follower);
        self.watches.push(Box::pin(listener::listen(api, config, move |mut event| {
            if let Event::Apply(object) | Event::InitApply(object) = &mut event {
                prune(object);
            }
            keep(&event);
            let concerned: Vec<_> = match &event {
                Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => {
                    function(object).into_iter().collect()
                }
                Event::InitDone => {
                    let listed_again = complete.send_replace(true);
                    // What went away while nobody listened is in no event.
                    let functions = functions.iter().filter(|_| listed_again).flat_map(Store::state);
                    functions.map(|function| FunctionRef::of(&*function)).collect()
                }
                Event::Init => Vec::new(),
            };
            for function in concerned {
                // Nobody looks after functions any more.
                let _ = triggers.send(function);
            }
        })));
    }
}

/// Stores are looked into by name.
pub fn get<K>(store: &Store<K>, function: &FunctionRef) -> Option<std::sync::Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    store.get(&function.sibling::<K>(&function.name))
}
