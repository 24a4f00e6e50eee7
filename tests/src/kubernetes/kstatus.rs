//! Computes a function's status with kstatus (`tests/kstatus`), as GitOps tools do.

use std::io::Write;
use std::process::{Command, Stdio};

use tributary_crds::DestinationFunction;

/// The environment variable with the program's path. `tests/run` builds it into `target/tools/bin`.
const PROGRAM_ENV: &str = "TEST_KSTATUS";

/// The kstatus of a function: `Current`, `InProgress`, `Failed` or another.
///
/// # Panics
/// If the program is missing or fails.
pub fn kstatus(function: &DestinationFunction) -> String {
    let program =
        std::env::var_os(PROGRAM_ENV).unwrap_or_else(|| panic!("{PROGRAM_ENV} is not set: run tests/run e2e"));
    let child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("the program that tests/run builds");
    let text = serde_json::to_vec(function).expect("a function is JSON");
    child.stdin.take().expect("a pipe").write_all(&text).expect("the program reads all its input");
    let output = child.wait_with_output().expect("the program exits");
    assert!(output.status.success(), "the kstatus program failed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
