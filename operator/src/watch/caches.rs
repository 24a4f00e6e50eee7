//! The caches of one scope, each filled by a watch that also triggers reconciles.

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
use crate::function::{FunctionRef, GuardedFunction};
use crate::names::{MANAGER, label};

/// The namespaces in which one controller reconciles functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All namespaces.
    Cluster,
    /// A single namespace.
    Namespace(String),
}

impl Scope {
    /// Whether the function is in this scope.
    pub fn has(&self, function: &FunctionRef) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespace(namespace) => *namespace == function.namespace,
        }
    }

    /// The API of a kind, cluster-wide or in the one namespace.
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

/// Caches of the functions, their children and their pods. Clones share the contents.
#[derive(Clone, Debug)]
pub struct Caches {
    /// All functions of the scope.
    pub functions: Store<GuardedFunction>,
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
    /// The sidecars' configurations; a function may have several during a rollout.
    pub config_maps: Grouped<ConfigMap>,
    /// The owners between pods and Deployments.
    pub replica_sets: Grouped<PartialObjectMeta<ReplicaSet>>,
    /// The sidecars' pods.
    pub pods: Grouped<Pod>,
    pub(super) complete: Vec<watch::Receiver<bool>>,
}

/// Creates the caches and the watches, one per kind, which keep them current while polled. `watch_timeout` is in
/// seconds. Functions that a change concerns go into `triggers`.
pub fn fill(
    client: &Client,
    scope: &Scope,
    watch_timeout: u32,
    triggers: &mpsc::UnboundedSender<FunctionRef>,
) -> (Caches, Vec<BoxFuture<'static, ()>>) {
    let mut builder = CacheBuilder {
        client,
        scope,
        any: watcher::Config::default().timeout(watch_timeout),
        ours: watcher::Config::default().timeout(watch_timeout).labels(&format!("{}={MANAGER}", label::MANAGED_BY)),
        triggers,
        functions: None,
        watches: Vec::new(),
        complete: Vec::new(),
    };
    let functions = builder.functions();
    builder.functions = Some(functions.clone());
    let caches = Caches {
        functions,
        deployments: builder.named(prune::managed_fields),
        services: builder.named(prune::managed_fields),
        service_accounts: builder.named(prune::managed_fields),
        network_policies: builder.named(prune::managed_fields),
        disruption_budgets: builder.named(prune::managed_fields),
        config_maps: builder.grouped(prune::managed_fields),
        replica_sets: builder.grouped(prune::managed_fields),
        pods: builder.grouped(prune::pod),
        complete: builder.complete,
    };
    (caches, builder.watches)
}

impl Caches {
    /// Waits until all caches are complete: before, an absent object may just not be listed yet.
    pub async fn complete(&self) {
        for complete in &self.complete {
            // Fails only once the watches are dropped, when nothing is reconciled any more.
            let _ = complete.clone().wait_for(|complete| *complete).await;
        }
    }
}

struct CacheBuilder<'a> {
    client: &'a Client,
    scope: &'a Scope,
    any: watcher::Config,
    ours: watcher::Config,
    triggers: &'a mpsc::UnboundedSender<FunctionRef>,
    functions: Option<Store<GuardedFunction>>,
    watches: Vec<BoxFuture<'static, ()>>,
    complete: Vec<watch::Receiver<bool>>,
}

impl CacheBuilder<'_> {
    fn functions(&mut self) -> Store<GuardedFunction> {
        let (reader, mut writer) = store::<GuardedFunction>();
        let (config, functions, triggers) = (self.any.clone(), reader.clone(), self.triggers.clone());
        let keep = move |event: &Event<GuardedFunction>| {
            let before = if matches!(event, Event::InitDone) { functions.state() } else { Vec::new() };
            writer.apply_watcher_event(event);
            // No event reports a function that was deleted while the watch was down; its state must be dropped all the
            // same.
            for function in before.iter().map(|function| FunctionRef::of(&**function)) {
                if functions.get(&function.clone().into()).is_none() {
                    let _ = triggers.send(function);
                }
            }
        };
        self.listen(config, |function| Some(FunctionRef::of(function)), keep, prune::managed_fields);
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

    /// Adds a watch that passes events to `keep` and triggers functions.
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
                    // No event reports an object that was deleted while the watch was down.
                    let functions = functions.iter().filter(|_| listed_again).flat_map(Store::state);
                    functions.map(|function| FunctionRef::of(&*function)).collect()
                }
                Event::Init => Vec::new(),
            };
            for function in concerned {
                // Fails only once the controller has ended.
                let _ = triggers.send(function);
            }
        })));
    }
}

/// The function's child of this kind, which has the function's name.
pub fn get<K>(store: &Store<K>, function: &FunctionRef) -> Option<std::sync::Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    store.get(&function.sibling::<K>(&function.name))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use http_body_util::combinators::BoxBody;
    use http_body_util::{BodyExt, Full, StreamBody};
    use hyper::body::{Bytes, Frame};
    use hyper::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};
    use tokio::task::JoinSet;

    use super::*;

    /// An API server with one function, which is deleted while the watch of the functions is down: that watch ends with
    /// 410 Gone, so that the functions are listed again.
    async fn answer(
        lists: Arc<AtomicUsize>,
        request: Request<Body>,
    ) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
        let is_of_functions = request.uri().path().ends_with("/destinationfunctions");
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let text = |value: Value| Full::new(Bytes::from(format!("{value}\n"))).boxed();
        let body = match (is_of_functions, is_watch) {
            (true, true) if lists.load(Ordering::Relaxed) == 1 => {
                let gone = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "too old", "reason": "Expired", "code": 410});
                text(json!({"type": "ERROR", "object": gone}))
            }
            // A watch without events.
            (_, true) => StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>()).boxed(),
            (_, false) => {
                let is_there = is_of_functions && lists.fetch_add(1, Ordering::Relaxed) == 0;
                let orders = json!({"apiVersion": "tributary.dev/v1alpha1", "kind": "DestinationFunction",
                    "metadata": {"name": "orders", "namespace": "shop", "resourceVersion": "1"}, "spec": {}});
                let items = if is_there { vec![orders] } else { Vec::new() };
                text(json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "2"}, "items": items}))
            }
        };
        Ok(Response::new(body))
    }

    #[tokio::test]
    async fn a_function_that_is_deleted_while_its_watch_is_down_is_triggered() {
        let lists = Arc::new(AtomicUsize::new(0));
        let service = tower::service_fn(move |request| answer(Arc::clone(&lists), request));
        let (triggers, mut triggered) = mpsc::unbounded_channel();
        let (caches, watches) = fill(&Client::new(service, "default"), &Scope::Cluster, 60, &triggers);
        let mut tasks = JoinSet::new();
        for watch in watches {
            tasks.spawn(watch);
        }
        let orders = FunctionRef::new("shop", "orders");
        let mut next =
            async || tokio::time::timeout(Duration::from_secs(60), triggered.recv()).await.expect("a trigger");
        assert_eq!(next().await, Some(orders.clone()), "it is listed");
        assert_eq!(next().await, Some(orders), "it is gone");
        assert!(caches.functions.is_empty());
    }
}
