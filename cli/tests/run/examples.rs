//! Tests that every example runs unchanged, and that a restarted function continues with its stored objects.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use super::{EVENT, OBJECT, Run, WAIT_TIMEOUT, example, tributary};

#[test]
fn the_example_runs_unchanged_and_a_restart_keeps_its_objects() {
    let run = Run::start(false);
    run.line("ready ");
    assert_eq!(run.send(), (200, "{\"success\":true}\n".to_owned()));
    let object = run.line("object ");
    assert!(object.contains(&format!("tributary-data/{OBJECT} ")), "{object}");
    let stored = fs::read_to_string(run.object()).unwrap();
    assert!(stored.starts_with(r#"{"userId":"u1","event":"Order Completed","messageId":"m-1""#), "{stored}");
    let (folder, summary) = run.stop();
    assert!(summary.starts_with("1 event stored (0 already there), 1 object ("), "{summary}");

    let run = Run::start_in(folder, false);
    run.send_until_stored();
    // A new process does not trust a 412 until the store has accepted a conditional write: it writes the object again.
    let without_sent_at = |text: &str| text.split(r#","sentAt""#).next().unwrap().to_owned();
    let first = fs::read_to_string(run.object()).unwrap();
    assert_eq!(without_sent_at(&first), without_sent_at(&stored));
    // A write of another event proves that the store evaluates conditions; from then on, nothing is written twice.
    assert_eq!(run.send_event(&EVENT.replace("m-1", "m-2")).0, 200);
    assert_eq!(run.send().0, 200);
    let after_retry = fs::read_to_string(run.object()).unwrap();
    assert_eq!(after_retry, first, "a retried event was written twice");
    let (_folder, summary) = run.stop();
    assert!(summary.starts_with("3 events stored (1 already there), 2 objects ("), "{summary}");
}

/// All files below a folder, as relative paths and contents. Files that end in .gz are decompressed with `gzip`.
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

/// The names of the example files that contain a function.
fn example_functions() -> BTreeSet<String> {
    let paths = fs::read_dir(example("")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let functions = paths.filter(|path| fs::read_to_string(path).unwrap().contains("kind: DestinationFunction"));
    functions.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_example_runs_unchanged_and_its_first_event_command_works() {
    let cases = [
        ("orders.yaml", "orders-lake/segment/track/", ""),
        ("clickstream.yaml", "clickstream-lake/raw/type=track/dt=", "change-me-write-key"),
        ("webhook.yaml", "webhook-lake/track/", "change-me-signing-secret"),
        ("browser.yaml", "browser-lake/type=track/dt=", "browser-write-key"),
        ("s3-compatible.yaml", "events/track/", ""),
    ];
    let tried: BTreeSet<_> = cases.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(example_functions(), tried);
    for (name, bucket, secret) in cases {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(example(name), folder.path().join("orders.yaml")).unwrap();
        let run = Run::start_in(folder, false);
        run.line("Send a first event");
        let mut commands = String::new();
        while let Ok(line) = run.lines.recv_timeout(WAIT_TIMEOUT) {
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
        assert_eq!(answer, "{\"success\":true}\n", "{name}: {commands}");
        let stored = files(&run.folder.path().join("tributary-data"));
        assert_eq!(stored.len(), 1, "{name}: {stored:?}");
        assert!(stored[0].0.starts_with(bucket), "{name}: {}", stored[0].0);
        assert!(stored[0].1.contains(r#""event":"Order Completed""#), "{name}: {}", stored[0].1);
    }
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
    assert!(ready.is_some(), "the process exited before it was ready");
}
