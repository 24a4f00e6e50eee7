//! Caches that a test fills in place of watches.

use kube::runtime::reflector::store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use serde_json::Value;

use super::caches::Caches;
use super::grouped::{Feeder, Grouped};
use super::prune;
use crate::function::GuardedFunction;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::PartialObjectMeta;
use serde::de::DeserializeOwned;

/// Caches, with their writers.
pub struct FilledCaches {
    /// The caches.
    pub caches: Caches,
    functions: Writer<GuardedFunction>,
    deployments: Writer<Deployment>,
    services: Writer<Service>,
    service_accounts: Writer<ServiceAccount>,
    network_policies: Writer<NetworkPolicy>,
    disruption_budgets: Writer<PodDisruptionBudget>,
    config_maps: Feeder<ConfigMap>,
    replica_sets: Feeder<PartialObjectMeta<ReplicaSet>>,
    pods: Feeder<Pod>,
}

/// Empty caches.
impl Default for FilledCaches {
    fn default() -> Self {
        let (functions, deployments, services) = (store(), store(), store());
        let (service_accounts, network_policies, disruption_budgets) = (store(), store(), store());
        let (config_maps, replica_sets, pods) = (Grouped::default(), Grouped::default(), Grouped::default());
        let caches = Caches {
            functions: functions.0,
            deployments: deployments.0,
            services: services.0,
            service_accounts: service_accounts.0,
            network_policies: network_policies.0,
            disruption_budgets: disruption_budgets.0,
            config_maps: config_maps.clone(),
            replica_sets: replica_sets.clone(),
            pods: pods.clone(),
            complete: Vec::new(),
        };
        Self {
            caches,
            functions: functions.1,
            deployments: deployments.1,
            services: services.1,
            service_accounts: service_accounts.1,
            network_policies: network_policies.1,
            disruption_budgets: disruption_budgets.1,
            config_maps: Feeder::new(config_maps),
            replica_sets: Feeder::new(replica_sets),
            pods: Feeder::new(pods),
        }
    }
}

impl FilledCaches {
    /// Replaces the contents with the objects that `objects` returns for each plural, like a watch that lists again.
    pub fn relist(&mut self, objects: impl Fn(&str) -> Vec<Value>) {
        let (functions, deployments) = (&mut self.functions, &mut self.deployments);
        list(objects("destinationfunctions"), |event| functions.apply_watcher_event(event));
        list(objects("deployments"), |event| deployments.apply_watcher_event(event));
        list(objects("services"), |event| self.services.apply_watcher_event(event));
        list(objects("serviceaccounts"), |event| self.service_accounts.apply_watcher_event(event));
        list(objects("networkpolicies"), |event| self.network_policies.apply_watcher_event(event));
        list(objects("poddisruptionbudgets"), |event| self.disruption_budgets.apply_watcher_event(event));
        list(objects("configmaps"), |event| self.config_maps.feed(event));
        list(objects("replicasets"), |event| self.replica_sets.feed(event));
        list(objects("pods"), |event| self.pods.feed(event));
    }
}

fn list<K: DeserializeOwned + ResourceExt>(objects: Vec<Value>, mut write: impl FnMut(&Event<K>)) {
    write(&Event::Init);
    for object in objects {
        let mut object: K = serde_json::from_value(object).expect("an object of this kind");
        prune::managed_fields(&mut object);
        write(&Event::InitApply(object));
    }
    write(&Event::InitDone);
}
