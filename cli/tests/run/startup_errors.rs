//! Tests the errors with which `tributary run` exits before it serves.

use std::fs;
use std::process::Output;

use super::{example, tributary};

fn run(arguments: &[&str]) -> Output {
    tributary().arg("run").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
}

#[test]
fn an_error_at_the_start_is_one_line_with_the_reason() {
    let orders = example("orders.yaml");
    let orders = orders.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let file = folder.path().join("bad.yaml");
    fs::write(&file, fs::read_to_string(orders).unwrap().replace("us-west-2", "Oregon")).unwrap();
    for (arguments, code, message) in [
        (vec!["no-such-file.yaml"], 64, "no-such-file.yaml"),
        (vec![file.to_str().unwrap()], 64, "spec.s3.region"),
        (vec![orders, "--accounts", "no-such-file.yaml"], 64, "no-such-file.yaml"),
        (vec![orders, "--accounts", orders], 64, "; this is a Kubernetes manifest, and not an accounts file"),
        (vec![orders, "--listen", "nowhere"], 64, "--listen"),
        (vec![orders, "--aws", "--data", data], 64, "--aws"),
    ] {
        let output = run(&arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.starts_with("tributary: ") && error.contains(message), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{arguments:?}: {error}");
    }
    let other_listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other_listener.local_addr().unwrap().to_string();
    for flag in ["--listen", "--admin"] {
        let other = if flag == "--listen" { "--admin" } else { "--listen" };
        let output = run(&[orders, "--data", data, flag, &address, other, "127.0.0.1:0"]);
        assert_address_in_use(&output, &address, flag);
    }
    // The embedded AWS as a command of its own gives the same error.
    let accounts = example("accounts.yaml");
    let output = tributary().arg("local-aws").arg(accounts).args(["--listen", &address]).output().unwrap();
    assert_address_in_use(&output, &address, "--listen");
}

#[test]
fn a_missing_or_wrong_secret_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("function.yaml");
    let text = fs::read_to_string(example("orders.yaml")).unwrap();
    let clickstream = fs::read_to_string(example("clickstream.yaml")).unwrap();
    for (text, message) in [
        (
            text.replacen("name: orders-lake", "name: orders-lak", 1),
            "spec.externalIdSecretRef: the file has no Secret orders-lak in namespace default; add it (tributary \
             external-id orders-lak prints one), or name the right one; the file has: orders-lake",
        ),
        (
            text.split("---").next().unwrap().to_owned(),
            "add it (tributary external-id orders-lake prints one), or name the right one; the file has: none",
        ),
        (text.replace("  externalId: ", "  externalID: "), "has no key externalId; its keys are: externalID"),
        (text.replace("change-me-", "change me "), "spec.externalIdSecretRef: Secret orders-lake, key externalId: "),
        (clickstream.replace("writeKeys: |", "keys: |"), "has no key writeKeys; its keys are: keys"),
        (clickstream.replace("    change-me-write-key\n", ""), "key writeKeys: it is empty; put one per line"),
        (
            clickstream.replace("change-me-write-key", "change:me"),
            "key writeKeys: character 7 of line 1 is not allowed in a write key; put one per line",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let output = run(&[file.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{error}");
        assert!(error.starts_with(&format!("tributary: {}: spec.", file.display())), "{error}");
        assert!(error.contains(message) && error.lines().count() == 1, "{error}");
    }
}

fn assert_address_in_use(output: &Output, address: &str, flag: &str) {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with(&format!("tributary: can't listen on {address}: ")), "{error}");
    assert!(error.ends_with(&format!("; choose another address with {flag}\n")), "{error}");
    assert!(error.lines().count() == 1 && output.stdout.is_empty(), "{error}");
}
