//! Stores objects as files. Each is first written under a temporary name and then published atomically: by a rename,
//! or by a hard link if the key must not exist, because a link never replaces a file, not even one that another
//! process has created.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{PutError, StoredObject};

/// Maximum length of a file's name in bytes, on common filesystems.
const MAX_NAME_BYTES: usize = 255;

/// A directory with one subdirectory per bucket.
#[derive(Clone, Debug)]
pub(super) struct Files {
    dir: Arc<Path>,
    /// The directory of temporary files: on the same filesystem, and with a name that no
    /// bucket can have.
    temporary: Arc<Path>,
    /// Number of files written, for the temporary names.
    written: Arc<AtomicU64>,
}

impl Files {
    pub(super) fn new(dir: PathBuf) -> io::Result<Files> {
        let temporary = dir.join(".tributary").join("tmp");
        fs::create_dir_all(&temporary)?;
        Ok(Files { dir: dir.into(), temporary: temporary.into(), written: Arc::default() })
    }

    pub(super) fn put(&self, object: &StoredObject, if_absent: bool) -> Result<(), PutError> {
        check(&object.key)?;
        let path = self.dir.join(&object.bucket).join(&object.key);
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        // The random part distinguishes processes with the same ID in different containers.
        let name = format!("{}-{number}-{:016x}", std::process::id(), fastrand::u64(..));
        let temporary = self.temporary.join(name);
        fs::write(&temporary, &object.body)?;
        let result = publish(&temporary, &path, if_absent);
        if if_absent || result.is_err() {
            // A link leaves the temporary name behind. It is not visible as an object, so
            // the request succeeds even if it can't be removed.
            let _ = fs::remove_file(&temporary);
        }
        result
    }
}

fn publish(from: &Path, to: &Path, if_absent: bool) -> Result<(), PutError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(publish_error)?;
    }
    if !if_absent {
        return fs::rename(from, to).map_err(publish_error);
    }
    fs::hard_link(from, to).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists if !to.is_dir() => PutError::Exists,
        _ => publish_error(error),
    })
}

/// Maps errors that the key causes to [`PutError::Key`]: a file and a directory can't have the same name.
fn publish_error(error: io::Error) -> PutError {
    match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory | ErrorKind::IsADirectory => PutError::Key(
            "this store keeps objects as files, and this key is a parent folder of another key or lies below one"
                .to_owned(),
        ),
        _ => PutError::Io(error),
    }
}

/// Checks that every segment of `key` can be a file's name, and that none leaves the bucket.
fn check(key: &str) -> Result<(), PutError> {
    let invalid_key = |what: &str| Err(PutError::Key(format!("this store keeps objects as files, and the key {what}")));
    if key.contains('\0') {
        return invalid_key("has a zero byte");
    }
    for segment in key.split('/') {
        match segment {
            "" => return invalid_key("has an empty segment"),
            "." | ".." => return invalid_key("has a segment that is . or .."),
            long if long.len() > MAX_NAME_BYTES => return invalid_key("has a segment of more than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, body: &'static str) -> StoredObject {
        StoredObject {
            bucket: "lake".to_owned(),
            key: key.to_owned(),
            body: body.into(),
            content_type: None,
            content_encoding: None,
            tags: Vec::new(),
            encryption: None,
            kms_key_id: None,
            storage_class: None,
            puts: 0,
        }
    }

    #[test]
    fn of_two_processes_with_if_absent_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (Files::new(dir.path().into()).unwrap(), Files::new(dir.path().into()).unwrap());
        one.put(&object("a/b", "first"), true).unwrap();
        assert!(matches!(two.put(&object("a/b", "second"), true), Err(PutError::Exists)));
        assert_eq!(fs::read(dir.path().join("lake/a/b")).unwrap(), b"first");
        two.put(&object("a/b", "third"), false).unwrap();
        assert_eq!(fs::read(dir.path().join("lake/a/b")).unwrap(), b"third");
        let remaining = fs::read_dir(dir.path().join(".tributary/tmp")).unwrap().count();
        assert_eq!(remaining, 0, "temporary files remain");
    }

    #[test]
    fn keys_that_are_not_paths_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().into()).unwrap();
        files.put(&object("file", ""), false).unwrap();
        files.put(&object("dir/file", ""), false).unwrap();
        let long = "x".repeat(256);
        for key in ["../x", "a/../../x", "a//b", "a/", "/a", ".", "a\0b", "file/below", "dir", &long] {
            for if_absent in [true, false] {
                let outcome = files.put(&object(key, ""), if_absent);
                assert!(matches!(outcome, Err(PutError::Key(_))), "{key:?}: {outcome:?}");
            }
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
