//! What `promtool check metrics` says of metrics (`tests/promlint`).

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Names the program; `tests/run` builds it into `target/tools/bin`.
const PROGRAM: &str = "TEST_PROMLINT";

/// Asserts that metrics are in the text format 0.0.4, and that nothing in them is against the
/// conventions for names, types and help.
///
/// # Panics
/// If they are not, or without the program.
pub fn assert_clean(metrics: &str) {
    assert!(metrics.lines().count() > 10, "these are hardly any metrics: {metrics:?}");
    let program = std::env::var_os(PROGRAM).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/bin/promlint")),
        PathBuf::from,
    );
    let mut child = Command::new(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; name it with {PROGRAM}, as tests/run does", program.display()));
    child.stdin.take().expect("a pipe").write_all(metrics.as_bytes()).expect("a program that reads all");
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success(), "{}\n{metrics}", String::from_utf8_lossy(&output.stderr));
}
