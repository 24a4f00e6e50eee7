//! Requeues functions whose rollout decision may have changed, in the controller of their scope.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::function::FunctionRef;
use crate::watch::Scope;

/// Passes requeue requests to the controller of each function's scope. Clones share their subscriptions.
#[derive(Clone, Debug, Default)]
pub struct RequeueRequests(Arc<Mutex<Vec<Subscription>>>);

type Subscription = (Scope, mpsc::UnboundedSender<FunctionRef>);

impl RequeueRequests {
    /// Sends the requests for functions of `scope` to `triggers` from now on.
    pub fn subscribe(&self, scope: Scope, triggers: mpsc::UnboundedSender<FunctionRef>) {
        self.0.lock().push((scope, triggers));
    }

    /// Requeues the functions. Requests for a scope without a controller are dropped.
    pub fn send(&self, functions: Vec<FunctionRef>) {
        let scopes = self.0.lock();
        for function in functions {
            if let Some((_, triggers)) = scopes.iter().find(|(scope, _)| scope.has(&function)) {
                // Fails only once the controller has ended.
                let _ = triggers.send(function);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_requeued_in_its_own_scope() {
        let requests = RequeueRequests::default();
        let [(a, mut in_a), (b, mut in_b)] = [mpsc::unbounded_channel(), mpsc::unbounded_channel()];
        requests.subscribe(Scope::Namespace("a".to_owned()), a);
        requests.subscribe(Scope::Namespace("b".to_owned()), b);
        let function = FunctionRef::new("b", "orders");
        requests.send(vec![function.clone()]);
        assert!(in_a.try_recv().is_err());
        assert_eq!(in_b.try_recv().unwrap(), function);
        assert!(in_b.try_recv().is_err());
    }
}
