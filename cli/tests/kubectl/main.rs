//! Runs the built `tributary check` on manifests whose verdict by kubectl and the API server is known. The test
//! `operator::manifests` of the crate `tests` asks these for the same verdicts.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[allow(dead_code, reason = "the values and kubectl's messages are for other tests")]
mod manifests;

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use manifests::{Case, Verdict, cases};

/// Runs `check` on a file, given by its path or as standard input. Returns the exit status and the lines.
fn check(path: &Path, as_input: bool) -> (ExitStatus, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.arg("check").arg(if as_input { Path::new("-") } else { path });
    command.stdin(if as_input { File::open(path).unwrap().into() } else { Stdio::null() });
    let output = command.output().unwrap();
    (output.status, String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn check_gives_the_verdict_of_kubectl() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("function.yaml");
    let mut wrong = Vec::new();
    for Case { name, file, verdict } in cases() {
        std::fs::write(&path, file).unwrap();
        let (status, lines) = check(&path, false);
        let is_right = match verdict {
            Verdict::Accepted { note, .. } => status.success() && lines.contains(": ok\n") && lines.contains(note),
            Verdict::Refused { check, .. } => !status.success() && lines.contains(check),
        };
        let name_of_file = format!("{}: ", path.display());
        let names_the_file = lines.lines().all(|line| line.contains(&name_of_file));
        // From standard input, as after `kustomize build`, the verdict is the same.
        let is_same = check(&path, true) == (status, lines.replace(&name_of_file, "-: "));
        if !is_right || !names_the_file || !is_same {
            wrong.push(format!("{name}: {lines}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
