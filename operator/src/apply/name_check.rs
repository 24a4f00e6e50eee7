//! Detects objects of others that have the name of a child.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;

use super::{Applier, ApplyError, Child};
use crate::build::ChildMeta;
use crate::owner_references::{Ownership, ownership};

impl Applier {
    /// Checks that no object of others has the name of the function's child of this kind. One that the cache lacks is
    /// looked up in the API server, until none was found once: the watches select only objects with the operator's label.
    ///
    /// # Errors
    /// If an object that isn't the function's has the name, or the API server refuses.
    pub async fn check_name<K: Child>(&self, meta: &ChildMeta, cached: Option<&K>) -> Result<(), ApplyError> {
        if let Some(cached) = cached {
            return check_owned(cached, meta);
        }
        let (function, kind) = (meta.function(), K::kind(&()));
        if self.free_names.lock().get(&function).is_some_and(|kinds| kinds.contains(&kind)) {
            return Ok(());
        }
        let api: Api<K> = Api::namespaced(self.client.clone(), &meta.namespace);
        let found = api.get_metadata_opt(&meta.name).await;
        match found.map_err(|source| ApplyError::api::<K>(&meta.name, source))? {
            Some(found) => check_owned_metadata::<K>(&found.metadata, meta),
            None => {
                self.free_names.lock().entry(function).or_default().insert(kind);
                Ok(())
            }
        }
    }
}

/// Checks that the object is the function's child.
pub(super) fn check_owned<K: Child>(object: &K, meta: &ChildMeta) -> Result<(), ApplyError> {
    check_owned_metadata::<K>(object.meta(), meta)
}

fn check_owned_metadata<K: Child>(object: &ObjectMeta, meta: &ChildMeta) -> Result<(), ApplyError> {
    let (kind, name) = (K::kind(&()).into_owned(), object.name.clone().unwrap_or_default());
    match ownership(object, &meta.name, &meta.uid) {
        Ownership::Ours => Ok(()),
        Ownership::Orphaned => Err(ApplyError::Orphaned { kind, name }),
        Ownership::Foreign(owner) => Err(ApplyError::Clash { kind, name, owner }),
    }
}
