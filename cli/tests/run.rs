//! Runs `tributary run` as a user does: the built binary, real ports, files that are edited.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[path = "run/capture.rs"]
mod capture;
#[path = "run/plain.rs"]
mod plain;
#[path = "run/refused.rs"]
mod refused;
#[path = "run/stopping.rs"]
mod stopping;
#[path = "run/terminal.rs"]
mod terminal;

/// Deadline for anything that a test waits for: far more than it takes, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

const EVENT: &str = r#"{"userId":"u1","event":"Order Completed","messageId":"m-1","timestamp":"2026-01-01T00:00:00Z"}"#;
const OBJECT: &str = "orders-lake/segment/track/1767225600000-m-1.json";

/// A run of an example in a temporary folder.
struct Run {
    folder: TempDir,
    child: Child,
    lines: Receiver<String>,
    events: String,
    admin: String,
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

fn tributary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Run {
    /// Starts `orders.yaml`; with `accounts`, also with the accounts file of the examples.
    fn start(accounts: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(example("orders.yaml"), folder.path().join("orders.yaml")).unwrap();
        fs::copy(example("accounts.yaml"), folder.path().join("accounts.yaml")).unwrap();
        Self::again(folder, accounts)
    }

    fn again(folder: TempDir, accounts: bool) -> Self {
        let mut command = tributary();
        command.current_dir(folder.path()).args(["run", "orders.yaml", "--listen", "127.0.0.1:0"]);
        command.args(["--admin", "127.0.0.1:0"]);
        // A run that is killed leaves its Secrets' folder behind; here it is removed with the test's.
        command.env("TMPDIR", folder.path());
        if accounts {
            command.args(["--accounts", "accounts.yaml"]);
        }
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines() {
                let _ = sender.send(line.unwrap());
            }
        });
        let mut run = Self { folder, child, lines, events: String::new(), admin: String::new() };
        run.events = run.address("events ");
        run.admin = run.address("status ");
        run
    }

    /// Waits for the next line that starts with `start`.
    fn line(&self, start: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.starts_with(start) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line begins with {start:?}: {error}"),
            }
        }
    }

    /// The address in the next line that starts with `start`.
    fn address(&self, start: &str) -> String {
        self.line(start).split('/').nth(2).unwrap().to_owned()
    }

    /// Sends the event once and returns the answer's status and body.
    fn send(&self) -> (u16, String) {
        self.send_event(EVENT)
    }

    fn send_event(&self, event: &str) -> (u16, String) {
        request(&self.events, "POST /v1/track", event)
    }

    /// Sends the event until the answer is 200, as a client library does.
    fn send_until_stored(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, answer) = self.send();
            if status == 200 {
                return;
            }
            assert!(status == 503 && Instant::now() < deadline, "{status} {answer}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(&path, text.replace(from, to)).unwrap();
    }

    fn object(&self) -> PathBuf {
        self.folder.path().join("tributary-data").join(OBJECT)
    }

    /// Sends Ctrl-C, expects exit code 0, and returns the folder and the summary.
    fn end(mut self) -> (TempDir, String) {
        interrupt(&self.child);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let summary = self.lines.iter().last().unwrap();
        let Run { folder, .. } = &mut self;
        let folder = std::mem::replace(folder, tempfile::tempdir().unwrap());
        (folder, summary)
    }
}

/// Sends a request, such as `POST /v1/track`, with a body and returns the answer's status and body.
fn request(address: &str, method_and_path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method_and_path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split("\r\n\r\n").nth(1).unwrap().to_owned())
}

/// Sends SIGINT, as Ctrl-C does.
fn interrupt(child: &Child) {
    send_signal(child, "-INT");
}

fn send_signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_example_runs_as_it_stands_and_goes_on_where_it_was() {
    let run = Run::start(false);
    run.line("ready ");
    assert_eq!(run.send(), (200, r#"{"success":true}"#.to_owned()));
    let object = run.line("object ");
    assert!(object.ends_with(&format!("tributary-data/{OBJECT}")), "{object}");
    let stored = fs::read_to_string(run.object()).unwrap();
    assert!(stored.starts_with(r#"{"userId":"u1","event":"Order Completed","messageId":"m-1""#), "{stored}");
    let (folder, summary) = run.end();
    assert!(summary.starts_with("1 event stored (0 already there), 1 object of "), "{summary}");

    let run = Run::again(folder, false);
    run.send_until_stored();
    // A new process trusts no 412 until it has seen the store accept a condition: it writes the object again.
    let written = |text: &str| text.split(r#","sentAt""#).next().unwrap().to_owned();
    let first = fs::read_to_string(run.object()).unwrap();
    assert_eq!(written(&first), written(&stored));
    // Another event shows that the store honours conditions; after that, nothing is written twice.
    assert_eq!(run.send_event(&EVENT.replace("m-1", "m-2")).0, 200);
    assert_eq!(run.send().0, 200);
    let again = fs::read_to_string(run.object()).unwrap();
    assert_eq!(again, first, "a retried event was written twice");
    let (_folder, summary) = run.end();
    assert!(summary.starts_with("3 events stored (1 already there), 2 objects of "), "{summary}");
}

/// Makes an edit, expects a `problem` line that contains `problem` and `says`, and undoes the edit.
fn try_mismatch(file: &str, right: &str, wrong: &str, problem: &str, says: &str) {
    let run = Run::start(true);
    run.line("ready ");
    run.send_until_stored();
    fs::remove_file(run.object()).unwrap();

    run.edit(file, right, wrong);
    run.line("edit ");
    // Under traffic, since some mismatches are only found by an upload.
    let deadline = Instant::now() + PATIENCE;
    let answer = loop {
        let (status, answer) = run.send();
        if status == 503 {
            break answer;
        }
        assert!(Instant::now() < deadline, "nothing is wrong: {status} {answer}");
        let _ = fs::remove_file(run.object());
        std::thread::sleep(Duration::from_millis(100));
    };
    let line = run.line("problem ");
    assert!(line.contains(problem) && line.contains(says), "{line}");
    // The client gets only the reason; the whole message is for the screen.
    let reason = problem.rsplit(' ').next().unwrap();
    assert!(answer.contains(reason) && !answer.contains(says), "{answer}");

    run.edit(file, wrong, right);
    run.send_until_stored();
    run.line("fixed ");
    assert!(run.object().exists());
}

#[test]
fn a_bucket_in_another_region_is_told_and_mended_without_a_restart() {
    try_mismatch("accounts.yaml", "region: us-west-2", "region: eu-west-1", "BucketWritable WrongRegion", "eu-west-1");
}

#[test]
fn a_bucket_that_is_gone_is_told_and_mended_without_a_restart() {
    try_mismatch(
        "accounts.yaml",
        "      orders-lake:\n",
        "      other-lake:\n",
        "BucketWritable NoSuchBucket",
        "orders-lake",
    );
}

#[test]
fn a_role_that_may_not_write_is_told_and_mended_without_a_restart() {
    try_mismatch(
        "accounts.yaml",
        "Action: s3:PutObject",
        "Action: s3:GetObject",
        "BucketWritable AccessDenied",
        "s3:PutObject",
    );
}

#[test]
fn a_wrong_external_id_is_told_and_mended_without_a_restart() {
    // A session is used until it expires, so a wrong ID refuses events only if it is there at the start.
    let run = Run::start(true);
    run.line("ready ");
    run.edit("orders.yaml", "change-me-", "another-one-");
    run.line("edit ");
    let warning = run.line("warning ");
    assert!(warning.contains("RoleAssumed RenewalFailing") && warning.contains("traffic stops at"), "{warning}");
    assert_eq!(run.send().0, 200, "the old session still lives");
    run.edit("orders.yaml", "another-one-", "change-me-");
    run.line("fixed     RoleAssumed");
    run.edit("orders.yaml", "change-me-", "another-one-");
    run.line("warning ");
    let (folder, _) = run.end();

    let run = Run::again(folder, true);
    let problem = run.line("problem ");
    assert!(problem.contains("RoleAssumed AccessDenied") && problem.contains("sts:ExternalId"), "{problem}");
    let (status, answer) = run.send();
    // The screen is for the function's owner; the answer goes to any sender and gives no details.
    assert!(
        status == 503 && answer.contains("AccessDenied") && !answer.contains("sts:ExternalId"),
        "{status} {answer}"
    );
    assert!(!problem.contains("another-one-") && !answer.contains("another-one-"));
    run.edit("orders.yaml", "another-one-", "change-me-");
    run.send_until_stored();
    run.line("fixed ");
}

#[test]
fn an_edited_function_is_rolled_and_a_wrong_edit_leaves_it_as_it_was() {
    let run = Run::start(false);
    run.line("ready ");
    run.edit("orders.yaml", "prefix: segment/", "prefix: Segment Events");
    let problem = run.line("problem ");
    assert!(problem.contains("spec.s3.prefix") && problem.contains("Segment Events"), "{problem}");
    assert_eq!(run.send().0, 200);
    assert!(run.object().exists());

    run.edit("orders.yaml", "prefix: Segment Events", "prefix: events/");
    run.line("edit ");
    run.line("ready ");
    assert_eq!(run.send().0, 200);
    assert!(run.folder.path().join("tributary-data/orders-lake/events/track/1767225600000-m-1.json").exists());
}

/// The files below a folder: their paths within it and their contents, decompressed with `gzip` if they end in .gz.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let unpack = if name.ends_with(".gz") { "gzip -dc" } else { "cat" };
            let output = Command::new("sh").args(["-c", &format!("{unpack} < \"$0\"")]).arg(&path).output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            found.push((name, String::from_utf8(output.stdout).unwrap()));
        }
    }
    found
}

/// The names of the example files that hold a function.
fn functions_among_the_examples() -> BTreeSet<String> {
    let paths = fs::read_dir(example("")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let functions = paths.filter(|path| fs::read_to_string(path).unwrap().contains("kind: DestinationFunction"));
    functions.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_example_runs_as_it_stands_and_takes_the_event_that_it_tells_to_send() {
    let cases = [
        ("orders.yaml", "orders-lake/segment/track/", ""),
        ("clickstream.yaml", "clickstream-lake/raw/track/dt=", "change-me-write-key"),
        ("webhook.yaml", "webhook-lake/track/", "change-me-signing-secret"),
        ("browser.yaml", "browser-lake/track/dt=", "browser-write-key"),
        ("s3-compatible.yaml", "events/track/", ""),
    ];
    let tried: BTreeSet<_> = cases.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(functions_among_the_examples(), tried);
    for (name, bucket, secret) in cases {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(example(name), folder.path().join("orders.yaml")).unwrap();
        let run = Run::again(folder, false);
        run.line("Send a first event");
        let mut commands = String::new();
        while let Ok(line) = run.lines.recv_timeout(PATIENCE) {
            if line.is_empty() {
                break;
            }
            commands += &(line + "\n");
        }
        run.line("ready ");
        assert!(secret.is_empty() || !commands.contains(secret), "{name} shows a secret: {commands}");
        let mut shell = Command::new("sh");
        // The commands run as printed: no variables are set for them, and `-u` makes an unset one an error.
        shell.args(["-euc", &commands]).env("no_proxy", "*");
        let answer = String::from_utf8(shell.output().unwrap().stdout).unwrap();
        assert_eq!(answer, r#"{"success":true}"#, "{name}: {commands}");
        let stored = files(&run.folder.path().join("tributary-data"));
        assert_eq!(stored.len(), 1, "{name}: {stored:?}");
        assert!(stored[0].0.starts_with(bucket), "{name}: {}", stored[0].0);
        assert!(stored[0].1.contains(r#""event":"Order Completed""#), "{name}: {}", stored[0].1);
    }
}

#[test]
fn a_write_key_that_is_edited_is_taken_up_without_a_roll() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(example("clickstream.yaml"), folder.path().join("orders.yaml")).unwrap();
    let run = Run::again(folder, false);
    run.line("ready ");
    let (status, answer) = run.send();
    assert!(status == 401 && answer.contains("unauthorized"), "{status} {answer}");
    run.edit("orders.yaml", "    change-me-write-key\n", "    change-me-write-key\n    second-key\n");
    assert!(run.line("edit ").contains("Secrets"));
    run.edit("orders.yaml", "writeKeys: |", "otherKeys: |");
    let problem = run.line("problem ");
    assert!(problem.contains("IngestConfigured WriteKeyNotFound") && problem.contains("writeKeys"), "{problem}");
    assert_eq!(run.send().0, 503);
    run.edit("orders.yaml", "otherKeys: |", "writeKeys: |");
    run.line("fixed ");
    assert_eq!(run.send().0, 401);
}

fn refused(arguments: &[&str]) -> Output {
    tributary().arg("run").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
}

#[test]
fn what_can_not_start_says_why_in_one_line() {
    let orders = example("orders.yaml");
    let orders = orders.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let file = folder.path().join("bad.yaml");
    fs::write(&file, fs::read_to_string(orders).unwrap().replace("us-west-2", "Oregon")).unwrap();
    for (arguments, code, says) in [
        (vec!["no-such-file.yaml"], 64, "no-such-file.yaml"),
        (vec![file.to_str().unwrap()], 64, "spec.s3.region"),
        (vec![orders, "--accounts", "no-such-file.yaml"], 64, "no-such-file.yaml"),
        (vec![orders, "--accounts", orders], 64, "unknown field"),
        (vec![orders, "--listen", "nowhere"], 64, "--listen"),
        (vec![orders, "--aws", "--data", data], 64, "--aws"),
    ] {
        let output = refused(&arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(says) && error.lines().count() == 1, "{arguments:?}: {error}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = refused(&[orders, "--data", data, "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("choose another with --listen"));
}

#[test]
fn a_change_of_the_roles_side_is_seen_at_once() {
    let run = Run::start(true);
    run.line("ready ");
    run.edit("accounts.yaml", "externalId: change-me-", "externalId: another-one-");
    let warning = run.line("warning ");
    assert!(warning.contains("RoleAssumed RenewalFailing") && warning.contains("traffic stops at"), "{warning}");
    assert_eq!(run.send().0, 200, "the old session still lives");
    run.edit("accounts.yaml", "externalId: another-one-", "externalId: change-me-");
    run.line("fixed     RoleAssumed");
}

#[test]
fn a_role_that_is_given_away_is_never_called_ready() {
    let run = Run::start(true);
    run.line("ready ");
    run.edit("accounts.yaml", "        externalId: ", "        # externalId: ");
    let problem = run.line("problem ");
    assert!(problem.contains("ExternalIdEnforced NotEnforced"), "{problem}");
    let (status, answer) = run.send();
    assert!(status == 503 && answer.contains("NotEnforced"), "{status} {answer}");
    let (folder, _) = run.end();

    // The same if the role is like that at the start.
    let run = Run::again(folder, true);
    let line = run.line("");
    let mut said = vec![line];
    while !said.last().is_some_and(|line| line.starts_with("problem ")) {
        said.push(run.line(""));
    }
    assert!(said.iter().all(|line| !line.starts_with("ready ")), "{said:?}");
    assert_eq!(run.send().0, 503);
    run.edit("accounts.yaml", "        # externalId: ", "        externalId: ");
    run.line("ready ");
    run.send_until_stored();
}

#[test]
fn a_function_from_standard_input_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = tributary()
        .args(["run", "-", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .current_dir(folder.path())
        .env("TMPDIR", folder.path())
        .stdin(fs::File::open(example("orders.yaml")).unwrap())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("ready ")));
    let _ = child.kill();
    let _ = child.wait();
    assert!(ready.is_some(), "it ended before it was ready");
}
