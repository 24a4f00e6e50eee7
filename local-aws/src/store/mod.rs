//! Stores objects as files or in memory, or passes them to a function.

mod consumer;
mod files;
mod memory;

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use consumer::Consumer;
use files::Files;
use memory::Memory;

/// A store of objects; clones share them.
#[derive(Clone, Debug)]
pub struct Store(Backend);

#[derive(Clone, Debug)]
enum Backend {
    Files(Files),
    Memory(Memory),
    Consumer(Consumer),
}

/// An object, as PutObject stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its content, as sent.
    pub body: Bytes,
    /// The request's `Content-Type`.
    pub content_type: Option<String>,
    /// The request's `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// Its tags, in the order of the request.
    pub tags: Vec<(String, String)>,
    /// The request's `x-amz-server-side-encryption`.
    pub encryption: Option<String>,
    /// ARN of its KMS key: the request's, or the bucket's default.
    pub kms_key_id: Option<String>,
    /// The request's `x-amz-storage-class`.
    pub storage_class: Option<String>,
    /// Number of times that this key was written.
    pub puts: u64,
}

/// Why an object was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    /// The key exists, but the request requires that it does not.
    #[error("the key exists")]
    Exists,
    /// The key can't be the path of a file.
    #[error("{0}")]
    Key(String),
    /// The file can't be written.
    #[error("the object could not be written: {0}")]
    Io(#[from] io::Error),
}

impl Store {
    /// Stores objects as files, `dir/<bucket>/<key>`, each complete or absent. Files are not synced to
    /// disk, so a crash of the machine may lose the latest ones.
    ///
    /// # Errors
    /// If the directory can't be created.
    pub fn files(dir: impl Into<PathBuf>) -> io::Result<Store> {
        Files::new(dir.into()).map(|files| Store(Backend::Files(files)))
    }

    /// Keeps objects in memory, where [`Store::objects`] returns them.
    #[must_use]
    pub fn memory() -> Store {
        Store(Backend::Memory(Memory::default()))
    }

    /// Passes each object to `consume` and keeps none, so no key ever exists and `If-None-Match` always succeeds. The
    /// PutObject is answered when `consume` returns.
    #[must_use]
    pub fn consumer(consume: impl Fn(StoredObject) + Send + Sync + 'static) -> Store {
        Store(Backend::Consumer(Consumer::new(consume)))
    }

    /// All objects of a memory store, sorted by bucket and key; none of other stores.
    #[must_use]
    pub fn objects(&self) -> Vec<StoredObject> {
        match &self.0 {
            Backend::Memory(memory) => memory.objects(),
            Backend::Files(_) | Backend::Consumer(_) => Vec::new(),
        }
    }

    /// Stores an object; with `if_absent`, only if its key does not exist. Of concurrent writers with
    /// `if_absent` exactly one succeeds, unless the store keeps no objects.
    pub(crate) async fn put(&self, object: StoredObject, if_absent: bool) -> Result<(), PutError> {
        match &self.0 {
            Backend::Memory(memory) => memory.put(object, if_absent),
            Backend::Consumer(consumer) => {
                consumer.consume(object);
                Ok(())
            }
            Backend::Files(files) => {
                let files = files.clone();
                let write = move || files.put(&object, if_absent);
                let result = tokio::task::spawn_blocking(write).await;
                result.map_err(io::Error::other)?
            }
        }
    }
}
