//! Tests that requests with a wrong, missing, expired or incomplete signature are refused.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use tributary_local_aws::{Accounts, Clock, LocalAws, Options};

use crate::support::{ACCOUNTS, Aws, admin, keys, outcome};

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_key_are_refused() {
    let aws = Aws::start(ACCOUNTS).await;
    let wrong = keys("AKIAADMIN0000000001", "not-the-secret", None);
    let unknown = keys("AKIANOBODY00000001", "not-the-secret", None);
    for (credentials, expected_s3, expected_sts) in [
        (wrong, "403 SignatureDoesNotMatch", "403 SignatureDoesNotMatch"),
        (unknown, "403 InvalidAccessKeyId", "403 InvalidClientTokenId"),
    ] {
        let s3 = aws.s3("us-west-2", credentials.clone());
        let put = s3.put_object().bucket("lake").key("a").body(b"{}".to_vec().into());
        assert_eq!(outcome(put.send().await), expected_s3);
        let whoami = aws.sts(credentials).get_caller_identity().send().await;
        assert_eq!(outcome(whoami), expected_sts);
    }
    assert!(aws.local.objects().is_empty());
}

#[tokio::test]
async fn unsigned_requests_are_refused() {
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
async fn a_signature_is_valid_for_15_minutes() {
    let aws = Aws::start(ACCOUNTS).await;
    // Minutes by which the server's clock is ahead of the client's.
    for (ahead, expected_s3, expected_sts) in [
        (14, "ok", "ok"),
        (-14, "ok", "ok"),
        (16, "403 RequestTimeTooSkewed", "403 SignatureDoesNotMatch"),
        (-16, "403 RequestTimeTooSkewed", "403 SignatureDoesNotMatch"),
    ] {
        let client = with_client_clock(&aws, ahead);
        let s3 = client.s3("us-west-2", admin());
        let put = s3.put_object().bucket("lake").key("a").body(b"{}".to_vec().into());
        assert_eq!(outcome(put.send().await), expected_s3, "{ahead}");
        let whoami = client.sts(admin()).get_caller_identity().send().await;
        assert_eq!(outcome(whoami), expected_sts, "{ahead}");
    }
}

#[tokio::test]
async fn a_skewed_signing_time_is_refused_with_each_services_message() {
    let aws = Aws::start(ACCOUNTS).await;
    aws.local.clock().set(time("2026-01-02T03:34:05Z"));
    // Both clocks practically stand still, so that every time in the answers is known.
    aws.local.clock().set_speed(1e-6);
    for (ahead, signed, expected_sts) in [
        (
            20,
            "20260102T031405Z",
            "Signature expired: 20260102T031405Z is now earlier than 20260102T031905Z (20260102T033405Z - 15 min.)",
        ),
        (
            -20,
            "20260102T035405Z",
            "Signature not yet current: 20260102T035405Z is still later than 20260102T034905Z \
             (20260102T033405Z + 15 min.)",
        ),
    ] {
        let client = with_client_clock(&aws, ahead);
        client.local.clock().set_speed(1e-6);
        let s3 = client.s3("us-west-2", admin());
        let put = s3.put_object().bucket("lake").key("a").body(b"{}".to_vec().into());
        let error = put.send().await.unwrap_err();
        let raw = error.raw_response().unwrap();
        assert_eq!(raw.headers().get("date"), Some("Fri, 02 Jan 2026 03:34:05 GMT"));
        let body = String::from_utf8_lossy(raw.body().bytes().unwrap()).into_owned();
        let elements = format!(
            "<RequestTime>{signed}</RequestTime><ServerTime>2026-01-02T03:34:05Z</ServerTime>\
             <MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>"
        );
        assert!(body.contains(&elements), "{body}");

        let error = client.sts(admin()).get_caller_identity().send().await.unwrap_err();
        assert_eq!(error.message(), Some(expected_sts));
        assert_eq!(error.raw_response().unwrap().headers().get("date"), Some("Fri, 02 Jan 2026 03:34:05 GMT"));
    }
}

fn time(text: &str) -> SystemTime {
    text.parse::<jiff::Timestamp>().expect("a time").into()
}

/// The same server, for clients whose clock is `ahead` minutes behind the server's. The clients use the clock of a
/// second server, which is never called.
fn with_client_clock(aws: &Aws, ahead: i64) -> Aws {
    let ahead = jiff::SignedDuration::from_mins(ahead);
    let now = jiff::Timestamp::try_from(aws.local.clock().now()).expect("a time") - ahead;
    let local = LocalAws::new(Options { clock: Clock::scaled(now.into(), 1.0), ..Options::new(Accounts::default()) });
    let address = aws.address.clone();
    Aws { local, address }
}

#[tokio::test]
async fn a_presigned_url_expires_by_the_servers_clock() {
    let aws = Aws::start(ACCOUNTS).await;
    let s3 = aws.s3("us-west-2", admin());
    let expiry = PresigningConfig::expires_in(Duration::from_secs(1800)).unwrap();
    let url = s3.put_object().bucket("lake").key("a").presigned(expiry).await.unwrap();
    let path = url.uri().split_once(&aws.address).unwrap().1;
    let put =
        format!("PUT {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}", aws.address);
    aws.advance(Duration::from_secs(1790));
    let answer = aws.raw(&put).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    aws.advance(Duration::from_secs(20));
    let answer = aws.raw(&put).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn an_unsigned_header_is_refused() {
    let aws = Aws::start(ACCOUNTS).await;
    let s3 = aws.s3("us-west-2", admin());
    let expiry = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let url = s3.put_object().bucket("lake").key("a").presigned(expiry).await.unwrap();
    let path = url.uri().split_once(&aws.address).unwrap().1;
    let put = format!(
        "PUT {path} HTTP/1.1\r\nHost: {}\r\nx-amz-tagging: a=b\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}",
        aws.address
    );
    let answer = aws.raw(&put).await;
    assert!(answer.contains("not signed: x-amz-tagging"), "{answer}");
}
