//! Completes a future even if its caller is dropped, as the task of a connection is when its client hangs up.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that continues as a task of its own if it is dropped before its end. As long as it is awaited it is part of
/// the caller's task: a task of its own would cost two wake-ups across threads per request.
pub(crate) struct Uncancelled<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    /// `None` once it has ended.
    future: Option<Pin<Box<F>>>,
    runtime: Handle,
}

impl<F> Uncancelled<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    /// Must be called within a runtime, in which the future continues if it is dropped.
    pub(crate) fn new(future: F) -> Self {
        Self { future: Some(Box::pin(future)), runtime: Handle::current() }
    }
}

impl<F> Future for Uncancelled<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // A future that panics has ended too.
        let mut future = self.future.take().expect("it is not polled after its end");
        let result = future.as_mut().poll(context);
        if result.is_pending() {
            self.future = Some(future);
        }
        result
    }
}

impl<F> Drop for Uncancelled<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            self.runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_dropped_future_continues() {
        let (step, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let future = {
            let (step, end) = (Arc::clone(&step), Arc::clone(&end));
            async move {
                step.notified().await;
                end.notify_one();
            }
        };
        let mut uncancelled = Box::pin(Uncancelled::new(future));
        assert_eq!(uncancelled.as_mut().now_or_never(), None);
        drop(uncancelled);
        step.notify_one();
        end.notified().await;
    }

    #[tokio::test]
    async fn an_awaited_future_gives_its_result_once() {
        let ended = Arc::new(());
        let guard = Arc::clone(&ended);
        let result = Uncancelled::new(async move {
            tokio::task::yield_now().await;
            let _guard = guard;
            7
        });
        assert_eq!(result.await, 7);
        assert_eq!(Arc::strong_count(&ended), 1, "it does not continue");
    }

    #[tokio::test]
    async fn a_future_that_panics_is_not_polled_again() {
        let result = std::panic::AssertUnwindSafe(Uncancelled::new(async { panic!("on purpose") }));
        assert!(result.catch_unwind().await.is_err());
    }
}
