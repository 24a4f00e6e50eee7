//! References to functions, also from their children.

use std::fmt;

use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tributary_crds::DestinationFunction;

use crate::names::label;
use crate::owner_references::controller;

/// A function as the watch reads it. One that doesn't deserialize, stored under another schema, doesn't
/// fail the watch.
pub type GuardedFunction = DeserializeGuard<DestinationFunction>;

/// The namespace and name of a function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl FunctionRef {
    /// The function of this name, which need not exist.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The reference to this function, guarded or not.
    pub fn of<K: Resource>(function: &K) -> Self {
        Self::new(function.namespace().unwrap_or_default(), function.name_any())
    }

    /// The function of a child or pod: by its owner reference, else by its label, which is more often edited
    /// by hand.
    pub fn of_child<K: ResourceExt>(child: &K) -> Option<Self> {
        let owner = controller(child.meta()).filter(|owner| owner.kind == "DestinationFunction");
        let name = owner.map(|owner| &owner.name).or_else(|| child.labels().get(label::FUNCTION))?;
        Some(Self::new(child.namespace().unwrap_or_default(), name))
    }

    /// A key for a store: the object of this name in the function's namespace.
    pub fn sibling<K: Resource<DynamicType = ()>>(&self, name: &str) -> ObjectRef<K> {
        ObjectRef::new(name).within(&self.namespace)
    }
}

impl From<FunctionRef> for ObjectRef<GuardedFunction> {
    fn from(function: FunctionRef) -> Self {
        Self::new(&function.name).within(&function.namespace)
    }
}

impl fmt::Display for FunctionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
