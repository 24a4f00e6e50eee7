//! The metadata that all children of a function share.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use tributary_crds::DestinationFunction;

use crate::function::FunctionRef;
use crate::names::{MANAGER, SIDECAR, label, labels};

/// Names, labels and owner that all children of a function have.
#[derive(Clone, Debug)]
pub struct ChildMeta {
    /// The function's name, which all children but ConfigMaps have too.
    pub name: String,
    /// The function's namespace.
    pub namespace: String,
    /// The function's uid, by which its children are known.
    pub uid: String,
    owner: Option<OwnerReference>,
}

impl ChildMeta {
    /// The function's.
    pub fn of(function: &DestinationFunction) -> Self {
        let metadata = &function.metadata;
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            // A deletion in the foreground waits for the children.
            owner: function
                .controller_owner_ref(&())
                .map(|owner| OwnerReference { block_owner_deletion: Some(true), ..owner }),
        }
    }

    /// The function itself.
    pub fn function(&self) -> FunctionRef {
        FunctionRef::new(&self.namespace, &self.name)
    }

    /// The labels by which a function's pods are found.
    pub fn selector(&self) -> BTreeMap<String, String> {
        labels([(label::FUNCTION, &self.name), (label::NAME, SIDECAR)])
    }

    /// The same as text, as autoscalers want it.
    pub fn selector_text(&self) -> String {
        let pairs: Vec<_> = self.selector().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(",")
    }

    /// The labels of every child.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut all = self.selector();
        all.extend(labels([(label::MANAGED_BY, MANAGER)]));
        all
    }

    /// The metadata of a child of this name.
    pub fn metadata(&self, name: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels()),
            owner_references: self.owner.clone().map(|owner| vec![owner]),
            ..ObjectMeta::default()
        }
    }
}
