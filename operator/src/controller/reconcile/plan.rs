//! Plans what to do with a function's children: apply (by the current or last accepted spec), leave, or stop them.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use tributary_crds::DestinationFunction;

use super::Context;
use crate::apply::ApplyError;
use crate::build::{self, ChildMeta, Children, replicas};
use crate::controller::last_accepted::{config_hash, differs, last_accepted};
use crate::function::FunctionRef;
use crate::names::annotation;
use crate::validate::{self, Refusal, RefusalEffect};
use crate::watch;

/// The function's Deployment, from the cache, or from the API server in three cases:
/// - The cache is behind this operator's last write, and the current number of replicas decides whether the owner set it.
/// - The cache has no Deployment, but this operator has written one: its labels may have been removed, so that the watch
///   does not select it until the operator has restored them. The status must not report that there are no sidecars.
/// - The cache has no Deployment, and the function is paused or refused: its owner could otherwise hide the sidecars
///   from the platform by removing the Deployment's labels.
pub(super) async fn live_deployment(
    function: &DestinationFunction,
    reference: &FunctionRef,
    context: &Context,
) -> Result<Option<Arc<Deployment>>, ApplyError> {
    let (meta, name) = (ChildMeta::of(function), &reference.name);
    let cached = watch::get(&context.caches.deployments, reference);
    let is_behind = || context.applier.is_newer_than_cached(&meta, name, cached.as_deref());
    let may_be_hidden = || function.spec.paused || validate::check(function, &context.platform).is_err();
    let read = match &cached {
        Some(_) => replicas::depend_on_running(function) && is_behind(),
        None => is_behind() || may_be_hidden(),
    };
    if !read {
        return Ok(cached);
    }
    Ok(context.applier.find(&meta, name).await?.map(Arc::new))
}

/// What to do with a function's children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChildrenAction {
    /// Apply the plan's children.
    Apply,
    /// Leave them as they are.
    Leave,
    /// Stop the sidecars: delete the Deployment.
    Stop,
}

/// The result of [`plan`].
pub(super) struct Plan {
    /// The children of the function's spec, or of its last accepted one.
    pub(super) children: Children,
    /// Whether the function asks for something that is not applied.
    pub(super) held_back: bool,
    /// The violation of the platform's policy, by the spec or, if the sidecars must stop for it, by the running spec.
    pub(super) refusal: Option<Refusal>,
    /// What to do with the children.
    pub(super) action: ChildrenAction,
}

/// Decides by the function's spec, its live Deployment, and the platform's policy.
pub(super) fn plan(
    function: &DestinationFunction,
    live: Option<&Deployment>,
    reference: &FunctionRef,
    context: &Context,
) -> Plan {
    let platform = &context.platform;
    let running = live.and_then(|live| live.spec.as_ref()?.replicas);
    let asked = build::children(function, platform, running);
    let refusal = validate::check(function, platform).err();
    let action = refusal.as_ref().map(|refusal| refusal.effect);
    match action {
        Some(RefusalEffect::Stop) => {
            return Plan { children: asked, held_back: true, refusal, action: ChildrenAction::Stop };
        }
        None if !function.spec.paused => {
            return Plan { children: asked, held_back: false, refusal, action: ChildrenAction::Apply };
        }
        _ => {}
    }
    let accepted = live.and_then(|live| {
        let name = build::config_map_name(&reference.name, config_hash(live)?);
        last_accepted(function, live, &*context.caches.config_maps.get(reference, &name)?)
    });
    let Some(accepted) = accepted else {
        // The spec that the sidecars run is unknown, so they can't be updated to meet the platform's demands.
        let demands = |deployment: &Deployment| deployment.annotations().get(annotation::DEMANDS_HASH).cloned();
        let is_short = live.is_some_and(|live| demands(live) != demands(&asked.deployment));
        let action = if is_short { ChildrenAction::Stop } else { ChildrenAction::Leave };
        return Plan { children: asked, held_back: true, refusal, action };
    };
    let children = build::children(&accepted, platform, running);
    let held_back = differs(&asked.deployment, &children.deployment);
    match validate::check_reach(&accepted, platform) {
        Err(of_what_runs) => Plan { children, held_back, refusal: Some(of_what_runs), action: ChildrenAction::Stop },
        Ok(()) => Plan { children, held_back, refusal, action: ChildrenAction::Apply },
    }
}
