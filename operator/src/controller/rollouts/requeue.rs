//! Has functions looked at whose turn to roll has come.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::function::FunctionRef;
use crate::watch::Scope;

/// Calls functions whose turn has come, wherever they are looked after. Clones are of the same.
#[derive(Clone, Debug, Default)]
pub struct RequeueRequests(Arc<Mutex<Vec<Subscription>>>);

type Subscription = (Scope, mpsc::UnboundedSender<FunctionRef>);

impl RequeueRequests {
    /// Calls to functions of the scope go here.
    pub fn subscribe(&self, scope: Scope, triggers: mpsc::UnboundedSender<FunctionRef>) {
        self.0.lock().push((scope, triggers));
    }

    /// Calls the functions.
    pub fn send(&self, functions: Vec<FunctionRef>) {
        let scopes = self.0.lock();
        for function in functions {
            if let Some((_, triggers)) = scopes.iter().find(|(scope, _)| scope.has(&function)) {
                // Nobody looks after functions any more.
                let _ = triggers.send(function);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_called_where_it_is_looked_after() {
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
