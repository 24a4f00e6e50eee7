//! Finds the clients and readers that `tests/run` installs.

use std::path::PathBuf;

/// A file that `tests/run clients` has installed in the folder `clients` of cargo's target folder, which is an ancestor
/// of the running test.
///
/// # Panics
/// If it is missing.
pub fn installed(path: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a process has a path");
    let mut candidates = test.ancestors().map(|folder| folder.join("clients").join(path));
    candidates
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("clients/{path} is missing: run tests/run clients, which installs what clients need"))
}
