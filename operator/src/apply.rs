//! Brings a child to what it should be, with as few requests as possible.
//!
//! A child that isn't there is created by a plain POST, which takes nothing over; what is there is
//! applied under one field manager, with its uid, so that nothing that came in its place is touched.
//! Where nothing differs nothing is asked.

use std::collections::HashMap;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Container;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::{debug, info, warn};
use tributary_crds::DestinationFunction;
use tributary_crds::conditions::Reason;

use crate::client::said;
use crate::conditions::Problem;
use crate::desired::holds;
use crate::desired::names::{Family, MANAGER, annotation};
use crate::difference::is_current;
use crate::function::FunctionRef;
use crate::kinship::{Kinship, kinship};
use crate::ownership;
use crate::resource_version::number;

/// A kind of child.
pub trait Child:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + Sync
{
    /// Whether it has `spec.replicas`, and they are left to others.
    fn leaves_replicas(&self) -> bool {
        false
    }

    /// What is desired, where `live` is there already.
    fn beside(&self, _live: &Self) -> Self {
        self.clone()
    }

    /// Whether `live` can't become what is desired, and must go for it.
    fn excludes(&self, _live: &Self) -> bool {
        false
    }

    /// What takes away from `live` what others added to it and may not stay, as a merge patch; nothing, if there is
    /// nothing of the kind.
    fn cleaning(&self, _live: &Self) -> Option<Value> {
        None
    }
}

impl Child for k8s_openapi::api::core::v1::ConfigMap {
    /// What it was made with, for good.
    fn beside(&self, live: &Self) -> Self {
        Self { data: live.data.clone(), ..self.clone() }
    }

    fn excludes(&self, live: &Self) -> bool {
        live.immutable != Some(true) || !holds(live, self)
    }
}
impl Child for k8s_openapi::api::core::v1::Service {}
impl Child for k8s_openapi::api::core::v1::ServiceAccount {}
impl Child for k8s_openapi::api::networking::v1::NetworkPolicy {}
impl Child for k8s_openapi::api::policy::v1::PodDisruptionBudget {}
impl Child for k8s_openapi::api::apps::v1::Deployment {
    fn leaves_replicas(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.replicas.is_none())
    }

    /// Other containers: they would run with the function's Secrets, and with them the Deployment could not be written
    /// any more, as admission holds the operator's account to the sidecar.
    fn cleaning(&self, live: &Self) -> Option<Value> {
        let pod = |deployment: &Self| Some(deployment.spec.as_ref()?.template.spec.clone().unwrap_or_default());
        let (desired, live) = (pod(self)?, pod(live)?);
        let is_ours = |container: &Container| desired.containers.iter().any(|own| own.name == container.name);
        let has_others =
            !live.containers.iter().all(is_ours) || live.init_containers.is_some_and(|all| !all.is_empty());
        let pod = json!({"containers": desired.containers, "initContainers": null, "volumes": desired.volumes});
        has_others.then(|| json!({"spec": {"template": {"spec": pod}}}))
    }
}

/// Why a child is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Somebody else has an object of that name.
    #[error(
        "the name {name} is taken: there is a {kind} {name} in the namespace, and {who}; delete or rename it, or name the function otherwise"
    )]
    Clash {
        /// The object's kind.
        kind: String,
        /// Its name.
        name: String,
        /// Whose it is.
        who: String,
    },
    /// A function of that name is gone, and its child not yet.
    #[error(
        "the {kind} {name} of a function of the same name that was deleted is still there; the garbage collector removes it"
    )]
    Orphaned {
        /// The child's kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The API server said no, or nothing.
    #[error("the {kind} {name} can't be written: {}", said(source))]
    Api {
        /// The child's kind.
        kind: String,
        /// Its name.
        name: String,
        /// What it said.
        source: kube::Error,
    },
}

impl ApplyError {
    fn api<K: Resource<DynamicType = ()>>(name: &str, source: kube::Error) -> Self {
        Self::Api { kind: K::kind(&()).into_owned(), name: name.to_owned(), source }
    }

    /// What to say of it in the function's conditions; nothing, if it passes by itself.
    pub fn problem(&self) -> Option<Problem> {
        let problem = |reason, message| Some(Problem { reason, message });
        match self {
            Self::Clash { .. } => problem(Reason::NameClash, self.to_string()),
            Self::Orphaned { .. } => problem(Reason::Progressing, self.to_string()),
            Self::Api { source: kube::Error::Api(status), kind, name } => match status.code {
                // A race that the next look settles, or a server that is not well.
                409 | 429 | 500.. => None,
                403 if status.message.contains("exceeded quota") => problem(
                    Reason::QuotaExceeded,
                    format!(
                        "the namespace's quota leaves no room for the {kind} {name}: raise it. Kubernetes said: {}",
                        status.message
                    ),
                ),
                _ => problem(Reason::Progressing, format!("the {kind} {name} can't be written: {}", status.message)),
            },
            Self::Api { .. } => None,
        }
    }

    /// For metrics: a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Clash { .. } => "NameClash",
            Self::Orphaned { .. } => "Orphaned",
            Self::Api { source, .. } => api_reason(source),
        }
    }
}

/// Every reason of a look at a function that failed: those of [`ApplyError::reason`], of [`api_reason`],
/// and `Timeout`.
pub const REASONS: [&str; 11] = [
    "Conflict",
    "Forbidden",
    "Invalid",
    "NameClash",
    "NotFound",
    "Orphaned",
    "Refused",
    "ServerError",
    "Throttled",
    "Timeout",
    "Unreachable",
];

/// What went wrong with a request, in words of a closed set.
pub fn api_reason(error: &kube::Error) -> &'static str {
    match error {
        kube::Error::Api(status) => match status.code {
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            422 => "Invalid",
            429 => "Throttled",
            500.. => "ServerError",
            _ => "Refused",
        },
        _ => "Unreachable",
    }
}

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
    pub async fn bring<K: Child>(&self, family: &Family, desired: &K, cached: Option<&K>) -> Result<(), ApplyError> {
        let name = desired.name_any();
        let api: Api<K> = Api::namespaced(self.client.clone(), &family.namespace);
        let fail = |source| ApplyError::api::<K>(&name, source);
        if let Some(cached) = cached {
            ours(cached, family)?;
            let is_current = is_settled(cached, &desired.beside(cached)) && !desired.excludes(cached);
            if is_current || self.is_behind(family, cached, desired) {
                return Ok(());
            }
        } else {
            match self.create(family, &api, desired).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                created => return created.map_err(fail),
            }
        }
        // The cache has no books, and may be behind.
        let live = api.get(&name).await.map_err(fail)?;
        ours(&live, family)?;
        if desired.excludes(&live) {
            self.remove(family, Some(&live)).await?;
            return self.create(family, &api, desired).await.map_err(fail);
        }
        let desired = desired.beside(&live);
        if is_settled(&live, &desired) {
            self.note(family, &live, &desired, true);
            return Ok(());
        }
        let live = match desired.cleaning(&live) {
            Some(patch) => clean(&api, &live, patch).await.map_err(fail)?,
            None => live,
        };
        let applied = apply(&api, &live, &desired).await.map_err(fail)?;
        info!(kind = %K::kind(&()), namespace = family.namespace, name, "applied");
        let took = is_settled(&applied, &desired);
        if !took {
            debug!(kind = %K::kind(&()), namespace = family.namespace, name, "something changes it back at once");
        }
        self.note(family, &applied, &desired, took);
        Ok(())
    }

    async fn create<K: Child>(&self, family: &Family, api: &Api<K>, desired: &K) -> kube::Result<()> {
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let created = api.create(&params, desired).await?;
        info!(kind = %K::kind(&()), namespace = family.namespace, name = created.name_any(), "created");
        self.note(family, &created, desired, true);
        Ok(())
    }

    /// The child of that name, whether or not the caches know it: somebody may have taken its labels away, by which
    /// watches find it.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn find<K: Child>(&self, family: &Family, name: &str) -> Result<Option<K>, ApplyError> {
        let api: Api<K> = Api::namespaced(self.client.clone(), &family.namespace);
        let live = api.get_opt(name).await.map_err(|source| ApplyError::api::<K>(name, source))?;
        Ok(live.filter(|live| kinship(live.meta(), &family.name, &family.uid) == Kinship::Ours))
    }

    /// Removes the child of that name, if there is one ([`find`](Self::find)). Whether there is none of the function's
    /// any more.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn remove_named<K: Child>(&self, family: &Family, name: &str) -> Result<bool, ApplyError> {
        let ours: Option<K> = self.find(family, name).await?;
        self.remove(family, ours.as_ref()).await?;
        Ok(ours.is_none())
    }

    /// Writes how many sidecars there are into a function that doesn't say: [`scale`](crate::scale) says why.
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
    pub async fn scale(&self, family: &Family, replicas: i32) -> Result<(), ApplyError> {
        type Deployment = k8s_openapi::api::apps::v1::Deployment;
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &family.namespace);
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let scaled = api.patch(&family.name, &by_us(), &patch).await;
        scaled.map(|_| ()).map_err(|source| ApplyError::api::<Deployment>(&family.name, source))
    }

    /// Deletes a child that is no longer wanted, if it is the function's.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn remove<K>(&self, family: &Family, cached: Option<&K>) -> Result<(), ApplyError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let Some(cached) = cached.filter(|cached| cached.meta().deletion_timestamp.is_none()) else { return Ok(()) };
        if kinship(cached.meta(), &family.name, &family.uid) != Kinship::Ours {
            return Ok(());
        }
        let (name, api) = (cached.name_any(), Api::<K>::namespaced(self.client.clone(), &family.namespace));
        let params =
            DeleteParams::background().preconditions(Preconditions { uid: cached.uid(), ..Preconditions::default() });
        match api.delete(&name, &params).await {
            Ok(_) => {
                info!(kind = %K::kind(&()), namespace = family.namespace, name, "deleted");
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(ApplyError::api::<K>(&name, source)),
        }
    }

    /// Whether what is cached is older than what was written, or is what came of writing this already.
    fn is_behind<K: Child>(&self, family: &Family, cached: &K, desired: &K) -> bool {
        let Some(written) = self.written(family, desired).filter(|written| written.applied == applied(desired)) else {
            return false;
        };
        match (version(cached), number(written.resource_version.as_deref())) {
            (Some(cached_version), Some(written_version)) if cached_version <= written_version => true,
            _ => written.futile.is_some() && written.futile == cached.meta().generation,
        }
    }

    /// Whether the child is younger than what was written of it here.
    pub fn is_younger<K: Child>(&self, family: &Family, live: &K) -> bool {
        let written = self.written(family, live).and_then(|written| number(written.resource_version.as_deref()));
        written.zip(version(live)).is_some_and(|(written, live)| written < live)
    }

    /// What was written last of a child, if this operator has written it.
    fn written<K: Child>(&self, family: &Family, child: &K) -> Option<Written> {
        self.lock().get(&family.function())?.get(&key(child)).cloned()
    }

    fn note<K: Child>(&self, family: &Family, live: &K, desired: &K, took: bool) {
        let mut lock = self.lock();
        let children = lock.entry(family.function()).or_default();
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
    if let Some(books) = ownership::prepared(live.managed_fields(), desired.leaves_replicas()) {
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

fn ours<K: Child>(object: &K, family: &Family) -> Result<(), ApplyError> {
    let (kind, name) = (K::kind(&()).into_owned(), object.name_any());
    match kinship(object.meta(), &family.name, &family.uid) {
        Kinship::Ours => Ok(()),
        Kinship::Orphaned => Err(ApplyError::Orphaned { kind, name }),
        Kinship::Foreign(who) => Err(ApplyError::Clash { kind, name, who }),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn whatever_the_api_server_answers_has_a_reason_of_the_closed_set() {
        for code in 400..600 {
            let error = kube::Error::Api(Box::new(Status { code, ..Status::default() }));
            assert!(REASONS.contains(&api_reason(&error)), "{code}");
        }
        let (kind, name) = ("Service".to_owned(), "orders".to_owned());
        let clash = ApplyError::Clash { kind: kind.clone(), name: name.clone(), who: String::new() };
        for error in [clash, ApplyError::Orphaned { kind, name }] {
            assert!(REASONS.contains(&error.reason()), "{error}");
        }
    }
}
