//! kubectl and Helm, as people use them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The root of this checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a parent").to_owned()
}

/// What a command wrote, if it succeeded; else what it complained of.
///
/// # Errors
/// When it failed.
pub fn helm(arguments: &[&str]) -> Result<String, String> {
    helm_with(arguments, "")
}

/// The same, with something to read.
///
/// # Errors
/// When it failed.
pub fn helm_with(arguments: &[&str], input: &str) -> Result<String, String> {
    run("helm", arguments, input)
}

/// The same, of kubectl; `input` is what it reads.
///
/// # Errors
/// When it failed.
pub fn kubectl(arguments: &[&str], input: &str) -> Result<String, String> {
    run("kubectl", arguments, input)
}

/// Runs a command in the network of the tests' own node, which `TEST_LOCAL_NODE` says is there.
///
/// # Errors
/// When it failed.
pub fn inside_node(arguments: &[&str]) -> Result<String, String> {
    run("inside", arguments, "")
}

fn run(tool: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(checkout().join("tests/cluster"))
        .arg(tool)
        .args(arguments)
        .current_dir(checkout())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tests/cluster");
    let (mut stdin, input) = (child.stdin.take().expect("a pipe"), input.to_owned());
    // In a thread of its own: what it reads may be longer than a pipe.
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let Output { status, stdout, stderr } = child.wait_with_output().expect("an end");
    // A command that ends early need not have read all.
    let _ = writing.join();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if status.success() { Ok(text(stdout)) } else { Err(text(stdout) + &text(stderr)) }
}
