//! Tests the classification of answers, with tables of codes and statuses.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::aws_client::EndpointVariant;
use crate::skew::ClockOffset;

const ROLE: &str = "arn:aws:iam::123456789012:role/r";

static SPEC: LazyLock<DestinationFunctionSpec> = LazyLock::new(|| {
    let s3 = json!({"bucket": "lake", "region": "us-west-2", "prefix": "in/", "expectedBucketOwner": "123456789012"});
    let spec = json!({"roleArn": ROLE, "externalIdSecretRef": {"name": "lake"}, "s3": s3});
    serde_json::from_value(spec).unwrap()
});

fn endpoint(url: Option<&str>, path_style: bool, is_store: bool) -> S3Endpoint {
    S3Endpoint { url: url.map(str::to_owned), path_style, is_store, variant: EndpointVariant::default() }
}

static AWS: LazyLock<S3Endpoint> = LazyLock::new(|| endpoint(None, false, false));

fn target() -> Target<'static> {
    Target { spec: &SPEC, endpoint: &AWS }
}

fn classified(status: u16, code: &str, message: &str, region: Option<&str>) -> ErrorClass {
    classified_with_offset(None, status, code, message, region)
}

fn classified_with_offset(
    offset: Option<ClockOffset>,
    status: u16,
    code: &str,
    message: &str,
    region: Option<&str>,
) -> ErrorClass {
    let (code, message, region) = (code.to_owned(), message.to_owned(), region.map(str::to_owned));
    let class = classify(&S3Answer::Error { status, code, message, header: None, region, offset }, target());
    if let ErrorClass::Retry(blocker)
    | ErrorClass::Refresh(blocker)
    | ErrorClass::Configuration(blocker)
    | ErrorClass::Refused(blocker) = &class
    {
        assert!(REASONS.contains(&blocker.reason), "{} is not among the reasons", blocker.reason);
    }
    class
}

#[test]
fn only_a_412_with_the_right_code_is_a_failed_precondition() {
    assert_eq!(classified(412, "PreconditionFailed", "", None), ErrorClass::PreconditionFailed);
    for (status, code) in [(412, ""), (412, "AccessDenied"), (200, "PreconditionFailed"), (400, "PreconditionFailed")] {
        let ErrorClass::Refused(blocker) = classified(status, code, "no", None) else { panic!("{status} {code}") };
        assert_eq!(blocker.reason, Reason::S3Error, "{status} {code}");
    }
}

#[test]
fn transient_errors_are_retried() {
    for (status, code, reason) in [
        (503, "SlowDown", Reason::Throttled),
        (400, "Throttling", Reason::Throttled),
        (400, "ThrottlingException", Reason::Throttled),
        (400, "KMS.ThrottlingException", Reason::Throttled),
        (503, "RequestLimitExceeded", Reason::Throttled),
        (429, "TooManyRequests", Reason::Throttled),
        (429, "", Reason::Throttled),
        (200, "SlowDown", Reason::Throttled),
        (200, "InternalError", Reason::S3Error),
        (500, "InternalError", Reason::S3Error),
        (500, "", Reason::S3Error),
        (500, "KMS.InternalException", Reason::S3Error),
        (502, "", Reason::S3Error),
        (503, "ServiceUnavailable", Reason::S3Error),
        (504, "SomethingNew", Reason::S3Error),
        (408, "", Reason::S3Error),
        (400, "RequestTimeout", Reason::S3Error),
        (400, "ConnectionClosedByRequester", Reason::S3Error),
        (400, "BadDigest", Reason::S3Error),
        (400, "IncompleteBody", Reason::S3Error),
        (400, "XAmzContentSHA256Mismatch", Reason::S3Error),
        (400, "XAmzContentChecksumMismatch", Reason::S3Error),
        (409, "ConditionalRequestConflict", Reason::S3Error),
        (409, "OperationAborted", Reason::S3Error),
        (409, "", Reason::S3Error),
        (307, "TemporaryRedirect", Reason::S3Error),
        (307, "Redirect", Reason::S3Error),
        (307, "", Reason::S3Error),
    ] {
        let ErrorClass::Retry(blocker) = classified(status, code, "", None) else { panic!("{code} is not retried") };
        assert_eq!(blocker.reason, reason, "{code}");
    }
    for nothing in [S3Answer::NoResponse("connection refused".to_owned()), S3Answer::Timeout] {
        let class = classify(&nothing, target());
        assert!(matches!(class, ErrorClass::Retry(Blocker { reason: Reason::S3Unreachable, .. })), "{class:?}");
    }
}

#[test]
fn a_temporary_redirect_is_not_another_region() {
    let ErrorClass::Retry(blocker) = classified(307, "TemporaryRedirect", "", Some("eu-west-1")) else { panic!() };
    assert!(!blocker.message.contains("spec.s3.region"), "{}", blocker.message);
}

#[test]
fn a_foreign_answer_is_quoted_and_retried_if_the_server_is_busy() {
    let classified = |status| classify(&S3Answer::Foreign { status, start: "<html>hello".to_owned() }, target());
    for status in [101, 200, 201, 202, 204, 206, 302, 303, 308, 400, 401, 403, 404, 405, 407, 412, 413] {
        let ErrorClass::Configuration(blocker) = classified(status) else { panic!("{status}") };
        assert_eq!(blocker.reason, Reason::S3Error);
        for part in ["<html>hello", "spec.s3.endpoint", &status.to_string()] {
            assert!(blocker.message.contains(part), "{part}: {}", blocker.message);
        }
    }
    for (status, reason) in
        [(408, Reason::S3Error), (429, Reason::Throttled), (502, Reason::S3Error), (504, Reason::S3Error)]
    {
        let ErrorClass::Retry(blocker) = classified(status) else { panic!("{status}") };
        assert_eq!(blocker.reason, reason);
        assert!(blocker.message.contains("<html>hello"), "{}", blocker.message);
    }
}

#[test]
fn an_object_may_be_stored_unless_it_was_refused() {
    let error = |status| S3Answer::Error {
        status,
        code: String::new(),
        message: String::new(),
        header: None,
        region: None,
        offset: None,
    };
    for (answer, in_doubt) in [
        (error(400), false),
        (error(412), false),
        (error(307), false),
        (error(500), true),
        (error(200), true),
        (S3Answer::Foreign { status: 200, start: String::new() }, true),
        (S3Answer::Foreign { status: 403, start: String::new() }, false),
        (S3Answer::NoResponse(String::new()), true),
        (S3Answer::Timeout, true),
    ] {
        assert_eq!(answer.leaves_in_doubt(), in_doubt, "{answer:?}");
    }
}

#[test]
fn an_unknown_host_name_of_a_bucket_is_explained() {
    let part = |why: &str, in_host_name: bool| {
        let answer = S3Answer::NoResponse(why.to_owned());
        let endpoint = endpoint(Some("https://s3.example.com"), !in_host_name, true);
        match classify(&answer, Target { endpoint: &endpoint, ..target() }) {
            ErrorClass::Retry(blocker) => blocker.message.contains("forcePathStyle: true"),
            other => panic!("{other:?}"),
        }
    };
    assert!(part("dns error: no such name", true));
    assert!(!part("dns error: no such name", false));
    assert!(!part("connection refused", true));
}

#[test]
fn a_rejected_session_is_renewed() {
    for (status, code) in [(400, "ExpiredToken"), (400, "InvalidToken"), (403, "InvalidAccessKeyId")] {
        assert!(matches!(classified(status, code, "", None), ErrorClass::Refresh(_)), "{code}");
    }
}

#[test]
fn a_wrong_clock_is_reported_as_the_cause_without_changing_the_reaction() {
    let classified = |code: &str, status, message: &str, behind| {
        classified_with_offset(Some(ClockOffset::Behind(behind * Duration::from_secs(60))), status, code, message, None)
    };
    let ErrorClass::Retry(blocker) = classified("RequestTimeTooSkewed", 403, "too large", 20) else {
        panic!("no retry")
    };
    assert_eq!(blocker.reason, Reason::ClockSkewed);
    assert!(blocker.message.contains("20 minutes behind that of S3"), "{}", blocker.message);
    for (code, message, behind, reason) in [
        ("SignatureDoesNotMatch", "check your key", 20, Reason::ClockSkewed),
        ("SignatureDoesNotMatch", "check your key", 1, Reason::S3Error),
        ("AccessDenied", "Access Denied", 20, Reason::ClockSkewed),
    ] {
        let ErrorClass::Configuration(blocker) = classified(code, 403, message, behind) else { panic!("{code}") };
        assert_eq!(blocker.reason, reason, "{code}: {message}");
    }
    for (message, reason) in [
        ("u is not authorized to perform: s3:PutObject", Reason::AccessDenied),
        ("u is not authorized to perform: kms:GenerateDataKey", Reason::KmsDenied),
    ] {
        let ErrorClass::Refused(blocker) = classified("AccessDenied", 403, message, 20) else { panic!("{message}") };
        assert_eq!(blocker.reason, reason, "{message}");
    }
    let ErrorClass::Refresh(skewed) = classified("ExpiredToken", 400, "expired", 120) else { panic!("no refresh") };
    assert_eq!(skewed.reason, Reason::ClockSkewed);
    assert_eq!(sessions_refused(skewed.clone()), skewed);
    let ErrorClass::Refresh(invalid) = classified("InvalidToken", 400, "malformed.", 0) else { panic!("no refresh") };
    let message = sessions_refused(invalid).message;
    assert!(
        message.starts_with(
            "S3 does not accept the session of arn:aws:iam::123456789012:role/r (InvalidToken: malformed), nor"
        ),
        "{message}"
    );
}

#[test]
fn permanent_errors_name_the_fix_and_the_affected_scope() {
    for (status, code, message, region, reason, part, whole_bucket) in [
        (404, "NoSuchBucket", "", None, Reason::NoSuchBucket, "spec.s3.bucket", true),
        (301, "PermanentRedirect", "", Some("eu-west-1"), Reason::WrongRegion, "set spec.s3.region to eu-west-1", true),
        (301, "", "", None, Reason::WrongRegion, "another region", true),
        (400, "", "", Some("eu-west-1"), Reason::WrongRegion, "set spec.s3.region to eu-west-1", true),
        (400, "AuthorizationHeaderMalformed", "expecting 'eu-west-1'", None, Reason::WrongRegion, "eu-west-1", true),
        (400, "IllegalLocationConstraintException", "no", None, Reason::WrongRegion, "spec.s3.region", true),
        (501, "NotImplemented", "A header", None, Reason::S3Error, "conditionalWrites: false", true),
        (501, "NotImplemented", "A header", None, Reason::S3Error, "x-amz-security-token", true),
        (403, "SignatureDoesNotMatch", "calculated", None, Reason::S3Error, "no proxy", true),
        (403, "SignatureDoesNotMatch", "calculated", None, Reason::S3Error, "spec.sts.endpoint its own STS", true),
        (404, "XAdminUserNotFound", "no user", None, Reason::S3Error, "XAdminUserNotFound (404): no user", false),
        (404, "", "no message", None, Reason::S3Error, "without a code (404)", false),
        (403, "AccessDenied", "no", None, Reason::AccessDenied, "lake/in/*", false),
        (403, "AccessDenied", "no", None, Reason::AccessDenied, "account 123456789012", false),
        (403, "AllAccessDisabled", "no", None, Reason::AccessDenied, "lake/in/*", false),
        (200, "AccessDenied", "no", None, Reason::AccessDenied, "lake/in/*", false),
        (403, "", "no message", None, Reason::AccessDenied, "lake/in/*", false),
        (403, "AccountProblem", "unpaid", None, Reason::S3Error, "AccountProblem (403): unpaid", false),
        (403, "NotSignedUp", "nobody", None, Reason::S3Error, "nobody", false),
        (
            403,
            "AccessDenied",
            "not authorized to perform: kms:GenerateDataKey",
            None,
            Reason::KmsDenied,
            "GenerateDataKey",
            false,
        ),
        (400, "KMS.NotFoundException", "", None, Reason::KmsDenied, "key", false),
        (400, "KMS.DisabledException", "", None, Reason::KmsDenied, "key", false),
        (400, "InvalidStorageClass", "bad class", None, Reason::S3Error, "bad class", false),
        (400, "KeyTooLongError", "too long", None, Reason::S3Error, "too long", false),
        (400, "EntityTooLarge", "too large", None, Reason::S3Error, "too large", false),
        (405, "MethodNotAllowed", "not against this", None, Reason::S3Error, "not against this", false),
        (418, "SomethingNew", "new words", None, Reason::S3Error, "SomethingNew (418): new words", false),
    ] {
        let (blocker, whole) = match classified(status, code, message, region) {
            ErrorClass::Configuration(blocker) => (blocker, true),
            ErrorClass::Refused(blocker) => (blocker, false),
            other => panic!("{code}: {other:?}"),
        };
        assert_eq!((blocker.reason, whole), (reason, whole_bucket), "{code}");
        assert!(blocker.message.contains(part), "{code}: {}", blocker.message);
    }
}

#[test]
fn an_endpoint_is_named_where_s3_is_the_subject() {
    let message = |url: Option<&str>, answer: &S3Answer| {
        let endpoint = endpoint(url, true, true);
        match classify(answer, Target { endpoint: &endpoint, ..target() }) {
            ErrorClass::Retry(blocker) | ErrorClass::Configuration(blocker) => blocker.message,
            other => panic!("{other:?}"),
        }
    };
    let signature = S3Answer::Error {
        status: 403,
        code: "SignatureDoesNotMatch".to_owned(),
        message: "calculated".to_owned(),
        header: None,
        region: None,
        offset: None,
    };
    for answer in [S3Answer::NoResponse("connection refused".to_owned()), S3Answer::Timeout, signature] {
        for (url, place) in [
            (Some("https://user:password@minio.storage.svc:9000"), "S3 at https://minio.storage.svc:9000 "),
            (None, "S3 in us-west-2 "),
            (Some("not a url"), "S3 in us-west-2 "),
        ] {
            let message = message(url, &answer);
            assert!(message.starts_with(place) && !message.contains("password"), "{message}");
        }
    }
}

#[test]
fn a_store_may_refuse_access_to_a_bucket_that_does_not_exist() {
    let denied = S3Answer::Error {
        status: 403,
        code: "AccessDenied".to_owned(),
        message: "Access Denied.".to_owned(),
        header: None,
        region: None,
        offset: None,
    };
    for is_store in [false, true] {
        let endpoint = endpoint(None, true, is_store);
        let ErrorClass::Refused(blocker) = classify(&denied, Target { endpoint: &endpoint, ..target() }) else {
            panic!()
        };
        assert_eq!(blocker.message.contains("order: that the bucket exists, that"), is_store, "{}", blocker.message);
    }
}

#[test]
fn the_header_that_a_store_names_is_the_one_to_leave_out() {
    let answer = S3Answer::Error {
        status: 501,
        code: "NotImplemented".to_owned(),
        message: "A header you provided implies functionality that is not implemented".to_owned(),
        header: Some("x-amz-security-token".to_owned()),
        region: None,
        offset: None,
    };
    let ErrorClass::Configuration(blocker) = classify(&answer, target()) else { panic!() };
    assert!(blocker.message.contains("the header x-amz-security-token of the request"), "{}", blocker.message);
    assert!(!blocker.message.contains("conditionalWrites"), "{}", blocker.message);
    assert!(
        blocker.message.ends_with(". S3 said: A header you provided implies functionality that is not implemented")
    );
}
