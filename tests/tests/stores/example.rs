//! Tests that the example for other stores runs as it stands: the commands in its comments, with MinIO.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tributary_tests::http::Http;
use tributary_tests::namespace::with_names;
use tributary_tests::process::KillOnDrop;
use tributary_tests::sidecar::binary;
use tributary_tests::wait::until;

use crate::store::program;

const EXAMPLE: &str = include_str!("../../../examples/s3-compatible.yaml");

/// How soon a command of the example has an effect, on a busy machine.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// A command of the example, in a shell; `mc` and the programs are on its PATH.
fn shell(command: &str, folder: &Path) -> Command {
    let tools = [program("bin/mc"), binary("tributary")].map(|path| path.parent().expect("a folder").to_owned());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(tools.into_iter().chain(std::env::split_paths(&path))).expect("a PATH");
    let mut shell = Command::new("sh");
    shell.args(["-euc", command]).current_dir(folder).env("HOME", folder).env("PATH", path).stdin(Stdio::null());
    shell
}

/// Starts a command that runs until the test ends.
fn start(command: &str, folder: &Path) -> KillOnDrop {
    KillOnDrop(shell(&format!("exec env {command}"), folder).spawn().expect("a shell"))
}

async fn wait_for_200(url: &str) {
    let http = Http::new();
    until(url, COMMAND_TIMEOUT, async || {
        let answer = http.request(hyper::Method::GET, url, &[], "").await;
        answer.ok().filter(|answer| answer.status == 200)
    })
    .await;
}

/// In a network of its own, where the example's ports are free.
#[test]
fn the_commands_of_the_example_store_an_event_in_minio() {
    with_names("example::the_commands_of_the_example_store_an_event_in_minio", &[], async || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("examples")).expect("a folder");
        std::fs::write(folder.path().join("examples/s3-compatible.yaml"), EXAMPLE).expect("a file");
        let commands: Vec<_> = EXAMPLE.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
        let [server, setup @ .., run] = commands.as_slice() else { panic!("{commands:?}") };
        let _server = start(server, folder.path());
        wait_for_200("http://127.0.0.1:9000/minio/health/ready").await;
        for command in setup {
            let output = shell(command, folder.path()).output().expect("a shell");
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let _function = start(run, folder.path());
        wait_for_200("http://127.0.0.1:8081/readyz").await;
        let event = json!({"userId": "u1", "event": "Order Completed"});
        let (http, url) = (Http::new(), "http://127.0.0.1:8080/v1/track");
        let sent = http.request(hyper::Method::POST, url, &[], event.to_string()).await;
        assert_eq!(sent.expect("an answer").status, 200);
        let listed = shell("mc ls --recursive local/events", folder.path()).output().expect("a shell");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.contains("track/") && listed.lines().count() == 1, "{listed}");
    });
}
