//! Decides whether an object belongs to a function. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::names::{MANAGER, annotation, label};

/// Whether an object belongs to the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It is the function's child.
    Ours,
    /// It belonged to a deleted function of the same name; the garbage collector removes it.
    Orphaned,
    /// It belongs to something else, named in the text.
    Foreign(String),
}

/// Whether an object belongs to the function of this name and uid.
pub fn ownership(object: &ObjectMeta, name: &str, uid: &str) -> Ownership {
    match controller(object) {
        Some(owner) if owner.uid == uid => Ownership::Ours,
        Some(owner) if owner.kind == "DestinationFunction" && owner.name == name => Ownership::Orphaned,
        Some(owner) => Ownership::Foreign(format!("it belongs to the {} {}", owner.kind, owner.name)),
        // The owner reference was removed by hand; labels and annotation remain.
        None if is_marked(object, name) => Ownership::Ours,
        None => Ownership::Foreign("it belongs to no function".to_owned()),
    }
}

fn is_marked(object: &ObjectMeta, name: &str) -> bool {
    let value = |map: &Option<BTreeMap<String, String>>, key| map.as_ref().and_then(|map| map.get(key)).cloned();
    value(&object.labels, label::MANAGED_BY).as_deref() == Some(MANAGER)
        && value(&object.labels, label::FUNCTION).as_deref() == Some(name)
        && value(&object.annotations, annotation::APPLIED_HASH).is_some()
}

/// The owner reference with `controller: true`; Kubernetes allows at most one.
pub fn controller(object: &ObjectMeta) -> Option<&OwnerReference> {
    object.owner_references.as_ref()?.iter().find(|owner| owner.controller == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::labels;

    fn owned_by(kind: &str, name: &str, uid: &str, controller: bool) -> ObjectMeta {
        let owner = OwnerReference {
            kind: kind.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            controller: Some(controller),
            ..OwnerReference::default()
        };
        ObjectMeta { owner_references: Some(vec![owner]), ..ObjectMeta::default() }
    }

    #[test]
    fn the_uid_tells_ours_from_others() {
        let of = |object: &ObjectMeta| ownership(object, "orders", "u1");
        assert_eq!(of(&owned_by("DestinationFunction", "orders", "u1", true)), Ownership::Ours);
        assert_eq!(of(&owned_by("DestinationFunction", "orders", "u0", true)), Ownership::Orphaned);
        for foreign in [
            owned_by("DestinationFunction", "orders", "u1", false),
            owned_by("DestinationFunction", "other", "u2", true),
            owned_by("Deployment", "orders", "u3", true),
            ObjectMeta::default(),
        ] {
            assert!(matches!(of(&foreign), Ownership::Foreign(_)), "{foreign:?}");
        }
        let marked = ObjectMeta {
            labels: Some(labels([(label::MANAGED_BY, MANAGER), (label::FUNCTION, "orders")])),
            annotations: Some(labels([(annotation::APPLIED_HASH, "1")])),
            ..ObjectMeta::default()
        };
        assert_eq!(of(&marked), Ownership::Ours);
        assert!(matches!(ownership(&marked, "other", "u1"), Ownership::Foreign(_)));
    }
}
