//! Runs the built binary: exit codes, `check`, `policy` and `external-id`.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::process::{Command, Output};

use tempfile::TempDir;

const FUNCTION: &str = "\
apiVersion: tributary.dev/v1alpha1
kind: DestinationFunction
metadata:
  name: orders
spec:
  roleArn: arn:aws:iam::123456789012:role/my-secure-role
  externalIdSecretRef: {name: orders-lake}
  s3: {bucket: my-bucket, region: us-west-2}
";
const PRINCIPAL: &str = "arn:aws:iam::210987654321:role/tributary";

fn tributary(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tributary")).args(arguments).output().unwrap()
}

/// Runs a subcommand on a file that contains `text`.
fn run_on(text: &str, subcommand: &str, arguments: &[&str]) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    tributary(&[&[subcommand, file.path().to_str().unwrap()], arguments].concat())
}

/// Writes a file into the folder, and returns its path.
fn write_file(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn with_secret(data: &str) -> String {
    format!("{FUNCTION}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: orders-lake}}\n{data}\n")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Asserts that `output` is wrong usage (64) with one line on standard error that contains `part`.
fn assert_usage_error(output: &Output, part: &str) {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(64), "{error}");
    assert!(error.contains(part) && error.lines().count() == 1 && output.stdout.is_empty(), "{error}");
}

#[test]
fn wrong_usage_is_64_and_one_line() {
    assert_usage_error(
        &tributary(&["chekc"]),
        "unrecognized subcommand 'chekc'; did you mean check? (see tributary --help)",
    );
    let misspelled = tributary(&["run", "f.yaml", "--acounts", "a.yaml"]);
    assert_usage_error(&misspelled, "'--acounts' found; did you mean --accounts? (see tributary run --help)");
    assert_usage_error(&tributary(&["run", "f.yaml", "--listen", "8090"]), "write it like 127.0.0.1:8090");
    for (flag, value, part) in [
        ("--count", "x", "not a whole number from 1"),
        ("--count", "0", "not a whole number from 1"),
        ("--rate", "10001", "not a whole number from 1 to 10000"),
        ("--retry", "1.5", "not a whole number of seconds"),
    ] {
        assert_usage_error(&tributary(&["send", "http://127.0.0.1:1", flag, value]), part);
    }
    assert_usage_error(&tributary(&["check"]), "<FILE>...");
    assert_usage_error(&tributary(&["check", "/no/such/file.yaml"]), "/no/such/file.yaml: can't be read");
    assert_usage_error(&tributary(&["external-id", "Orders_Lake"]), "is not the name of a Secret");
    assert_usage_error(&tributary(&["external-id", "orders-lake", "--namespace", "a.b"]), "not a namespace");
    assert_usage_error(&run_on(FUNCTION, "policy", &["--principal", "*"]), "not the ARN of a role");
    for help in [&[][..], &["--help"], &["--version"], &["check", "--help"], &["policy", "--help"]] {
        let output = tributary(help);
        assert!(output.status.success() && !output.stdout.is_empty() && output.stderr.is_empty(), "{help:?}");
    }
}

#[test]
fn check_checks_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name, text: &str| write_file(&folder, name, text);
    let (bad, good) = (write("bad.yaml", &FUNCTION.replace("my-bucket", "My_Bucket")), write("good.yaml", FUNCTION));
    let output = tributary(&["check", &bad, &good]);
    assert_eq!(output.status.code(), Some(1));
    let lines = stdout(&output);
    assert!(lines.starts_with(&format!("{bad}: orders: ")), "{lines}");
    assert!(lines.ends_with(&format!("{good}: orders: ok\n")), "{lines}");
}

#[test]
fn check_goes_on_after_a_file_that_can_not_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name, text: &str| write_file(&folder, name, text);
    let (broken, good) = (write("broken.yaml", "kind: ["), write("good.yaml", FUNCTION));
    let bad = write("bad.yaml", &FUNCTION.replace("my-bucket", "My_Bucket"));
    let output = tributary(&["check", "/no/such/file.yaml", &good, &broken, &bad]);
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(64), "{error}");
    let errors: Vec<_> = error.lines().collect();
    assert_eq!(errors.len(), 2, "{error}");
    assert!(errors[0].starts_with("tributary: /no/such/file.yaml: can't be read: "), "{error}");
    assert!(
        errors[1].starts_with(&format!(
            "tributary: {broken}: is not YAML that kubectl accepts: document 1, line 2 column 1: "
        )),
        "{error}"
    );
    let lines = stdout(&output);
    assert!(lines.contains(&format!("{good}: orders: ok\n")) && lines.contains(&format!("{bad}: orders: ")), "{lines}");
}

#[test]
fn check_prints_ok_or_a_line_per_problem() {
    let good = run_on(FUNCTION, "check", &[]);
    assert!(good.status.success() && stdout(&good).ends_with(": orders: ok\n"), "{}", stdout(&good));

    let bad =
        run_on(&FUNCTION.replace("my-bucket", "My_Bucket").replace("spec:", "spec:\n  colour: red"), "check", &[]);
    assert_eq!(bad.status.code(), Some(1));
    let lines: Vec<_> = stdout(&bad).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with(": orders: unknown field \"spec.colour\""));
    let misspelled = run_on(&FUNCTION.replace("bucket:", "buckt:"), "check", &[]);
    assert!(stdout(&misspelled).contains("unknown field \"spec.s3.buckt\"; did you mean bucket?"));
    assert!(lines[1].contains(": orders: spec.s3.bucket: bucket \"My_Bucket\" is not a bucket name"));

    let config_map = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n";
    let mixed = run_on(&format!("{FUNCTION}{config_map}"), "check", &[]);
    assert!(
        mixed.status.success() && stdout(&mixed).ends_with(": skipped: ConfigMap settings\n"),
        "{}",
        stdout(&mixed)
    );

    let other = with_secret("stringData: {externalId: an-id}")
        .replace("name: orders-lake}\nstring", "name: orders-lak}\nstring");
    let noted = run_on(&other, "check", &[]);
    let lines = stdout(&noted);
    assert!(noted.status.success() && lines.contains("not checked: Secret orders-lake\n"), "{lines}");

    assert_usage_error(&run_on("kind: [", "check", &[]), "is not YAML");
    assert_usage_error(&run_on("kind: Pod\nmetadata: {name: web}", "check", &[]), "document 1 is a Pod, \"web\"");
}

#[test]
fn check_compares_the_memory_limit_with_the_sidecars_need() {
    const LARGE: &str = "  delivery: {mode: Batch, batch: {maxBytes: 64Mi, compression: none}}\n";
    for (fields, part) in [
        ("  resources: {limits: {memory: 136Mi}}\n".to_owned(), "orders: ok"),
        ("  resources: {limits: {memory: 16Mi}}\n".to_owned(), "orders: a memory limit of 16Mi is too small"),
        ("  resources: {requests: {memory: 16Mi}}\n".to_owned(), "orders: ok"),
        (
            LARGE.to_owned(),
            "orders: spec.resources.limits.memory is not set; with the chart's default: a memory limit of 256Mi is too \
             small: the function needs 344Mi: 24Mi for the process, ",
        ),
        (LARGE.to_owned(), "memory to at least 344Mi, or lower spec.delivery.batch.maxBytes\n"),
        (format!("{LARGE}  resources: {{requests: {{memory: 512Mi}}}}\n"), "orders: ok"),
        (format!("{LARGE}  resources: {{requests: {{memory: 270Mi}}}}\n"), "with spec.resources.requests.memory, "),
    ] {
        let output = run_on(&format!("{FUNCTION}{fields}"), "check", &[]);
        assert_eq!(output.status.code(), Some(i32::from(!part.ends_with("ok"))), "{fields}");
        assert!(stdout(&output).contains(part), "{}", stdout(&output));
    }
}

#[test]
fn check_validates_the_secrets_in_the_file() {
    for (data, part) in [
        ("stringData: {externalId: abc-123}", "orders: ok"),
        ("data: {externalId: YWJjLTEyMwo=}", "orders: ok"),
        ("stringData: {external-id: hunter2}", "has no key externalId; its keys are: external-id"),
        ("stringData: {externalId: hunter2 hunter2}", "character 8 of it is not one that an external ID may have"),
    ] {
        let output = run_on(&with_secret(data), "check", &[]);
        assert_eq!(output.status.code(), Some(i32::from(!part.ends_with("ok"))), "{data}");
        assert!(stdout(&output).contains(part) && !stdout(&output).contains("hunter2"), "{}", stdout(&output));
    }
}

#[test]
fn check_reports_a_function_and_its_secret_in_one_run() {
    let text = with_secret("stringData: {externalId: 012345678901}");
    let output = run_on(&text.replace("my-bucket", "My_Bucket"), "check", &[]);
    let lines = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{lines}");
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains(": orders: spec.s3.bucket: ") && lines.contains(": Secret orders-lake: "), "{lines}");
    assert_usage_error(
        &run_on(&text, "policy", &["--principal", PRINCIPAL]),
        "Secret orders-lake: stringData.externalId",
    );
}

#[test]
fn policy_prints_the_trust_and_permission_policies() {
    let text = with_secret("stringData: {externalId: abc-123}");
    let output = run_on(&text, "policy", &["--principal", PRINCIPAL]);
    assert!(output.status.success());
    let json: String = stdout(&output).lines().filter(|line| !line.starts_with("# ")).collect();
    let policies: Vec<serde_json::Value> =
        serde_json::Deserializer::from_str(&json).into_iter().map(Result::unwrap).collect();
    assert_eq!(policies.len(), 2);
    assert_eq!(policies[0]["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], "abc-123");
    assert_eq!(policies[1]["Statement"][0]["Resource"], "arn:aws:s3:::my-bucket/*");

    assert!(stdout(&output).contains("a bucket that encrypts with a KMS key by default"), "{}", stdout(&output));

    for (only, statements) in [("trust", 2), ("permissions", 2)] {
        let output = run_on(&text, "policy", &["--principal", PRINCIPAL, "--pod-identity", "--only", only]);
        let policy: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(policy["Statement"].as_array().unwrap().len(), statements);
    }
}

/// MinIO refuses a policy with kms:ViaService, and SeaweedFS the role if its trust policy has a condition on
/// sts:ExternalId.
#[test]
fn policy_prints_what_a_store_other_than_aws_accepts() {
    let store = "  sts: {endpoint: \"https://minio.storage.svc:9000\"}\n";
    let function =
        FUNCTION.replace("region: us-west-2", "region: garage, endpoint: \"https://minio.storage.svc:9000\"");
    let warns = format!("{function}{store}  externalIdEnforcement: Warn\n");
    // The external ID is not needed: neither policy contains it.
    let output = run_on(&warns, "policy", &["--principal", PRINCIPAL]);
    let text = stdout(&output);
    assert!(output.status.success() && !text.contains("\"sts:ExternalId\"") && !text.contains("\"kms:"), "{text}");
    assert!(text.contains("accepts a store that ignores external IDs"), "{text}");
    assert!(text.contains("no permission for KMS, because spec.s3.endpoint is not AWS's"), "{text}");

    let id = ["--principal", PRINCIPAL, "--external-id", "abc-123"];
    let text = stdout(&run_on(&format!("{function}{store}"), "policy", &id));
    assert!(text.contains("\"sts:ExternalId\": \"abc-123\""), "{text}");
    assert!(text.contains("set\n# spec.externalIdEnforcement: Warn"), "{text}");
}

#[test]
fn policy_requires_an_external_id_and_a_valid_function() {
    assert_usage_error(
        &run_on(FUNCTION, "policy", &["--principal", PRINCIPAL]),
        "the file has no Secret orders-lake in namespace default",
    );
    let given = run_on(FUNCTION, "policy", &["--principal", PRINCIPAL, "--external-id", "abc-123"]);
    assert!(given.status.success() && stdout(&given).contains("\"sts:ExternalId\": \"abc-123\""));
    let bad = FUNCTION.replace("my-bucket", "My_Bucket");
    assert_usage_error(
        &run_on(&bad, "policy", &["--principal", PRINCIPAL]),
        "orders: spec.s3.bucket: bucket \"My_Bucket\"",
    );
    let china = PRINCIPAL.replace("aws:", "aws-cn:");
    assert_usage_error(&run_on(FUNCTION, "policy", &["--principal", &china]), "different partitions");
}

#[test]
fn an_external_id_is_random_and_valid_for_a_function() {
    let print = || stdout(&tributary(&["external-id", "orders-lake", "--namespace", "default"]));
    let (one, other) = (print(), print());
    assert_ne!(one, other);
    let output = run_on(&format!("{FUNCTION}---\n{one}"), "policy", &["--principal", PRINCIPAL, "--only", "trust"]);
    let policy: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let id = policy["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"].as_str().unwrap().to_owned();
    assert!(id.len() == 40 && id.chars().all(|c| c.is_ascii_alphanumeric()) && one.contains(&id), "{id}");
    let with = stdout(&tributary(&["external-id", "orders-lake", "--prefix", "shop/"]));
    assert!(with.contains("externalId: \"shop/"), "{with}");
    let wrong = tributary(&["external-id", "orders-lake", "--prefix", "a b/"]);
    assert_eq!(wrong.status.code(), Some(64));
}
