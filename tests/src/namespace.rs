//! Runs a test in its own Linux namespaces, in which the test decides what host names resolve to.
//!
//! A test that needs host names such as AWS's, on port 443, is run a second time as a child process in new Linux
//! namespaces: a user namespace, so that the others need no root; a mount namespace, with the test's hosts file; and a
//! network namespace with only a loopback interface, so that no connection leaves the machine.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Names the file that the child process creates once the test has passed. Set in the child process only.
const MARKER_ENV: &str = "TRIBUTARY_TEST_NAMESPACE_MARK";

/// Bind-mounts the files of the folder `$1` over the machine's, and executes the other arguments. (Without a
/// resolv.conf, the nameserver is also the one on loopback.)
const ENTER_SCRIPT: &str = r#"set -e; mount --bind "$1/hosts" /etc/hosts
for file in resolv.conf nsswitch.conf; do [ ! -e "/etc/$file" ] || mount --bind "$1/$file" "/etc/$file"; done
ip link set lo up; shift; exec "$@""#;

/// The arguments of unshare to try in turn: without root, and as root where user namespaces are disabled.
const UNSHARE_ARGUMENTS: [&[&str]; 2] = [&["--user", "--map-root-user"], &[]];

/// Runs `body`, the body of the test named `test`, where only `names` (address and host name) resolve. The nameserver
/// is 127.0.0.1:53, where nothing listens unless the test does.
///
/// # Panics
/// If the test fails; and on CI, where `CI` is set, if namespaces can't be created. Elsewhere the test then prints that
/// it was not run.
pub fn with_names(test: &str, names: &[(&str, &str)], body: impl AsyncFnOnce()) {
    if let Some(marker) = std::env::var_os(MARKER_ENV) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(body());
        return std::fs::write(marker, "").expect("the marker file");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (files, marker) = (folder.path(), folder.path().join("mark"));
    let lines: String = names.iter().map(|(address, name)| format!("{address} {name}\n")).collect();
    std::fs::write(files.join("hosts"), format!("127.0.0.1 localhost\n{lines}")).expect("a file");
    std::fs::write(files.join("resolv.conf"), "nameserver 127.0.0.1\n").expect("a file");
    std::fs::write(files.join("nsswitch.conf"), "hosts: files dns\n").expect("a file");
    let Some(unshare_arguments) = UNSHARE_ARGUMENTS
        .into_iter()
        .find(|unshare_arguments| run_in_namespaces(unshare_arguments, files, &marker, &["true".as_ref()]).success())
    else {
        return report_not_run(test);
    };
    let program = std::env::current_exe().expect("the path of this test");
    let arguments = [program.as_os_str(), "--exact".as_ref(), test.as_ref(), "--nocapture".as_ref()];
    let status = run_in_namespaces(unshare_arguments, files, &marker, &arguments);
    assert!(status.success(), "{test} failed in its namespaces: {status}");
    // With `--exact`, a name that matches no test passes too.
    assert!(marker.exists(), "no test is called {test}");
}

fn run_in_namespaces(unshare_arguments: &[&str], files: &Path, marker: &PathBuf, command: &[&OsStr]) -> ExitStatus {
    Command::new("unshare")
        .args(unshare_arguments)
        .args(["--net", "--mount", "sh", "-c", ENTER_SCRIPT, "sh"])
        .arg(files)
        .args(command)
        .env(MARKER_ENV, marker)
        .status()
        .expect("the command unshare")
}

fn report_not_run(test: &str) {
    let why = "namespaces can't be created: this needs unshare, iproute2, and user namespaces or root";
    assert!(std::env::var_os("CI").is_none_or(|value| value.is_empty()), "{test}: {why}");
    // Not with `println!`, whose output the test harness shows only for failed tests.
    writeln!(std::io::stdout(), "NOT RUN: {test}: {why}").expect("standard output");
}
