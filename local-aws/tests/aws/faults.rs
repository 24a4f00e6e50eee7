//! Tests of the faults: what each action does to a call.

use std::time::{Duration, Instant};

use tributary_local_aws::{Accounts, Action, CannedResponse, Fault, Service};

use crate::support::{ACCOUNTS, Aws, EXTERNAL_ID, WRITER, admin, outcome};

fn put(aws: &Aws, key: &str) -> impl Future<Output = String> + use<> {
    let put = aws.s3("us-west-2", admin()).put_object().bucket("lake").key(key);
    let put = put.body(b"{}".to_vec().into()).if_none_match("*");
    async { outcome(put.send().await) }
}

fn once(action: Action) -> Fault {
    Fault { count: Some(1), ..Fault::new(action) }
}

fn error(service: Service, code: &str) -> Fault {
    Fault { service: Some(service), ..once(Action::Error(code.to_owned())) }
}

#[tokio::test]
async fn an_error_is_answered_with_its_code_and_status() {
    let aws = Aws::start(ACCOUNTS).await;
    for (code, expected) in [
        ("SlowDown", "503 SlowDown"),
        ("InternalError", "500 InternalError"),
        ("ServiceUnavailable", "503 ServiceUnavailable"),
        ("RequestTimeout", "400 RequestTimeout"),
        ("ConditionalRequestConflict", "409 ConditionalRequestConflict"),
        ("ExpiredToken", "400 ExpiredToken"),
        ("TemporaryRedirect", "307 TemporaryRedirect"),
        ("BadDigest", "400 BadDigest"),
        ("IncompleteBody", "400 IncompleteBody"),
        ("OperationAborted", "409 OperationAborted"),
    ] {
        aws.local.set_faults(vec![error(Service::S3, code)]);
        assert_eq!(put(&aws, code).await, expected);
        assert_eq!(put(&aws, code).await, "ok", "nothing was stored before");
    }
    aws.local.set_faults(vec![error(Service::Sts, "Throttling")]);
    let assume = || aws.assume(WRITER).external_id(EXTERNAL_ID).send();
    assert_eq!(outcome(assume().await), "400 Throttling");
    assert_eq!(outcome(assume().await), "ok");
}

#[tokio::test]
async fn lost_answers_are_counted() {
    let aws = Aws::start(ACCOUNTS).await;
    aws.local.set_faults(vec![once(Action::Refuse)]);
    assert_eq!(put(&aws, "refused").await, "0 -");
    assert!(aws.local.objects().is_empty());
    aws.local.set_faults(vec![once(Action::StoreThenDrop)]);
    assert_eq!(put(&aws, "stored").await, "0 -");
    assert_eq!(aws.local.objects().len(), 1);
    assert_eq!(put(&aws, "stored").await, "412 PreconditionFailed");
    let counts = aws.local.counts();
    let count = |outcome: &'static str| counts[&(Service::S3, "PutObject", outcome.into())];
    assert_eq!((count("cut"), count("PreconditionFailed")), (2, 1));
}

#[tokio::test]
async fn broken_answers_are_sent() {
    let aws = Aws::start(ACCOUNTS).await;
    for (action, expected) in [(Action::CutBody, "0 -"), (Action::InvalidBody, "200 -")] {
        aws.local.set_faults(vec![once(action.clone())]);
        let result = aws.assume(WRITER).external_id(EXTERNAL_ID).send().await;
        assert_eq!(outcome(result), expected, "{action:?}");
    }
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let whole = aws.raw(request).await;
    aws.local.set_faults(vec![once(Action::TruncateBody)]);
    let half = aws.raw(request).await;
    assert!(whole.ends_with("</ErrorResponse>"), "{whole}");
    assert!(half.contains("<ErrorResponse") && !half.contains("</ErrorResponse>"), "{half}");
}

#[tokio::test]
async fn a_canned_response_is_sent_unchanged() {
    let aws = Aws::start(ACCOUNTS).await;
    let headers = [("x-cache".to_owned(), "MISS".to_owned())].into();
    let html = CannedResponse { status: 200, headers, body: "<html>".to_owned() };
    aws.local.set_faults(vec![once(Action::Respond(html))]);
    let answer = aws.raw("PUT /lake/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n<html>"), "{answer}");
    assert!(answer.contains("x-cache: MISS") && !answer.contains("x-amz"), "{answer}");
    assert!(aws.local.objects().is_empty());
}

#[tokio::test]
async fn a_hanging_call_is_not_executed() {
    let aws = Aws::start(ACCOUNTS).await;
    aws.local.set_faults(vec![once(Action::Hang)]);
    assert!(tokio::time::timeout(Duration::from_millis(300), put(&aws, "a")).await.is_err());
    assert!(aws.local.objects().is_empty());
    assert_eq!(put(&aws, "a").await, "ok");
}

#[tokio::test]
async fn latency_passes_on_the_servers_clock() {
    let faults = "faults: [{service: s3, operation: PutObject, bucket: lake, action: {latencyMs: 300}}]";
    let aws = Aws::start(&format!("{ACCOUNTS}\n{faults}")).await;
    let start = Instant::now();
    assert_eq!(put(&aws, "a").await, "ok");
    assert!(start.elapsed() >= Duration::from_millis(300));
    aws.local.clock().set_speed(100.0);
    let start = Instant::now();
    assert_eq!(put(&aws, "b").await, "ok");
    assert!(start.elapsed() < Duration::from_millis(300));
    aws.local.set_accounts(Accounts::parse(ACCOUNTS).unwrap());
}

#[tokio::test]
async fn calls_are_published_to_subscribers() {
    let aws = Aws::start(ACCOUNTS).await;
    let mut calls = aws.local.subscribe();
    aws.local.set_faults(vec![error(Service::S3, "SlowDown")]);
    assert_eq!(put(&aws, "a").await, "503 SlowDown");
    let call = calls.recv().await.unwrap();
    assert_eq!((call.status, call.error_code.as_deref()), (Some(503), Some("SlowDown")));
    assert_eq!(call.bytes, 2);
}
