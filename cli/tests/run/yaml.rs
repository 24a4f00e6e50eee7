//! Tests that `run` reads the function's file as kubectl does.

use std::fs;

use super::{Run, example, tributary};

#[test]
fn an_external_id_that_kubectl_reads_as_a_number_is_refused_without_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("function.yaml");
    let text = fs::read_to_string(example("orders.yaml")).unwrap();
    let id = text.lines().find(|line| line.starts_with("  externalId: ")).unwrap();
    fs::write(&file, text.replace(id, "  externalId: 012345678901")).unwrap();
    let output = tributary().arg("run").arg(&file).args(["--listen", "127.0.0.1:0"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{error}");
    let correction = "kubectl reads it as a number, not as text; put quotes around it: externalId: \"…\"\n";
    assert!(
        error.contains("Secret orders-lake: stringData.externalId: line ") && error.ends_with(correction),
        "{error}"
    );
    assert!(!error.contains("12345678901"), "{error}");
}

#[test]
fn a_file_that_kubectl_accepts_runs_with_notes() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(example("orders.yaml")).unwrap();
    let text = text.replacen("spec:\n", "spec:\n  replicas: 010\n  replicas: 0x2\n  sessionName: \"0042\"\n", 1);
    fs::write(folder.path().join("orders.yaml"), format!("\u{FEFF}{}", text.replace('\n', "\r\n"))).unwrap();
    let run = Run::start_in(folder, false);
    let note = run.line("note ");
    assert!(note.contains("the key replicas appears twice in its mapping"), "{note}");
    run.line("ready ");
    run.edit("orders.yaml", "\"0042\"", "0042");
    let warning = run.line("warning ");
    let correction = "kubectl reads 0042 as the number 34; put quotes around it: sessionName: \"0042\"";
    assert!(warning.contains("spec.sessionName: must be of type string") && warning.contains(correction), "{warning}");
    run.edit("orders.yaml", "0042", "\"0043\"");
    run.line("edit ");
    run.line("note ");
}
