//! Functions as the operator's parts speak of them.

use std::fmt;

use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tributary_crds::DestinationFunction;

use crate::names::label;
use crate::owner_references::controller;

/// A function as it was read: one that can't be understood, stored under other rules, is its own
/// trouble and nobody else's.
pub type Guarded = DeserializeGuard<DestinationFunction>;

/// Which function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl FunctionRef {
    /// The function of this name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The function that this is.
    pub fn of<K: Resource>(function: &K) -> Self {
        Self::new(function.namespace().unwrap_or_default(), function.name_any())
    }

    /// The function that a child belongs to, or a pod is labelled with. Owners go before labels, which
    /// are sooner edited by hand.
    pub fn of_child<K: ResourceExt>(child: &K) -> Option<Self> {
        let owner = controller(child.meta()).filter(|owner| owner.kind == "DestinationFunction");
        let name = owner.map(|owner| &owner.name).or_else(|| child.labels().get(label::FUNCTION))?;
        Some(Self::new(child.namespace().unwrap_or_default(), name))
    }

    /// An object of the namespace, as stores look it up.
    pub fn sibling<K: Resource<DynamicType = ()>>(&self, name: &str) -> ObjectRef<K> {
        ObjectRef::new(name).within(&self.namespace)
    }
}

impl From<FunctionRef> for ObjectRef<Guarded> {
    fn from(function: FunctionRef) -> Self {
        Self::new(&function.name).within(&function.namespace)
    }
}

impl fmt::Display for FunctionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
