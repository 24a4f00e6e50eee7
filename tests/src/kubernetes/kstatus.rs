//! How kstatus judges a function (`tests/kstatus`).

use std::io::Write;
use std::process::{Command, Stdio};

use tributary_crds::DestinationFunction;

/// Names the program; `tests/run` builds it into `target/tools/bin`.
const PROGRAM: &str = "TEST_KSTATUS";

/// `Current`, `InProgress`, `Failed` or another of kstatus' words.
///
/// # Panics
/// Without the program.
pub fn kstatus(function: &DestinationFunction) -> String {
    let program = std::env::var_os(PROGRAM).unwrap_or_else(|| panic!("{PROGRAM} is not set: run tests/run e2e"));
    let child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("the program that tests/run builds");
    let text = serde_json::to_vec(function).expect("a function is JSON");
    child.stdin.take().expect("a pipe").write_all(&text).expect("a program that reads all");
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success(), "kstatus fails");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
