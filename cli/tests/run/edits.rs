//! Tests of edits while a function runs: of its file and of the accounts file, valid and invalid.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{EVENT, Run, WAIT_TIMEOUT, edit, example, request};

/// Replaces `valid` with `invalid` in the accounts file, expects a line `problem` that contains the condition and the
/// detail, undoes the edit, and expects a line that starts with `fixed` before another event is sent and stored.
fn break_and_fix(valid: &str, invalid: &str, condition: &str, detail: &str, fixed: &str) -> Run {
    let file = "accounts.yaml";
    let run = Run::start(true);
    run.line("ready ");
    run.send_until_stored();
    fs::remove_file(run.object()).unwrap();

    run.edit(file, valid, invalid);
    run.line("edit ");
    // Events are sent, because some mismatches are only found by an upload.
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let answer = loop {
        let (status, answer) = run.send();
        if status == 503 {
            break answer;
        }
        assert!(Instant::now() < deadline, "no event is refused: {status} {answer}");
        let _ = fs::remove_file(run.object());
        std::thread::sleep(Duration::from_millis(100));
    };
    let line = run.line("problem ");
    assert!(line.contains(condition) && line.contains(detail), "{line}");
    // The client gets only the reason; the whole message is for the function's owner, on the screen.
    let reason = condition.rsplit(' ').next().unwrap();
    assert!(answer.contains(reason) && !answer.contains(detail), "{answer}");

    run.edit(file, invalid, valid);
    run.line("edit ");
    run.line(fixed);
    assert_eq!(run.send().0, 200);
    assert!(run.object().exists());
    run
}

/// The line after the fix of a bucket that can be checked without an upload.
const BUCKET_FOUND: &str = "fixed     BucketWritable: the bucket exists in its region";

#[test]
fn a_bucket_in_another_region_is_reported_and_fixed_without_a_restart() {
    break_and_fix("region: us-west-2", "region: eu-west-1", "BucketWritable WrongRegion", "eu-west-1", BUCKET_FOUND);
}

#[test]
fn a_missing_bucket_is_reported_and_fixed_without_a_restart() {
    break_and_fix(
        "      orders-lake:\n",
        "      other-lake:\n",
        "BucketWritable NoSuchBucket",
        "orders-lake",
        BUCKET_FOUND,
    );
}

#[test]
fn a_function_is_not_ready_until_its_bucket_exists_in_its_region() {
    for (valid, invalid) in [("      orders-lake:\n", "      other-lake:\n"), ("us-west-2", "eu-west-1")] {
        let folder = tempfile::tempdir().unwrap();
        for file in ["orders.yaml", "accounts.yaml"] {
            fs::copy(example(file), folder.path().join(file)).unwrap();
        }
        edit(&folder.path().join("accounts.yaml"), valid, invalid);
        let run = Run::start_in(folder, true);
        assert_problem_before_ready(&run);
        run.edit("accounts.yaml", invalid, valid);
        run.line("ready ");
        assert_eq!(run.send().0, 200);
    }
}

/// Reads lines up to the first problem, and asserts that none says that the function is ready.
fn assert_problem_before_ready(run: &Run) {
    let mut lines = vec![run.line("")];
    while !lines.last().is_some_and(|line| line.starts_with("problem ")) {
        lines.push(run.line(""));
    }
    assert!(lines.iter().all(|line| !line.starts_with("ready ")), "{lines:?}");
}

#[test]
fn a_role_without_write_permission_is_reported_and_fixed_without_a_restart() {
    let run = break_and_fix(
        "Action: s3:PutObject",
        "Action: s3:GetObject",
        "BucketWritable AccessDenied",
        "s3:PutObject",
        "retry     BucketWritable: ",
    );
    run.line("fixed     BucketWritable: the last upload ");
}

#[test]
fn a_wrong_external_id_is_reported_and_fixed_without_a_restart() {
    // A session is used until it expires, so events are refused only if the ID is wrong at the start.
    let run = Run::start(true);
    run.line("ready ");
    run.edit("orders.yaml", "change-me-", "another-one-");
    run.line("edit ");
    let warning = run.line("warning ");
    assert!(warning.contains("RoleAssumed RenewalFailing") && warning.contains("traffic stops at"), "{warning}");
    assert_eq!(run.send().0, 200, "the old session is still valid");
    run.edit("orders.yaml", "another-one-", "change-me-");
    run.line("fixed     RoleAssumed");
    run.edit("orders.yaml", "change-me-", "another-one-");
    run.line("warning ");
    let (folder, _) = run.stop();

    let run = Run::start_in(folder, true);
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
fn an_edited_function_is_rolled_and_an_invalid_edit_changes_nothing() {
    let run = Run::start(false);
    run.line("ready ");
    run.edit("orders.yaml", "prefix: segment/", "prefix: Segment Events");
    let warning = run.line("warning ");
    assert!(warning.contains("spec.s3.prefix") && warning.contains("Segment Events"), "{warning}");
    assert_eq!(run.send().0, 200);
    assert!(run.object().exists());

    run.edit("orders.yaml", "prefix: Segment Events", "prefix: events/");
    run.line("edit ");
    run.line("ready ");
    assert_eq!(run.send().0, 200);
    assert!(run.folder.path().join("tributary-data/orders-lake/events/track/1767225600000-m-1.json").exists());
}

#[test]
fn an_edit_of_the_function_that_ends_a_problem_prints_fixed() {
    let run = Run::start(true);
    run.line("ready ");
    run.edit("orders.yaml", "bucket: orders-lake", "bucket: other-lake");
    run.line("problem   BucketWritable NoSuchBucket");
    run.edit("orders.yaml", "bucket: other-lake", "bucket: orders-lake");
    run.line("fixed     BucketWritable: ");
    run.line("ready ");
    assert_eq!(run.send().0, 200);
}

#[test]
fn a_function_without_its_write_keys_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(example("clickstream.yaml"), folder.path().join("orders.yaml")).unwrap();
    let run = Run::start_in(folder, false);
    run.line("ready ");
    run.edit("orders.yaml", "writeKeys: |", "otherKeys: |");
    run.line("problem   IngestConfigured");
    // Another sidecar, which starts without them.
    run.edit("orders.yaml", "team: data", "team: web");
    run.line("edit      the function's");
    assert_problem_before_ready(&run);
    run.edit("orders.yaml", "otherKeys: |", "writeKeys: |");
    run.line("fixed     IngestConfigured: ");
    run.line("ready ");
}

#[test]
fn edits_are_applied_while_a_replaced_sidecar_still_answers_a_request() {
    let run = Run::start(false);
    run.line("ready ");
    let mut client = TcpStream::connect(&run.events).unwrap();
    let (first, second) = EVENT.split_at(20);
    write!(client, "POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{first}", EVENT.len()).unwrap();
    // The sidecar has read the head once it counts the request as in flight.
    while !request(&run.admin, "GET /metrics", "").1.contains("tributary_in_flight_requests 1\n") {
        std::thread::sleep(Duration::from_millis(10));
    }

    run.edit("orders.yaml", "prefix: segment/", "prefix: events/");
    run.line("edit ");
    run.line("ready ");
    run.edit("orders.yaml", "prefix: events/", "prefix: others/");
    run.line("edit ");
    run.line("ready ");
    assert_eq!(run.send().0, 200);
    client.write_all(second.as_bytes()).unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(std::str::from_utf8(&answer).unwrap(), "HTTP/1.1 200");
    let stored = |prefix: &str| run.object().to_str().unwrap().replace("segment", prefix);
    assert!(fs::exists(run.object()).unwrap() && fs::exists(stored("others")).unwrap());
    let (_folder, summary) = run.stop();
    assert!(summary.contains("2 events"), "{summary}");
}

#[test]
fn an_edited_write_key_is_applied_without_a_roll() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(example("clickstream.yaml"), folder.path().join("orders.yaml")).unwrap();
    let run = Run::start_in(folder, false);
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

#[test]
fn an_invalid_accounts_file_changes_nothing_and_its_correction_is_reported() {
    let run = Run::start(true);
    run.line("ready ");
    run.edit("accounts.yaml", "accounts:", "acounts:");
    let warning = run.line("warning ");
    assert!(warning.contains("the accounts file") && warning.contains("acounts"), "{warning}");
    assert_eq!(run.send().0, 200);
    run.edit("accounts.yaml", "acounts:", "accounts:");
    run.line("fixed     the accounts file is valid again");
    assert_eq!(run.send().0, 200);
}

#[test]
fn a_change_of_the_roles_external_id_is_reported_immediately() {
    let run = Run::start(true);
    run.line("ready ");
    run.edit("accounts.yaml", "externalId: change-me-", "externalId: another-one-");
    let warning = run.line("warning ");
    assert!(warning.contains("RoleAssumed RenewalFailing") && warning.contains("traffic stops at"), "{warning}");
    assert_eq!(run.send().0, 200, "the old session is still valid");
    run.edit("accounts.yaml", "externalId: another-one-", "externalId: change-me-");
    run.line("fixed     RoleAssumed");
}

#[test]
fn a_function_whose_role_does_not_require_an_external_id_is_never_ready() {
    let run = Run::start(true);
    run.line("ready ");
    run.edit("accounts.yaml", "        externalId: ", "        # externalId: ");
    let problem = run.line("problem ");
    assert!(problem.contains("ExternalIdEnforced NotEnforced"), "{problem}");
    let (status, answer) = run.send();
    assert!(status == 503 && answer.contains("NotEnforced"), "{status} {answer}");
    let (folder, _) = run.stop();

    // The same if the role is like that at the start.
    let run = Run::start_in(folder, true);
    assert_problem_before_ready(&run);
    assert_eq!(run.send().0, 503);
    run.edit("accounts.yaml", "        # externalId: ", "        externalId: ");
    run.line("ready ");
    run.send_until_stored();
}
