//! What is not signed right is not done.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use tributary_local_aws::{Accounts, Clock, LocalAws, Options, Store};

use crate::support::{ACCOUNTS, Aws, admin, keys, outcome};

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_key() {
    let aws = Aws::start(ACCOUNTS).await;
    let wrong = keys("AKIAADMIN0000000001", "not-the-secret", None);
    let unknown = keys("AKIANOBODY00000001", "not-the-secret", None);
    for (credentials, s3_says, sts_says) in [
        (wrong, "403 SignatureDoesNotMatch", "403 SignatureDoesNotMatch"),
        (unknown, "403 InvalidAccessKeyId", "403 InvalidClientTokenId"),
    ] {
        let s3 = aws.s3("us-west-2", credentials.clone());
        let put = s3.put_object().bucket("lake").key("a").body(b"{}".to_vec().into());
        assert_eq!(outcome(put.send().await), s3_says);
        let whoami = aws.sts(credentials).get_caller_identity().send().await;
        assert_eq!(outcome(whoami), sts_says);
    }
    assert!(aws.local.objects().is_empty());
}

#[tokio::test]
async fn unsigned_requests() {
    let aws = Aws::start(ACCOUNTS).await;
    let put = "PUT /lake/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    let answer = aws.raw(put).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("<Code>AccessDenied<"), "{answer}");
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let post =
        format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}", form.len());
    let answer = aws.raw(&post).await;
    let parts = [
        "HTTP/1.1 403",
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">",
        "<Type>Sender</Type>",
        "<Code>MissingAuthenticationToken</Code>",
        "<RequestId>",
    ];
    for part in parts {
        assert!(answer.contains(part), "{part}: {answer}");
    }
}

#[tokio::test]
async fn a_signature_from_another_time() {
    let aws = Aws::start(ACCOUNTS).await;
    for (minutes, s3_says, sts_says) in
        [(14, "ok", "ok"), (16, "403 RequestTimeTooSkewed", "403 SignatureDoesNotMatch")]
    {
        let other = with_own_clock(&aws);
        other.wait(Duration::from_secs(60 * minutes));
        let s3 = other.s3("us-west-2", admin());
        let put = s3.put_object().bucket("lake").key("a").body(b"{}".to_vec().into());
        assert_eq!(outcome(put.send().await), s3_says);
        let whoami = other.sts(admin()).get_caller_identity().send().await;
        assert_eq!(outcome(whoami), sts_says);
    }
}

/// The same server, and a clock of its own for clients: that of a server that serves nobody.
fn with_own_clock(aws: &Aws) -> Aws {
    let local = LocalAws::new(Options {
        accounts: Accounts::default(),
        store: Store::discard(),
        clock: Clock::scaled(aws.local.clock().now(), 1.0),
        record_calls: false,
    });
    let address = aws.address.clone();
    Aws { local, address }
}

#[tokio::test]
async fn a_presigned_url_runs_out_by_our_clock() {
    let aws = Aws::start(ACCOUNTS).await;
    let s3 = aws.s3("us-west-2", admin());
    let lasting = PresigningConfig::expires_in(Duration::from_secs(1800)).unwrap();
    let url = s3.put_object().bucket("lake").key("a").presigned(lasting).await.unwrap();
    let path = url.uri().split_once(&aws.address).unwrap().1;
    let put =
        format!("PUT {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}", aws.address);
    aws.wait(Duration::from_secs(1790));
    let answer = aws.raw(&put).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    aws.wait(Duration::from_secs(20));
    let answer = aws.raw(&put).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn a_header_outside_the_signature() {
    let aws = Aws::start(ACCOUNTS).await;
    let s3 = aws.s3("us-west-2", admin());
    let lasting = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let url = s3.put_object().bucket("lake").key("a").presigned(lasting).await.unwrap();
    let path = url.uri().split_once(&aws.address).unwrap().1;
    let put = format!(
        "PUT {path} HTTP/1.1\r\nHost: {}\r\nx-amz-tagging: a=b\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}",
        aws.address
    );
    let answer = aws.raw(&put).await;
    assert!(answer.contains("not signed: x-amz-tagging"), "{answer}");
}
