//! How many functions roll at once because the platform's sidecar changed. Pure, but for its memory.
//!
//! What a function's owner changes is rolled at once. What the platform changes would roll all
//! functions together: so a few go first, and the others when those are through. If the new sidecar
//! doesn't come up, those few wait for it, on the old one, and nobody else is touched. Where its pods
//! can't even be made, that is nothing of the new sidecar's: a namespace's quota holds back nobody else.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use tokio::sync::mpsc;

use crate::desired::names::annotation;
use crate::function::FunctionRef;
use crate::observe::{is_complete, rollout};
use crate::watch::Scope;

/// Turns to roll.
#[derive(Debug)]
pub struct Rollouts {
    most: usize,
    turns: Mutex<Turns>,
}

#[derive(Debug, Default)]
struct Turns {
    rolling: HashMap<FunctionRef, Begun>,
    waiting: BTreeSet<FunctionRef>,
}

/// Calls functions whose turn has come, wherever they are looked after. Clones are of the same.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<Vec<Answering>>>);

type Answering = (Scope, mpsc::UnboundedSender<FunctionRef>);

impl Calls {
    /// Calls to functions of the scope go here.
    pub fn answer(&self, scope: Scope, triggers: mpsc::UnboundedSender<FunctionRef>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((scope, triggers));
    }

    /// Calls the function, if there is one to call.
    pub fn call(&self, function: Option<FunctionRef>) {
        let Some(function) = function else { return };
        let scopes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, triggers)) = scopes.iter().find(|(scope, _)| scope.has(&function)) {
            // Nobody looks after functions any more.
            let _ = triggers.send(function);
        }
    }
}

/// Who has begun a roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// This process, for the platform's sake: while its pods don't come up, no other may begin.
    Here,
    /// Somebody else, for whatever reason: another leader, before this one.
    Before,
}

/// What is to be done with a Deployment now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may be written.
    Go,
    /// Others roll; its turn will come.
    Wait,
}

impl Rollouts {
    /// At most so many at once.
    pub fn new(most: usize) -> Self {
        Self { most, turns: Mutex::default() }
    }

    /// Takes note of the rolls that are under way when this process begins to lead: another leader may
    /// have begun them.
    pub fn note(&self, deployments: impl Iterator<Item = (FunctionRef, Arc<Deployment>)>) {
        let under_way = |deployment: &Deployment| {
            takes_events(deployment) && !is_complete(deployment) && !rollout(deployment).stuck
        };
        let under_way = deployments.filter(|(_, deployment)| under_way(deployment));
        self.lock().rolling.extend(under_way.map(|(function, _)| (function, Begun::Before)));
    }

    /// Whether the function's Deployment may be made what is desired now, and a function that has
    /// waited for this one to be through, if there is one.
    pub fn turn(
        &self,
        function: &FunctionRef,
        live: Option<&Deployment>,
        desired: &Deployment,
    ) -> (Turn, Option<FunctionRef>) {
        let mut turns = self.lock();
        if is_platforms_roll(live, desired) {
            // One that takes no events can't be made worse.
            let harmless = live.is_some_and(|live| !takes_events(live));
            let free = turns.rolling.len() < self.most;
            if harmless || free || turns.rolling.contains_key(function) {
                turns.waiting.remove(function);
                if !harmless {
                    turns.rolling.insert(function.clone(), Begun::Here);
                }
                return (Turn::Go, None);
            }
            turns.waiting.insert(function.clone());
            return (Turn::Wait, None);
        }
        turns.waiting.remove(function);
        let here = turns.rolling.get(function) == Some(&Begun::Here);
        let given_up = |live: &Deployment| {
            let rollout = rollout(live);
            rollout.stuck && (!here || rollout.problem.is_some())
        };
        let ended = live.is_none_or(|live| is_complete(live) || given_up(live));
        let through = ended && turns.rolling.remove(function).is_some();
        (Turn::Go, if through { turns.waiting.first().cloned() } else { None })
    }

    /// The function is gone, or rolls no more; one that has waited for it, if there is one.
    pub fn forget(&self, function: &FunctionRef) -> Option<FunctionRef> {
        let mut turns = self.lock();
        turns.waiting.remove(function);
        turns.rolling.remove(function).and_then(|_| turns.waiting.first().cloned())
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the template would change, and nothing that the function's owner has a say in.
fn is_platforms_roll(live: Option<&Deployment>, desired: &Deployment) -> bool {
    let Some(live) = live else { return false };
    let differs = |name: &str| live.annotations().get(name) != desired.annotations().get(name);
    differs(annotation::TEMPLATE) && !differs(annotation::FUNCTION)
}

fn takes_events(deployment: &Deployment) -> bool {
    deployment.status.as_ref().and_then(|status| status.available_replicas).unwrap_or_default() > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::names::labels;

    fn deployment(template: &str, owner: &str, available: i32) -> Deployment {
        let mut deployment: Deployment = serde_yaml::from_str(&format!(
            "{{metadata: {{generation: 1}}, spec: {{replicas: 1, selector: {{}}, template: {{}}}}, status: \
             {{observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: {available}}}}}"
        ))
        .unwrap();
        deployment.metadata.annotations =
            Some(labels([(annotation::TEMPLATE, template), (annotation::FUNCTION, owner)]));
        deployment
    }

    fn function(name: &str) -> FunctionRef {
        FunctionRef::new("shop", name)
    }

    #[test]
    fn the_platforms_change_rolls_a_few_at_a_time() {
        let rollouts = Rollouts::new(1);
        let (old, new) = (deployment("1", "f", 1), deployment("2", "f", 1));
        let (a, b, c) = (function("a"), function("b"), function("c"));
        assert_eq!(rollouts.turn(&a, Some(&old), &new), (Turn::Go, None));
        assert_eq!(rollouts.turn(&b, Some(&old), &new), (Turn::Wait, None));
        // Asked again before it is seen written: it is still its turn.
        assert_eq!(rollouts.turn(&a, Some(&old), &new), (Turn::Go, None));
        // Written, and not through.
        let rolling = deployment("2", "f", 0);
        assert_eq!(rollouts.turn(&a, Some(&rolling), &new), (Turn::Go, None));
        assert_eq!(rollouts.turn(&c, Some(&old), &new), (Turn::Wait, None));
        // Through: the next one is called.
        assert_eq!(rollouts.turn(&a, Some(&new), &new), (Turn::Go, Some(b.clone())));
        assert_eq!(rollouts.turn(&b, Some(&old), &new), (Turn::Go, None));
        assert_eq!(rollouts.turn(&c, Some(&old), &new), (Turn::Wait, None));
        assert_eq!(rollouts.forget(&b), Some(c));
    }

    #[test]
    fn a_function_is_called_where_it_is_looked_after() {
        let calls = Calls::default();
        let [(a, mut in_a), (b, mut in_b)] = [mpsc::unbounded_channel(), mpsc::unbounded_channel()];
        calls.answer(Scope::Namespace("a".to_owned()), a);
        calls.answer(Scope::Namespace("b".to_owned()), b);
        let function = FunctionRef::new("b", "orders");
        calls.call(Some(function.clone()));
        calls.call(None);
        assert!(in_a.try_recv().is_err());
        assert_eq!(in_b.try_recv().unwrap(), function);
        assert!(in_b.try_recv().is_err());
    }

    #[test]
    fn rolls_that_another_leader_has_begun_count() {
        let rollouts = Rollouts::new(1);
        let (old, new) = (deployment("1", "f", 1), deployment("2", "f", 1));
        let (a, b) = (function("a"), function("b"));
        let mut rolling = new.clone();
        rolling.status.as_mut().unwrap().replicas = Some(2);
        rollouts.note([(a.clone(), Arc::new(rolling.clone())), (b.clone(), Arc::new(old.clone()))].into_iter());
        assert_eq!(rollouts.turn(&b, Some(&old), &new), (Turn::Wait, None));
        assert_eq!(rollouts.turn(&a, Some(&rolling), &new), (Turn::Go, None));
        // Whatever it was for, it does not come to its end: others needn't wait for it.
        let stuck = "{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}";
        rolling.status.as_mut().unwrap().conditions = Some(vec![serde_yaml::from_str(stuck).unwrap()]);
        assert_eq!(rollouts.turn(&a, Some(&rolling), &new), (Turn::Go, Some(b.clone())));
        // But one of the platform's own that is stuck holds the others back.
        assert_eq!(rollouts.turn(&b, Some(&old), &new), (Turn::Go, None));
        assert_eq!(rollouts.turn(&b, Some(&rolling), &new), (Turn::Go, None));
        assert_eq!(rollouts.turn(&function("c"), Some(&old), &new), (Turn::Wait, None));
    }

    #[test]
    fn a_roll_whose_pods_are_not_made_holds_back_nobody() {
        let rollouts = Rollouts::new(1);
        let (old, new) = (deployment("1", "f", 1), deployment("2", "f", 1));
        let (a, b) = (function("a"), function("b"));
        assert_eq!(rollouts.turn(&a, Some(&old), &new), (Turn::Go, None));
        assert_eq!(rollouts.turn(&b, Some(&old), &new), (Turn::Wait, None));
        // Pods of its namespace may go and leave room.
        let (mut rolling, refused) = (new.clone(), "{type: ReplicaFailure, status: 'True', message: exceeded quota}");
        rolling.status.as_mut().unwrap().updated_replicas = Some(0);
        rolling.status.as_mut().unwrap().conditions = Some(vec![serde_yaml::from_str(refused).unwrap()]);
        assert_eq!(rollouts.turn(&a, Some(&rolling), &new), (Turn::Go, None));
        assert_eq!(rollouts.turn(&b, Some(&old), &new), (Turn::Wait, None));
        // But not for ever.
        let stuck = "{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}";
        rolling.status.as_mut().unwrap().conditions.as_mut().unwrap().push(serde_yaml::from_str(stuck).unwrap());
        assert_eq!(rollouts.turn(&a, Some(&rolling), &new), (Turn::Go, Some(b.clone())));
        assert_eq!(rollouts.turn(&b, Some(&old), &new), (Turn::Go, None));
    }

    #[test]
    fn what_its_owner_changes_and_what_takes_no_events_waits_for_nobody() {
        let rollouts = Rollouts::new(1);
        let (old, new) = (deployment("1", "f", 1), deployment("2", "f", 1));
        assert_eq!(rollouts.turn(&function("a"), Some(&old), &new).0, Turn::Go);
        let changed = deployment("2", "g", 1);
        assert_eq!(rollouts.turn(&function("b"), Some(&old), &changed).0, Turn::Go);
        assert_eq!(rollouts.turn(&function("c"), None, &new).0, Turn::Go);
        let broken = deployment("1", "f", 0);
        assert_eq!(rollouts.turn(&function("d"), Some(&broken), &new).0, Turn::Go);
        assert_eq!(rollouts.turn(&function("e"), Some(&old), &new).0, Turn::Wait);
    }
}
