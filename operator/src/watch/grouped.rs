//! A cache for kinds of which a function has several objects.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::watcher::Event;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::function::FunctionRef;

/// Objects by function, then by name. Clones share the contents.
#[derive(Debug)]
pub struct Grouped<K>(Arc<RwLock<Groups<K>>>);

type Groups<K> = HashMap<FunctionRef, BTreeMap<String, Arc<K>>>;

impl<K> Clone for Grouped<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Grouped<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: ResourceExt> Grouped<K> {
    /// The function's objects, sorted by name.
    pub fn of(&self, function: &FunctionRef) -> Vec<Arc<K>> {
        self.read().get(function).map(|group| group.values().cloned().collect()).unwrap_or_default()
    }

    /// The function's object of this name.
    pub fn get(&self, function: &FunctionRef, name: &str) -> Option<Arc<K>> {
        self.read().get(function)?.get(name).cloned()
    }

    /// All objects, with their functions.
    pub fn all(&self) -> Vec<(FunctionRef, Arc<K>)> {
        let groups = self.read();
        let each = groups.iter().flat_map(|(function, group)| group.values().map(move |object| (function, object)));
        each.map(|(function, object)| (function.clone(), Arc::clone(object))).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Groups<K>> {
        self.0.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Groups<K>> {
        self.0.write()
    }
}

/// Writes watch events into a [`Grouped`]; each has exactly one.
#[derive(Debug)]
pub(super) struct Feeder<K> {
    groups: Grouped<K>,
    /// A new list, until it is complete.
    listing: Groups<K>,
}

impl<K: ResourceExt + Clone> Feeder<K> {
    pub(super) fn new(groups: Grouped<K>) -> Self {
        Self { groups, listing: Groups::new() }
    }

    pub(super) fn feed(&mut self, event: &Event<K>) {
        match event {
            Event::Init => self.listing.clear(),
            Event::InitApply(object) => put(&mut self.listing, object),
            Event::InitDone => *self.groups.write() = mem::take(&mut self.listing),
            Event::Apply(object) => {
                let mut groups = self.groups.write();
                remove(&mut groups, object);
                put(&mut groups, object);
            }
            Event::Delete(object) => remove(&mut self.groups.write(), object),
        }
    }
}

fn put<K: ResourceExt + Clone>(groups: &mut Groups<K>, object: &K) {
    if let Some(function) = FunctionRef::of_child(object) {
        groups.entry(function).or_default().insert(object.name_any(), Arc::new(object.clone()));
    }
}

/// Removes an object from its group: another function's, if its owner or label has changed meanwhile.
fn remove<K: ResourceExt>(groups: &mut Groups<K>, object: &K) {
    let name = object.name_any();
    let namespace = object.namespace().unwrap_or_default();
    let labelled = FunctionRef::of_child(object);
    let found = labelled.filter(|function| groups.get(function).is_some_and(|group| group.contains_key(&name)));
    let found = found.or_else(|| {
        let mut others = groups.iter().filter(|(function, _)| function.namespace == namespace);
        others.find(|(_, group)| group.contains_key(&name)).map(|(function, _)| function.clone())
    });
    let Some(function) = found else { return };
    if let Some(group) = groups.get_mut(&function) {
        group.remove(&name);
        if group.is_empty() {
            groups.remove(&function);
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::api::ObjectMeta;

    use super::*;
    use crate::names::{label, labels};

    fn pod(name: &str, function: &str) -> Pod {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("shop".to_owned()),
            labels: Some(labels([(label::FUNCTION, function)])),
            ..ObjectMeta::default()
        };
        Pod { metadata, ..Pod::default() }
    }

    fn names(pods: &Grouped<Pod>, function: &str) -> Vec<String> {
        pods.of(&FunctionRef::new("shop", function)).iter().map(|pod| pod.name_any()).collect()
    }

    #[test]
    fn objects_are_grouped_by_function() {
        let pods = Grouped::default();
        let mut feeder = Feeder::new(pods.clone());
        for event in [
            Event::Init,
            Event::InitApply(pod("b", "one")),
            Event::InitApply(pod("a", "one")),
            Event::InitApply(pod("c", "two")),
        ] {
            feeder.feed(&event);
        }
        assert_eq!(names(&pods, "one"), Vec::<String>::new());
        feeder.feed(&Event::InitDone);
        assert_eq!((names(&pods, "one"), names(&pods, "two")), (vec!["a".into(), "b".into()], vec!["c".into()]));
        assert_eq!(pods.all().len(), 3);

        feeder.feed(&Event::Apply(pod("a", "two")));
        feeder.feed(&Event::Delete(pod("c", "two")));
        assert_eq!((names(&pods, "one"), names(&pods, "two")), (vec!["b".into()], vec!["a".into()]));
        assert!(pods.get(&FunctionRef::new("shop", "two"), "a").is_some());

        // A new list replaces the old contents.
        feeder.feed(&Event::Init);
        feeder.feed(&Event::InitApply(pod("d", "one")));
        feeder.feed(&Event::InitDone);
        assert_eq!((names(&pods, "one"), names(&pods, "two")), (vec!["d".to_owned()], Vec::new()));
    }
}
