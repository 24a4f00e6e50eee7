//! Runs the checks of `promtool check metrics` on metrics (`tests/promlint`).

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The environment variable with the program's path. `tests/run` builds it into `target/tools/bin`.
const PROGRAM_ENV: &str = "TEST_PROMLINT";

/// Asserts that metrics are in the text format 0.0.4, and that promlint finds nothing wrong with their names, types and
/// help.
///
/// # Panics
/// If it finds something, or the program is missing.
pub fn assert_clean(metrics: &str) {
    assert!(metrics.lines().count() > 10, "hardly any metrics: {metrics:?}");
    let program = std::env::var_os(PROGRAM_ENV).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/bin/promlint")),
        PathBuf::from,
    );
    let mut child = Command::new(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{}: {error}; set {PROGRAM_ENV} to its path, as tests/run does", program.display())
        });
    child.stdin.take().expect("a pipe").write_all(metrics.as_bytes()).expect("the program reads all its input");
    let output = child.wait_with_output().expect("the program exits");
    assert!(output.status.success(), "{}\n{metrics}", String::from_utf8_lossy(&output.stderr));
}
