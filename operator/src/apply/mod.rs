//! Brings a child to what it should be, with as few requests as possible.
//!
//! A child that isn't there is created by a plain POST, which takes nothing over; what is there is
//! applied under one field manager, with its uid, so that nothing that came in its place is touched.
//! Where nothing differs nothing is asked.

mod child;
pub mod difference;
mod error;
mod managed_fields;

use std::collections::HashMap;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use parking_lot::{Mutex, MutexGuard};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::{debug, info, warn};
use tributary_crds::DestinationFunction;

use crate::build::ChildMeta;
use crate::function::FunctionRef;
use crate::names::{MANAGER, annotation};
use crate::owner_references::{Ownership, ownership};
use crate::resource_version::number;
use difference::is_current;

pub use child::Child;
pub use error::{ApplyError, REASONS};

/// What writes children.
pub struct Applier {
    client: Client,
    /// What was applied last, and what came of it: of objects that somebody else changes back at
    /// once, and of caches that are behind.
    written: Mutex<HashMap<FunctionRef, HashMap<String, Written>>>,
}

#[derive(Clone, Debug)]
struct Written {
    applied: Option<String>,
    resource_version: Option<String>,
    /// How often in a row it did not become what was applied.
    in_vain: u32,
    /// The generation that would not become what it should be, whatever was applied.
    futile: Option<i64>,
}

/// How often a child is applied before the operator gives in to what changes it back: once may be a coincidence.
const ATTEMPTS: u32 = 3;

impl Applier {
    /// Writes with this client.
    pub fn new(client: Client) -> Self {
        Self { client, written: Mutex::default() }
    }

    /// Brings the child to what is desired. `cached` is what is known of it.
    ///
    /// # Errors
    /// When the name is somebody else's, or the API server refuses.
    pub async fn ensure<K: Child>(&self, meta: &ChildMeta, desired: &K, cached: Option<&K>) -> Result<(), ApplyError> {
        let name = desired.name_any();
        let api: Api<K> = Api::namespaced(self.client.clone(), &meta.namespace);
        let fail = |source| ApplyError::api::<K>(&name, source);
        if let Some(cached) = cached {
            check_owned(cached, meta)?;
            let is_current = is_settled(cached, &desired.beside(cached)) && !desired.excludes(cached);
            if is_current || self.is_behind(meta, cached, desired) {
                return Ok(());
            }
        } else {
            match self.create(meta, &api, desired).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                created => return created.map_err(fail),
            }
        }
        // The cache has no books, and may be behind.
        let live = api.get(&name).await.map_err(fail)?;
        check_owned(&live, meta)?;
        if desired.excludes(&live) {
            self.remove(meta, Some(&live)).await?;
            return self.create(meta, &api, desired).await.map_err(fail);
        }
        let desired = desired.beside(&live);
        if is_settled(&live, &desired) {
            self.record(meta, &live, &desired, true);
            return Ok(());
        }
        let live = match desired.cleaning(&live) {
            Some(patch) => clean(&api, &live, patch).await.map_err(fail)?,
            None => live,
        };
        let applied = apply(&api, &live, &desired).await.map_err(fail)?;
        info!(kind = %K::kind(&()), namespace = meta.namespace, name, "applied");
        let took = is_settled(&applied, &desired);
        if !took {
            debug!(kind = %K::kind(&()), namespace = meta.namespace, name, "something changes it back at once");
        }
        self.record(meta, &applied, &desired, took);
        Ok(())
    }

    async fn create<K: Child>(&self, meta: &ChildMeta, api: &Api<K>, desired: &K) -> kube::Result<()> {
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let created = api.create(&params, desired).await?;
        info!(kind = %K::kind(&()), namespace = meta.namespace, name = created.name_any(), "created");
        self.record(meta, &created, desired, true);
        Ok(())
    }

    /// The child of that name, whether or not the caches know it: somebody may have taken its labels away, by which
    /// watches find it.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn find<K: Child>(&self, meta: &ChildMeta, name: &str) -> Result<Option<K>, ApplyError> {
        let api: Api<K> = Api::namespaced(self.client.clone(), &meta.namespace);
        let live = api.get_opt(name).await.map_err(|source| ApplyError::api::<K>(name, source))?;
        Ok(live.filter(|live| ownership(live.meta(), &meta.name, &meta.uid) == Ownership::Ours))
    }

    /// Removes the child of that name, if there is one ([`find`](Self::find)). Whether there is none of the function's
    /// any more.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn remove_named<K: Child>(&self, meta: &ChildMeta, name: &str) -> Result<bool, ApplyError> {
        let ours: Option<K> = self.find(meta, name).await?;
        self.remove(meta, ours.as_ref()).await?;
        Ok(ours.is_none())
    }

    /// Writes how many sidecars there are into a function that doesn't say: [`scale`](crate::build::replicas) says why.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn fill_in(&self, function: &DestinationFunction, replicas: i32) -> Result<(), ApplyError> {
        let name = function.name_any();
        let api: Api<DestinationFunction> =
            Api::namespaced(self.client.clone(), &function.namespace().unwrap_or_default());
        // Of this version: somebody may have said a number since.
        let metadata = json!({"resourceVersion": function.resource_version()});
        let patch = Patch::Merge(json!({"metadata": metadata, "spec": {"replicas": replicas}}));
        match api.patch_scale(&name, &by_us(), &patch).await {
            // The next look, at the next version, goes by it; or the function is gone.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            filled => filled.map(|_| ()).map_err(|source| ApplyError::api::<DestinationFunction>(&name, source)),
        }
    }

    /// Writes `spec.replicas` alone, of a Deployment that must not change otherwise yet.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn scale(&self, meta: &ChildMeta, replicas: i32) -> Result<(), ApplyError> {
        type Deployment = k8s_openapi::api::apps::v1::Deployment;
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &meta.namespace);
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let scaled = api.patch(&meta.name, &by_us(), &patch).await;
        scaled.map(|_| ()).map_err(|source| ApplyError::api::<Deployment>(&meta.name, source))
    }

    /// Deletes a child that is no longer wanted, if it is the function's.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn remove<K>(&self, meta: &ChildMeta, cached: Option<&K>) -> Result<(), ApplyError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let Some(cached) = cached.filter(|cached| cached.meta().deletion_timestamp.is_none()) else { return Ok(()) };
        if ownership(cached.meta(), &meta.name, &meta.uid) != Ownership::Ours {
            return Ok(());
        }
        let (name, api) = (cached.name_any(), Api::<K>::namespaced(self.client.clone(), &meta.namespace));
        let params =
            DeleteParams::background().preconditions(Preconditions { uid: cached.uid(), ..Preconditions::default() });
        match api.delete(&name, &params).await {
            Ok(_) => {
                info!(kind = %K::kind(&()), namespace = meta.namespace, name, "deleted");
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(ApplyError::api::<K>(&name, source)),
        }
    }

    /// Whether what is cached is older than what was written, or is what came of writing this already.
    fn is_behind<K: Child>(&self, meta: &ChildMeta, cached: &K, desired: &K) -> bool {
        let Some(written) = self.written(meta, desired).filter(|written| written.applied == applied(desired)) else {
            return false;
        };
        match (version(cached), number(written.resource_version.as_deref())) {
            (Some(cached_version), Some(written_version)) if cached_version <= written_version => true,
            _ => written.futile.is_some() && written.futile == cached.meta().generation,
        }
    }

    /// Whether the child is younger than what was written of it here.
    pub fn is_younger<K: Child>(&self, meta: &ChildMeta, live: &K) -> bool {
        let written = self.written(meta, live).and_then(|written| number(written.resource_version.as_deref()));
        written.zip(version(live)).is_some_and(|(written, live)| written < live)
    }

    /// What was written last of a child, if this operator has written it.
    fn written<K: Child>(&self, meta: &ChildMeta, child: &K) -> Option<Written> {
        self.lock().get(&meta.function())?.get(&key(child)).cloned()
    }

    fn record<K: Child>(&self, meta: &ChildMeta, live: &K, desired: &K, took: bool) {
        let mut lock = self.lock();
        let children = lock.entry(meta.function()).or_default();
        let (applied, before) = (applied(desired), children.get(&key(desired)));
        let before = before.filter(|before| before.applied == applied).map_or(0, |before| before.in_vain);
        let in_vain = if took { 0 } else { before + 1 };
        let futile = live.meta().generation.filter(|_| in_vain >= ATTEMPTS);
        let written = Written { applied, resource_version: live.resource_version(), in_vain, futile };
        children.insert(key(desired), written);
    }

    /// Forgets a function that is gone.
    pub fn forget(&self, function: &FunctionRef) {
        self.lock().remove(function);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FunctionRef, HashMap<String, Written>>> {
        self.written.lock()
    }
}

/// Whether nothing is to be done.
fn is_settled<K: Child>(live: &K, desired: &K) -> bool {
    is_current(live, desired) && desired.cleaning(live).is_none()
}

/// Takes away from the very object that is there what others added and may not stay: an apply leaves it.
async fn clean<K: Child>(api: &Api<K>, live: &K, mut patch: Value) -> kube::Result<K> {
    patch["metadata"] = json!({"resourceVersion": live.resource_version()});
    let name = live.name_any();
    let cleaned = api.patch(&name, &by_us(), &Patch::Merge(patch)).await?;
    warn!(kind = %K::kind(&()), namespace = live.namespace(), name, "somebody else's containers were removed");
    Ok(cleaned)
}

/// Applies what is desired to the very object that is there.
async fn apply<K: Child>(api: &Api<K>, live: &K, desired: &K) -> kube::Result<K> {
    let name = desired.name_any();
    if let Some(books) = managed_fields::prepared(live.managed_fields(), desired.leaves_replicas()) {
        let metadata = json!({"resourceVersion": live.resource_version(), "managedFields": books});
        api.patch(&name, &by_us(), &Patch::Merge(json!({"metadata": metadata}))).await?;
    }
    let mut wanted = desired.clone();
    wanted.meta_mut().uid = live.uid();
    api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&wanted)).await
}

fn by_us() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

fn version<K: Child>(object: &K) -> Option<u64> {
    number(object.meta().resource_version.as_deref())
}

fn key<K: Child>(object: &K) -> String {
    format!("{}/{}", K::kind(&()), object.name_any())
}

fn applied<K: Child>(object: &K) -> Option<String> {
    object.annotations().get(annotation::APPLIED).cloned()
}

fn check_owned<K: Child>(object: &K, meta: &ChildMeta) -> Result<(), ApplyError> {
    let (kind, name) = (K::kind(&()).into_owned(), object.name_any());
    match ownership(object.meta(), &meta.name, &meta.uid) {
        Ownership::Ours => Ok(()),
        Ownership::Orphaned => Err(ApplyError::Orphaned { kind, name }),
        Ownership::Foreign(who) => Err(ApplyError::Clash { kind, name, who }),
    }
}
