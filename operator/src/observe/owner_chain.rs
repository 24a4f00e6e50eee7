//! Decides by owner references whether a pod belongs to a function: anyone who can create pods can label them.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use crate::function::FunctionRef;
use crate::owner_references::controller;
use crate::watch::Caches;

/// The owners of a pod, from the function down to the ReplicaSet.
#[derive(Clone, Copy, Debug)]
struct Chain<'a> {
    /// The function's uid.
    function_uid: &'a str,
    /// The function's Deployment.
    deployment: &'a ObjectMeta,
    /// The ReplicaSet that the pod's owner reference names.
    replica_set: &'a ObjectMeta,
}

/// Whether the pod is controlled by the ReplicaSet, that by the Deployment, and that by the function.
fn belongs(pod: &ObjectMeta, chain: Chain<'_>) -> bool {
    let made_by = |object: &ObjectMeta, owner: Option<&str>| {
        owner.is_some() && controller(object).map(|owner| owner.uid.as_str()) == owner
    };
    made_by(pod, chain.replica_set.uid.as_deref())
        && made_by(chain.replica_set, chain.deployment.uid.as_deref())
        && made_by(chain.deployment, Some(chain.function_uid))
}

/// Whether the pod belongs to the function through its Deployment, by the caches and by uid: an object re-created under a
/// name does not count.
pub fn is_of(caches: &Caches, function: &FunctionRef, deployment: Option<&Deployment>, pod: &Pod) -> bool {
    let function_uid = caches.functions.get(&function.clone().into()).and_then(|function| function.uid());
    let set = controller(&pod.metadata).and_then(|owner| caches.replica_sets.get(function, &owner.name));
    match (function_uid, deployment, set) {
        (Some(uid), Some(deployment), Some(set)) => {
            let chain = Chain { function_uid: &uid, deployment: &deployment.metadata, replica_set: &set.metadata };
            belongs(&pod.metadata, chain)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;

    fn object(uid: &str, owner: &str) -> ObjectMeta {
        let owner = OwnerReference { uid: owner.to_owned(), controller: Some(true), ..OwnerReference::default() };
        ObjectMeta { uid: Some(uid.to_owned()), owner_references: Some(vec![owner]), ..ObjectMeta::default() }
    }

    #[test]
    fn every_link_must_hold() {
        let judge = |pod: &ObjectMeta, replica_set: &ObjectMeta, deployment: &ObjectMeta| {
            belongs(pod, Chain { function_uid: "f", deployment, replica_set })
        };
        let (pod, set, deployment) = (object("p", "r"), object("r", "d"), object("d", "f"));
        assert!(judge(&pod, &set, &deployment));
        assert!(!judge(&object("p", "x"), &set, &deployment));
        assert!(!judge(&pod, &object("r", "x"), &deployment));
        assert!(!judge(&pod, &set, &object("d", "x")));
        assert!(!judge(&ObjectMeta::default(), &ObjectMeta::default(), &ObjectMeta::default()));
    }
}
