//! Tests that `tributary check` reads files as the real kubectl does, and gives the API server's verdict on them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tributary_tests::kubernetes::kubectl;
use tributary_tests::sidecar::binary;
use tributary_tests::{Kubernetes, Namespace};

#[path = "../../../cli/tests/kubectl/manifests.rs"]
mod cases;
#[path = "../../../cli/tests/kubectl/scalars.rs"]
mod scalars;

use cases::{Case, Verdict, cases};

/// Creates the objects of the file on the API server without storing them. Returns the function as the server would
/// store it.
///
/// # Errors
/// kubectl's message, which may be that of the API server.
fn create(namespace: &str, file: &Path) -> Result<Value, String> {
    let file = file.to_str().expect("a path in UTF-8");
    let answer = kubectl(&["create", "--namespace", namespace, "--dry-run=server", "-o=json", "--filename", file], "")?;
    let mut objects =
        serde_json::Deserializer::from_str(&answer).into_iter::<Value>().map(|object| object.expect("JSON"));
    let function = objects.find(|object| object["kind"] == "DestinationFunction");
    Ok(function.unwrap_or_else(|| panic!("no function in {answer}")))
}

/// Whether `tributary check` accepts the file, and what it prints.
fn check(file: &Path) -> (bool, String) {
    let output = Command::new(binary("tributary")).arg("check").arg(file).output().expect("tributary");
    let lines = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(lines).expect("UTF-8"))
}

/// What differs from the expected verdict.
fn wrong(verdict: Verdict, created: Result<Value, String>, (accepted, lines): (bool, String)) -> Option<String> {
    match (verdict, created) {
        (Verdict::Accepted { values, note }, Ok(function)) => {
            let differs = |(pointer, expected): &&(&str, &str)| {
                let expected: Value = serde_json::from_str(expected).expect("JSON");
                function.pointer(pointer) != Some(&expected)
            };
            let values: Vec<_> = values.iter().filter(differs).collect();
            (!accepted || !lines.contains(note) || !values.is_empty())
                .then(|| format!("kubectl accepts {function}, and not {values:?}; check: {lines}"))
        }
        (Verdict::Refused { kubectl, check }, Err(error)) => {
            (accepted || !error.contains(kubectl) || !lines.contains(check))
                .then(|| format!("kubectl: {error}; check: {lines}"))
        }
        (_, created) => Some(format!("kubectl: {created:?}; check: {lines}")),
    }
}

#[tokio::test]
async fn kubectl_and_the_tool_give_the_same_verdict_on_every_manifest() {
    let cluster = Kubernetes::connect().await;
    let namespace = Namespace::new(&cluster, "manifests").await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("function.yaml");
    let mut failed = Vec::new();
    for Case { name, file, verdict } in cases() {
        fs::write(&path, file).expect("a file");
        failed.extend(wrong(verdict, create(&namespace.name, &path), check(&path)).map(|why| format!("{name}: {why}")));
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[tokio::test]
async fn the_output_of_kustomize_gets_the_same_verdict() {
    let cluster = Kubernetes::connect().await;
    let namespace = Namespace::new(&cluster, "kustomize").await;
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("output.yaml");
    let kustomization = "resources: [function.yaml]\nnameSuffix: -eu\nlabels: [{pairs: {team: \"no\"}}]\n";
    fs::write(folder.path().join("kustomization.yaml"), kustomization).expect("a file");
    for (fields, part) in [
        ("  paused: true\n  replicas: 010\n  sessionName: \"0042\"\n", "orders-eu: ok\n"),
        // kustomize writes what it reads.
        ("  sessionName: 0042\n", "kubectl reads 34 as the number 34"),
    ] {
        fs::write(folder.path().join("function.yaml"), cases::with(fields)).expect("a file");
        let built = kubectl(&["kustomize", folder.path().to_str().expect("UTF-8")], "").expect("kustomize");
        fs::write(&output, built).expect("a file");
        let (accepted, lines) = check(&output);
        assert!(lines.contains(part), "{lines}");
        assert_eq!(create(&namespace.name, &output).is_ok(), accepted, "{lines}");
    }
}

/// What kubectl itself reads from a manifest with this text, in JSON. It needs no server for that.
fn read(text: &str) -> Result<Value, String> {
    let manifest = format!("apiVersion: example.com/v1\nkind: Scalars\nmetadata: {{name: scalars}}\nread:\n{text}");
    let answer = kubectl(&["label", "--local", "-o=json", "--filename=-", "read=yes"], &manifest)?;
    Ok(serde_json::from_str::<Value>(&answer).expect("JSON")["read"].take())
}

/// Indents a text, as below a key.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[tokio::test]
async fn the_tables_of_scalars_are_what_kubectl_reads() {
    Kubernetes::connect().await;
    let texts: Vec<_> = scalars::TEXTS.iter().map(|text| Value::from(*text).to_string()).collect();
    let values = scalars::VALUES.iter().flat_map(|(value, list)| list.iter().map(move |scalar| (*scalar, *value)));
    let values = values.chain(scalars::TEXTS.iter().copied().zip(texts.iter().map(String::as_str)));
    let values: Vec<_> = values.chain(scalars::TAGGED.iter().chain(scalars::QUOTED).copied()).collect();
    let found =
        read(&indented(&scalars::mapping(values.iter().map(|(scalar, _)| *scalar)))).expect("kubectl reads them");
    for (index, (scalar, expected)) in values.iter().enumerate() {
        let (found, expected) = (&found[format!("k{index}")], serde_json::from_str::<Value>(expected).expect("JSON"));
        // kubectl prints a float without a fraction like an integer.
        let is_equal = *found == expected || expected.is_f64() && found.as_f64() == expected.as_f64();
        assert!(is_equal, "{scalar}: {found}, not {expected}");
    }
    for (key, expected) in scalars::KEYS {
        assert_eq!(read(&format!("  {key}: 1\n")), Ok(serde_json::json!({*expected: 1})), "{key}");
    }
    for key in scalars::REFUSED_KEYS {
        assert!(read(&format!("  ? {key}\n  : 1\n")).is_err(), "{key}");
    }
    for scalar in scalars::REFUSED.iter().chain(scalars::REFUSED_TAGS) {
        assert!(read(&format!("  a: {scalar}\n")).is_err(), "{scalar}");
    }
}
