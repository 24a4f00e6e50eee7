//! A network of a test's own, in which names lead where the test says.
//!
//! A test that must use names such as those of AWS, on port 443, is run a second time, by itself, in new namespaces of
//! Linux: one for users, which makes the others possible without root; one for mounts, with a hosts file of the
//! test's; one for the network, which is a loopback interface and nothing else, so that nothing gets out by mistake.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Where the second run leaves its mark once the test has passed; it is set for that run only.
const MARK: &str = "TRIBUTARY_TEST_NAMESPACE_MARK";

/// Hides the machine's files behind those of the folder that is the first argument, and becomes the rest. (Where there is
/// no resolv.conf, the nameserver is the one on loopback, too.)
const ENTER: &str = r#"set -e; mount --bind "$1/hosts" /etc/hosts
for file in resolv.conf nsswitch.conf; do [ ! -e "/etc/$file" ] || mount --bind "$1/$file" "/etc/$file"; done
ip link set lo up; shift; exec "$@""#;

/// How namespaces are made: without root, and as root where users' namespaces are switched off.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user"], &[]];

/// Runs `body`, the test of this name, where `names` lead to these addresses and no others do. The nameserver is at
/// 127.0.0.1:53: none, unless the test has one.
///
/// # Panics
/// If the test fails; and on CI, which sets `CI`, if there can be no namespaces. Elsewhere the test then says that it
/// was not run.
pub fn with_names(test: &str, names: &[(&str, &str)], body: impl AsyncFnOnce()) {
    if let Some(mark) = std::env::var_os(MARK) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(body());
        return std::fs::write(mark, "").expect("the mark");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (files, mark) = (folder.path(), folder.path().join("mark"));
    let lines: String = names.iter().map(|(address, name)| format!("{address} {name}\n")).collect();
    std::fs::write(files.join("hosts"), format!("127.0.0.1 localhost\n{lines}")).expect("a file");
    std::fs::write(files.join("resolv.conf"), "nameserver 127.0.0.1\n").expect("a file");
    std::fs::write(files.join("nsswitch.conf"), "hosts: files dns\n").expect("a file");
    let Some(way) = WAYS.into_iter().find(|way| enter(way, files, &mark, &["true".as_ref()]).success()) else {
        return not_run(test);
    };
    let program = std::env::current_exe().expect("the path of this test");
    let arguments = [program.as_os_str(), "--exact".as_ref(), test.as_ref(), "--nocapture".as_ref()];
    let status = enter(way, files, &mark, &arguments);
    assert!(status.success(), "{test} failed in its namespaces: {status}");
    // A name that no test has would pass too.
    assert!(mark.exists(), "no test is called {test}");
}

fn enter(way: &[&str], files: &Path, mark: &PathBuf, command: &[&OsStr]) -> ExitStatus {
    Command::new("unshare")
        .args(way)
        .args(["--net", "--mount", "sh", "-c", ENTER, "sh"])
        .arg(files)
        .args(command)
        .env(MARK, mark)
        .status()
        .expect("the command unshare")
}

fn not_run(test: &str) {
    let why = "no namespaces can be made here: that takes unshare, iproute2, and users' namespaces or root";
    assert!(std::env::var_os("CI").is_none(), "{test}: {why}");
    // Not by a macro, whose output is shown of failed tests only.
    writeln!(std::io::stdout(), "NOT RUN: {test}: {why}").expect("standard output");
}
