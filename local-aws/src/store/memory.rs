//! Stores objects in memory, where they can be inspected.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{PutError, StoredObject};

type Objects = BTreeMap<(String, String), StoredObject>;

/// Objects by bucket and key; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Mutex<Objects>>);

impl Memory {
    pub(super) fn put(&self, mut object: StoredObject, if_absent: bool) -> Result<(), PutError> {
        let name = (object.bucket.clone(), object.key.clone());
        match self.lock().entry(name) {
            Entry::Occupied(_) if if_absent => return Err(PutError::Exists),
            Entry::Occupied(mut entry) => {
                object.puts = entry.get().puts + 1;
                entry.insert(object);
            }
            Entry::Vacant(entry) => {
                object.puts = 1;
                entry.insert(object);
            }
        }
        Ok(())
    }

    pub(super) fn objects(&self) -> Vec<StoredObject> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.0.lock()
    }
}
