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
        (vec![orders, "--accounts", orders], 64, "unknown field"),
        (vec![orders, "--listen", "nowhere"], 64, "--listen"),
        (vec![orders, "--aws", "--data", data], 64, "--aws"),
    ] {
        let output = run(&arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(message) && error.lines().count() == 1, "{arguments:?}: {error}");
    }
    let other_listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other_listener.local_addr().unwrap().to_string();
    let output = run(&[orders, "--data", data, "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("choose another with --listen"));
}
