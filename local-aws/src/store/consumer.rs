//! Passes objects to a function instead of storing them.

use std::fmt;
use std::sync::Arc;

use super::StoredObject;

/// The function that receives the objects; clones share it.
#[derive(Clone)]
pub(super) struct Consumer(Arc<dyn Fn(StoredObject) + Send + Sync>);

impl Consumer {
    pub(super) fn new(consume: impl Fn(StoredObject) + Send + Sync + 'static) -> Consumer {
        Consumer(Arc::new(consume))
    }

    pub(super) fn consume(&self, mut object: StoredObject) {
        object.puts = 1;
        (self.0)(object);
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Consumer")
    }
}
