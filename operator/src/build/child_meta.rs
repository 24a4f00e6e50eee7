//! Builds the metadata that all children of a function share.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use tributary_crds::DestinationFunction;

use crate::function::FunctionRef;
use crate::names::{MANAGER, SIDECAR, label, labels};

/// The name, labels and owner of a function's children.
#[derive(Clone, Debug)]
pub struct ChildMeta {
    /// The function's name, which all children but ConfigMaps have as well.
    pub name: String,
    /// The function's namespace.
    pub namespace: String,
    /// The function's uid, by which owner references name it.
    pub uid: String,
    owner: Option<OwnerReference>,
}

impl ChildMeta {
    /// The metadata for the children of this function.
    pub fn of(function: &DestinationFunction) -> Self {
        let metadata = &function.metadata;
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            // Foreground deletion of the function then waits for the children.
            owner: function
                .controller_owner_ref(&())
                .map(|owner| OwnerReference { block_owner_deletion: Some(true), ..owner }),
        }
    }

    /// A reference to the function itself.
    pub fn function(&self) -> FunctionRef {
        FunctionRef::new(&self.namespace, &self.name)
    }

    /// The labels that select the function's pods. They must not change: a Deployment's selector is immutable.
    pub fn selector(&self) -> BTreeMap<String, String> {
        labels([(label::FUNCTION, &self.name), (label::NAME, SIDECAR)])
    }

    /// The selector as text, for the scale subresource.
    pub fn selector_text(&self) -> String {
        let pairs: Vec<_> = self.selector().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(",")
    }

    /// The labels of every child: the selector, and the watches' label.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut all = self.selector();
        all.extend(labels([(label::MANAGED_BY, MANAGER)]));
        all
    }

    /// The metadata of a child of this name, without annotations.
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
