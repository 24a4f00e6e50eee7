//! Where objects go.

mod files;
mod memory;

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use files::Files;
use memory::Memory;

/// A place for objects; clones share it.
#[derive(Clone, Debug)]
pub struct Store(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Files(Files),
    Memory(Memory),
    Discard,
}

/// An object as it was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// The bucket it is in.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its content.
    pub body: Bytes,
    /// The `Content-Type` it came with.
    pub content_type: Option<String>,
    /// The `Content-Encoding` it came with.
    pub content_encoding: Option<String>,
    /// Its tags, in the order they came in.
    pub tags: Vec<(String, String)>,
    /// The `x-amz-server-side-encryption` it came with.
    pub encryption: Option<String>,
    /// The key it is encrypted with: the request's, or the bucket's default.
    pub kms_key_id: Option<String>,
    /// The `x-amz-storage-class` it came with.
    pub storage_class: Option<String>,
    /// How often this key was written.
    pub puts: u64,
}

/// Why an object was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    /// The key is taken, and the request wanted it free.
    #[error("the key exists")]
    Exists,
    /// The key can't be the path of a file.
    #[error("{0}")]
    Key(String),
    /// The disk failed.
    #[error("the object could not be written: {0}")]
    Io(#[from] io::Error),
}

impl Store {
    /// Objects are files, `dir/<bucket>/<key>`, there whole or not at all. A crash of the
    /// machine may lose the last of them: nothing waits for the disk.
    ///
    /// # Errors
    /// If the directory can't be made.
    pub fn files(dir: impl Into<PathBuf>) -> io::Result<Store> {
        Files::new(dir.into()).map(|files| Store(Kind::Files(files)))
    }

    /// Objects are kept in memory, to be looked at.
    #[must_use]
    pub fn memory() -> Store {
        Store(Kind::Memory(Memory::default()))
    }

    /// Objects are thrown away; every key is free for ever.
    #[must_use]
    pub fn discard() -> Store {
        Store(Kind::Discard)
    }

    /// All objects of a memory store, by bucket and key; none of the other kinds.
    #[must_use]
    pub fn objects(&self) -> Vec<StoredObject> {
        match &self.0 {
            Kind::Memory(memory) => memory.objects(),
            Kind::Files(_) | Kind::Discard => Vec::new(),
        }
    }

    /// Stores an object; with `if_absent`, only where there is none of its key yet, and of
    /// any number of writers at once exactly one does.
    pub(crate) async fn put(&self, object: StoredObject, if_absent: bool) -> Result<(), PutError> {
        match &self.0 {
            Kind::Discard => Ok(()),
            Kind::Memory(memory) => memory.put(object, if_absent),
            Kind::Files(files) => {
                let files = files.clone();
                let write = move || files.put(&object, if_absent);
                let written = tokio::task::spawn_blocking(write).await;
                written.map_err(io::Error::other)?
            }
        }
    }
}
