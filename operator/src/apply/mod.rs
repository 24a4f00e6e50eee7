//! Creates, applies and deletes children, with as few requests as possible.
//!
//! A missing child is created by a plain POST, which takes over no existing object. An existing one
//! is applied under one field manager, with its uid, so that an object that has replaced it is not
//! touched. If the cached child already is as desired, no request is sent.
//!
//! Edits by others are reverted: a desired field that differs (`diff`) by a forced server-side apply, added
//! parts of a pod, such as a container or a volume, by a patch that removes them (`child`). Other added fields stay. The
//! reverted fields are logged, and recorded for an Event ([`Applier::take_writes`]). A child that something else changes
//! back three times in a row is left alone until its spec changes. While a function waits for a rollout slot,
//! `build::held` is the desired Deployment.

mod child;
pub mod diff;
mod error;
mod managed_fields;
mod name_check;
mod write;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
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
use diff::{differing_fields, is_applied_from, is_current};
use name_check::check_owned;

pub use child::Child;
pub use error::{ApplyError, REASONS};
pub use write::{Change, Write};

/// Writes children, and remembers the last write of each.
pub struct Applier {
    client: Client,
    /// The last write per child and its result, to detect a cache that is behind, and an object that
    /// something else reverts immediately. The inner key is `KIND/NAME`.
    written: Mutex<HashMap<FunctionRef, HashMap<String, Written>>>,
    /// The kinds of which no object had the function's name when this was checked: a retry need not check them again.
    free_names: Mutex<HashMap<FunctionRef, HashSet<Cow<'static, str>>>>,
    /// The writes that no one has taken yet.
    log: Mutex<HashMap<FunctionRef, Vec<Write>>>,
}

#[derive(Clone, Debug)]
struct Written {
    applied: Option<String>,
    resource_version: Option<String>,
    /// How often in a row the result differed from what was applied.
    reverted: u32,
    /// The generation at which the operator has given up, after [`MAX_REVERTED_APPLIES`] results that differed.
    gave_up_at: Option<i64>,
}

/// How often a child that something else reverts is applied before the operator gives up: once may be a coincidence.
const MAX_REVERTED_APPLIES: u32 = 3;

impl Applier {
    /// An applier that has written nothing yet.
    pub fn new(client: Client) -> Self {
        Self { client, written: Mutex::default(), free_names: Mutex::default(), log: Mutex::default() }
    }

    /// Creates or applies the child, unless `cached`, its cached state, already is as desired.
    ///
    /// # Errors
    /// If an object that isn't the function's has the name, or the API server refuses.
    pub async fn ensure<K: Child>(&self, meta: &ChildMeta, desired: &K, cached: Option<&K>) -> Result<(), ApplyError> {
        let name = desired.name_any();
        let api: Api<K> = Api::namespaced(self.client.clone(), &meta.namespace);
        let fail = |source| ApplyError::api::<K>(&name, source);
        if let Some(cached) = cached {
            check_owned(cached, meta)?;
            let is_current = is_settled(cached, &desired.adapted_to(cached)) && !desired.must_replace(cached);
            if is_current || self.needs_no_write(meta, cached, desired) {
                return Ok(());
            }
        } else {
            match self.create(meta, &api, desired).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                created => return created.map_err(fail),
            }
        }
        // The cache has no managed fields, and may be behind.
        let live = api.get(&name).await.map_err(fail)?;
        check_owned(&live, meta)?;
        if desired.must_replace(&live) {
            self.remove(meta, Some(&live)).await?;
            return self.create(meta, &api, desired).await.map_err(fail);
        }
        let desired = desired.adapted_to(&live);
        if is_settled(&live, &desired) {
            self.record(meta, &live, &desired, true);
            return Ok(());
        }
        let reverted = reverted_fields(&live, &desired);
        let prepared = prepare(&api, live, &desired).await.map_err(fail)?;
        // The removed parts may have been the only difference.
        let applied = if is_settled(&prepared, &desired) {
            prepared
        } else {
            apply(&api, &prepared, &desired).await.map_err(fail)?
        };
        if reverted.is_empty() {
            info!(kind = %K::kind(&()), namespace = meta.namespace, name, "applied");
            self.note::<K>(meta, &name, Change::Applied);
        } else {
            info!(kind = %K::kind(&()), namespace = meta.namespace, name, fields = reverted.join(", "), "reverted");
            self.note::<K>(meta, &name, Change::Reverted(reverted));
        }
        let is_kept = is_settled(&applied, &desired);
        if !is_kept {
            debug!(kind = %K::kind(&()), namespace = meta.namespace, name, "something reverts the child immediately");
        }
        self.record(meta, &applied, &desired, is_kept);
        Ok(())
    }

    async fn create<K: Child>(&self, meta: &ChildMeta, api: &Api<K>, desired: &K) -> kube::Result<()> {
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let created = api.create(&params, desired).await?;
        info!(kind = %K::kind(&()), namespace = meta.namespace, name = created.name_any(), "created");
        self.note::<K>(meta, &created.name_any(), Change::Created);
        self.record(meta, &created, desired, true);
        Ok(())
    }

    /// The function's child of that name, read from the API server: the caches miss a child whose labels were
    /// removed. `None` if there is none or it isn't the function's.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn find<K: Child>(&self, meta: &ChildMeta, name: &str) -> Result<Option<K>, ApplyError> {
        let api: Api<K> = Api::namespaced(self.client.clone(), &meta.namespace);
        let live = api.get_opt(name).await.map_err(|source| ApplyError::api::<K>(name, source))?;
        Ok(live.filter(|live| ownership(live.meta(), &meta.name, &meta.uid) == Ownership::Ours))
    }

    /// Deletes the child of that name, if [`find`](Self::find) finds one. Returns true once it finds none.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn remove_named<K: Child>(&self, meta: &ChildMeta, name: &str) -> Result<bool, ApplyError> {
        let ours: Option<K> = self.find(meta, name).await?;
        self.remove(meta, ours.as_ref()).await?;
        Ok(ours.is_none())
    }

    /// Sets `spec.replicas` of a function that leaves it out: [`replicas`](crate::build::replicas) says why.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn fill_in(&self, function: &DestinationFunction, replicas: i32) -> Result<(), ApplyError> {
        let name = function.name_any();
        let api: Api<DestinationFunction> =
            Api::namespaced(self.client.clone(), &function.namespace().unwrap_or_default());
        // Only at this version: the owner or an autoscaler may have set a number since.
        let metadata = json!({"resourceVersion": function.resource_version()});
        let patch = Patch::Merge(json!({"metadata": metadata, "spec": {"replicas": replicas}}));
        match api.patch_scale(&name, &patch_params(), &patch).await {
            // It has changed, which triggers a reconcile, or it is gone.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(source) => Err(ApplyError::api::<DestinationFunction>(&name, source)),
            Ok(_) => {
                self.note::<DestinationFunction>(&ChildMeta::of(function), &name, Change::Applied);
                Ok(())
            }
        }
    }

    /// Deletes the child `cached` if it is the function's, and only the object with its uid.
    ///
    /// # Errors
    /// If the API server refuses, unless the child is already gone.
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
                self.note::<K>(meta, &name, Change::Deleted);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(ApplyError::api::<K>(&name, source)),
        }
    }

    /// Whether not to apply again: `cached` is no newer than the last write of `desired`, or the operator has given up.
    fn needs_no_write<K: Child>(&self, meta: &ChildMeta, cached: &K, desired: &K) -> bool {
        let Some(written) =
            self.written::<K>(meta, &desired.name_any()).filter(|written| written.applied == applied(desired))
        else {
            return false;
        };
        match (version(cached), number(written.resource_version.as_deref())) {
            (Some(cached_version), Some(written_version)) if cached_version <= written_version => true,
            _ => written.gave_up_at.is_some() && written.gave_up_at == cached.meta().generation,
        }
    }

    /// Whether the child is newer than this operator's last write of it, if there is one.
    pub fn is_newer_than_written<K: Child>(&self, meta: &ChildMeta, live: &K) -> bool {
        self.written_version::<K>(meta, &live.name_any())
            .zip(version(live))
            .is_some_and(|(written, live)| written < live)
    }

    /// Whether this operator has written the child, and its cached state is older or missing.
    pub fn is_newer_than_cached<K: Child>(&self, meta: &ChildMeta, name: &str, cached: Option<&K>) -> bool {
        self.written_version::<K>(meta, name).is_some_and(|written| cached.and_then(version) < Some(written))
    }

    fn written_version<K: Child>(&self, meta: &ChildMeta, name: &str) -> Option<u64> {
        number(self.written::<K>(meta, name)?.resource_version.as_deref())
    }

    /// The last write of a child since this process leads, if any.
    fn written<K: Child>(&self, meta: &ChildMeta, name: &str) -> Option<Written> {
        self.lock().get(&meta.function())?.get(&key::<K>(name)).cloned()
    }

    fn record<K: Child>(&self, meta: &ChildMeta, live: &K, desired: &K, is_kept: bool) {
        let mut lock = self.lock();
        let children = lock.entry(meta.function()).or_default();
        let key = key::<K>(&desired.name_any());
        let (applied, before) = (applied(desired), children.get(&key));
        let before = before.filter(|before| before.applied == applied).map_or(0, |before| before.reverted);
        let reverted = if is_kept { 0 } else { before + 1 };
        let gave_up_at = live.meta().generation.filter(|_| reverted >= MAX_REVERTED_APPLIES);
        let written = Written { applied, resource_version: live.resource_version(), reverted, gave_up_at };
        children.insert(key, written);
    }

    fn note<K: Resource<DynamicType = ()>>(&self, meta: &ChildMeta, name: &str, change: Change) {
        let write = Write { kind: K::kind(&()).into_owned(), name: name.to_owned(), change };
        self.log.lock().entry(meta.function()).or_default().push(write);
    }

    /// The writes of a function's children since the last call, in order.
    pub fn take_writes(&self, function: &FunctionRef) -> Vec<Write> {
        self.log.lock().remove(function).unwrap_or_default()
    }

    /// Forgets the writes of a function that is gone.
    pub fn forget(&self, function: &FunctionRef) {
        self.lock().remove(function);
        self.free_names.lock().remove(function);
        self.log.lock().remove(function);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FunctionRef, HashMap<String, Written>>> {
        self.written.lock()
    }
}

/// Whether there is nothing to apply and nothing to remove.
fn is_settled<K: Child>(live: &K, desired: &K) -> bool {
    is_current(live, desired) && desired.removal_patch(live).is_none()
}

/// The fields in which others have changed the child since it was last applied; none if the desired child has changed.
fn reverted_fields<K: Child>(live: &K, desired: &K) -> Vec<String> {
    if !is_applied_from(live, desired) {
        return Vec::new();
    }
    let fields: BTreeSet<_> = differing_fields(live, desired).into_iter().chain(desired.foreign_parts(live)).collect();
    fields.into_iter().collect()
}

/// Prepares the object for an apply: corrects its managed fields and removes forbidden additions of others. Only at the
/// version of `live`.
async fn prepare<K: Child>(api: &Api<K>, live: K, desired: &K) -> kube::Result<K> {
    let removal = desired.removal_patch(&live);
    let managed_fields = managed_fields::prepare(live.managed_fields(), desired.leaves_replicas());
    if managed_fields.is_none() && removal.is_none() {
        return Ok(live);
    }
    let mut metadata = json!({"resourceVersion": live.resource_version()});
    if let Some(entries) = managed_fields {
        metadata["managedFields"] = json!(entries);
    }
    let patch = |patch| async move { api.patch(&desired.name_any(), &patch_params(), &Patch::Merge(patch)).await };
    let Some(removal) = removal else {
        // Not the spec: the apply that follows writes it. A second write while the Deployment controller handles the
        // first loses that controller's update of the status, and with it the start of the progress deadline.
        return match patch(json!({"metadata": &metadata})).await {
            // Admission refuses a write that leaves the edited parts in place.
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 422) => {
                patch(desired_with(desired, json!({"metadata": metadata}))).await
            }
            prepared => prepared,
        };
    };
    warn!(kind = %K::kind(&()), namespace = live.namespace(), name = live.name_any(), "removing parts that others added");
    let mut changes = json!({"metadata": metadata});
    replace(&mut changes, removal);
    patch(desired_with(desired, changes)).await
}

/// A merge patch that makes the object as desired, with `changes`.
fn desired_with<K: Child>(desired: &K, changes: Value) -> Value {
    let mut patch = serde_json::to_value(desired).expect("Kubernetes' types are JSON");
    replace(&mut patch, changes);
    patch
}

/// Puts the fields of `other` into `target`, those of objects field by field.
fn replace(target: &mut Value, other: Value) {
    match (target, other) {
        (Value::Object(target), Value::Object(other)) => {
            for (field, value) in other {
                replace(target.entry(field).or_insert(Value::Null), value);
            }
        }
        (target, other) => *target = other,
    }
}

/// Applies the desired object, only to the object with the uid of `live`.
async fn apply<K: Child>(api: &Api<K>, live: &K, desired: &K) -> kube::Result<K> {
    let mut wanted = desired.clone();
    wanted.meta_mut().uid = live.uid();
    api.patch(&desired.name_any(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(&wanted)).await
}

fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

fn version<K: Child>(object: &K) -> Option<u64> {
    number(object.meta().resource_version.as_deref())
}

fn key<K: Child>(name: &str) -> String {
    format!("{}/{name}", K::kind(&()))
}

fn applied<K: Child>(object: &K) -> Option<String> {
    object.annotations().get(annotation::APPLIED_HASH).cloned()
}
