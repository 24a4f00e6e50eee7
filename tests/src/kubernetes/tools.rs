//! Runs kubectl, Helm and commands on the tests' node, through `tests/kubernetes/cluster`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The root of this checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a parent").to_owned()
}

/// Runs Helm and returns its standard output.
///
/// # Errors
/// If Helm fails: its standard output and error.
pub fn helm(arguments: &[&str]) -> Result<String, String> {
    helm_with(arguments, "")
}

/// Runs Helm with this standard input, as [`helm`].
///
/// # Errors
/// If Helm fails: its standard output and error.
pub fn helm_with(arguments: &[&str], input: &str) -> Result<String, String> {
    run("helm", arguments, input)
}

/// Runs kubectl with this standard input and returns its standard output.
///
/// # Errors
/// If kubectl fails: its standard output and error.
pub fn kubectl(arguments: &[&str], input: &str) -> Result<String, String> {
    run("kubectl", arguments, input)
}

/// Runs a command in the network namespace of the tests' own node. Only if `TEST_LOCAL_NODE` is set, there is one.
///
/// # Errors
/// If the command fails: its standard output and error.
pub fn inside_node(arguments: &[&str]) -> Result<String, String> {
    run("inside", arguments, "")
}

fn run(tool: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(checkout().join("tests/kubernetes/cluster"))
        .arg(tool)
        .args(arguments)
        .current_dir(checkout())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tests/kubernetes/cluster");
    let (mut stdin, input) = (child.stdin.take().expect("a pipe"), input.to_owned());
    // In its own thread: the input may be larger than a pipe's buffer.
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the command exits");
    // A command that exits early does not read all of its input.
    let _ = writing.join();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if status.success() { Ok(text(stdout)) } else { Err(text(stdout) + &text(stderr)) }
}
