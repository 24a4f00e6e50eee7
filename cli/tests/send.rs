//! Runs `tributary send` and `tributary local-aws` as a user does.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

fn tributary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A long-running command in a temporary folder.
struct Running {
    child: Child,
    _folder: TempDir,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = tributary();
        let mut child =
            command.args(arguments).current_dir(folder.path()).env("TMPDIR", folder.path()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, _folder: folder, lines }
    }

    /// The address at the end of the next line that starts with `start`.
    fn address(&mut self, start: &str) -> String {
        let line = self.lines.by_ref().map(Result::unwrap).find(|line| line.starts_with(start)).unwrap();
        line.rsplit("//").next().unwrap().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(events: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        tributary().args(["send", &format!("http://{events}")]).args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

fn request(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn running(name: &str) -> (Running, String) {
    let file = example(name);
    let arguments = ["run", file.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut running = Running::start(&arguments);
    let events = running.address("events ");
    // The function is ready once this event is stored.
    let (code, output) = send(&events, &["--retry", "30", "--write-key", "change-me-write-key"]);
    assert_eq!(code, Some(0), "{output}");
    (running, events)
}

#[test]
fn the_answer_to_one_event_is_printed_and_several_are_counted() {
    let (_running, events) = running("orders.yaml");
    assert_eq!(send(&events, &[]), (Some(0), "200 {\"success\":true}\n".to_owned()));
    let (code, output) = send(&events, &["--count", "100", "--rate", "500", "--no-keep-alive"]);
    assert!(
        code == Some(0) && output.starts_with("{\"sent\":100,\"answers\":{\"200\":100},\"retried\":0,"),
        "{output}"
    );
}

#[test]
fn an_event_that_is_not_stored_fails() {
    let (_running, events) = running("clickstream.yaml");
    let (code, output) = send(&events, &["--write-key", "another"]);
    assert!(code == Some(1) && output.starts_with("401 "), "{output}");
    assert_eq!(send(&events, &["--write-key", "change-me-write-key"]).0, Some(0));
    let (code, output) = send("127.0.0.1:1", &[]);
    assert!(code == Some(1) && output.starts_with("no answer: "), "{output}");
}

#[test]
fn a_webhook_is_signed() {
    let file = example("webhook.yaml");
    let arguments = ["run", file.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut webhook = Running::start(&arguments);
    let events = webhook.address("events ");
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "change-me-signing-secret\n").unwrap();
    let signed = ["--retry", "30", "--signature-file", secret.to_str().unwrap()];
    assert_eq!(send(&events, &signed), (Some(0), "200 {\"success\":true}\n".to_owned()));
    std::fs::write(&secret, "another").unwrap();
    assert_eq!(send(&events, &signed).0, Some(1));
}

#[test]
fn an_invalid_url_is_wrong_usage() {
    let scheme = "it does not begin with http:// or https://; write it like http://127.0.0.1:8080";
    for (url, part) in [
        ("orders.shop.svc", scheme),
        ("127.0.0.1:8080", scheme),
        ("ftp://orders", scheme),
        ("http://orders/v1/batch", "it has a path, which this command adds itself"),
        ("http://orders?a=b", "it has a path"),
        ("http://", "it is malformed"),
    ] {
        assert_wrong_usage(&[url], part);
    }
}

#[test]
fn a_missing_file_is_wrong_usage() {
    for flag in ["--signature-file", "--write-key-file", "--ca-file"] {
        assert_wrong_usage(&["http://127.0.0.1:1", flag, "no-such-file"], "no-such-file: ");
    }
}

fn assert_wrong_usage(arguments: &[&str], part: &str) {
    let Output { status, stderr, .. } = tributary().arg("send").args(arguments).output().unwrap();
    let output = String::from_utf8(stderr).unwrap();
    assert!(status.code() == Some(64) && output.contains(part), "{output}");
}

#[test]
fn a_server_without_tls_is_named_as_the_cause() {
    let file = example("orders.yaml");
    let arguments = ["run", file.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut run = Running::start(&arguments);
    let url = format!("https://{}", run.address("events "));
    let Output { status, stdout, .. } = tributary().args(["send", &url]).output().unwrap();
    let (code, output) = (status.code(), String::from_utf8(stdout).unwrap());
    assert!(code == Some(1) && output.contains("does not speak TLS: write http://"), "{output}");
}

#[test]
fn the_embedded_aws_runs_alone_and_its_admin_api_shows_objects_and_calls() {
    let accounts = example("accounts.yaml");
    let arguments = ["local-aws", accounts.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut aws = Running::start(&arguments);
    let (s3, admin) = (aws.address("S3 and STS"), aws.address("admin"));
    assert!(request(&s3, "HEAD", "/orders-lake", "").contains("403"));
    assert!(request(&admin, "GET", "/healthz", "").ends_with("ok\n"));
    assert!(request(&admin, "GET", "/objects", "").contains("200 OK"));
    assert!(request(&admin, "GET", "/objects/orders-lake/x", "").contains("404"));
    assert!(request(&admin, "GET", "/calls", "").contains("HeadBucket"));
    assert!(request(&admin, "PUT", "/accounts", "accounts: []").contains("400"));
    assert!(request(&admin, "PUT", "/accounts", "accounts: {}").ends_with("ok\n"));

    let missing = tributary().args(["local-aws", "no-such-file.yaml"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(64));
}
