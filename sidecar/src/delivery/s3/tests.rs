//! Holds the templates' requests to those that the SDK builds itself.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use futures_util::future::BoxFuture;
use hyper::Request;
use hyper::header::HOST;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A clock that stands still.
#[derive(Debug)]
struct Stopped(SystemTime);

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

fn now() -> SystemTime {
    "2026-02-03T04:05:06Z".parse::<jiff::Timestamp>().unwrap().into()
}

fn credentials() -> Credentials {
    Credentials::new("ASIAEXAMPLE", SECRET_ACCESS_KEY, Some("token/+==".to_owned()), None, "test")
}

/// The SDK for the fields of `spec.s3`, and how it is reached.
fn sdk(fields: &Value, url: Option<&str>, path_style: bool) -> Sdk {
    let mut s3 = json!({"bucket": "orders-lake", "region": "us-west-2"});
    s3.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let variant = EndpointVariant::default();
    let endpoint = S3Endpoint { url: url.map(str::to_owned), path_style, is_store: false, variant };
    Sdk::new(serde_json::from_value(s3).unwrap(), &endpoint, Arc::new(Stopped(now())))
}

/// What is sent, except for the random invocation ID. The SDK leaves the header `Host` to its HTTP client.
fn sent<B>(request: &Request<B>) -> (String, String, BTreeMap<String, String>) {
    let mut headers: BTreeMap<_, _> =
        request.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    assert_eq!(headers.remove("amz-sdk-invocation-id").map(|id| id.len()), Some(36));
    headers.remove(HOST.as_str());
    let target = request.uri().path_and_query().unwrap().to_string();
    (request.method().to_string(), target, headers)
}

/// Asserts that the template gives the request that the SDK builds.
async fn assert_same(sdk: &Sdk, operation: Operation, key: &str, body: &Bytes) {
    let built = sdk.build(operation, credentials(), operation.placeholder_key(), Bytes::new()).await.unwrap();
    let template = Template::new(&built, operation.placeholder_key(), SECRET_ACCESS_KEY).unwrap();
    let expected = sdk.build(operation, credentials(), key, body.clone()).await.unwrap();
    let actual = template.request(key, body.clone(), now()).request;
    assert_eq!(sent(&actual), sent(&expected), "{operation:?} {key:?}, {} bytes", body.len());
    assert_eq!(actual.headers()[HOST], expected.uri().authority().unwrap().as_str());
    let origin = (template.origin().scheme(), template.origin().authority());
    assert_eq!(origin, (expected.uri().scheme(), expected.uri().authority()));
}

const OPERATIONS: [Operation; 5] = [
    Operation::Put { content_type: "application/json", if_absent: true },
    Operation::Put { content_type: "application/json", if_absent: false },
    Operation::Put { content_type: "application/x-ndjson", if_absent: true },
    Operation::Head,
    Operation::List,
];

#[tokio::test]
async fn a_template_gives_the_sdks_own_request_for_every_option() {
    let kms = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let fields = [
        json!({}),
        json!({"encryption": {"type": "S3"}}),
        json!({"encryption": {"type": "KMS"}}),
        json!({"encryption": {"type": "KMS", "keyId": kms}}),
        json!({"tags": {"cost center": "a+b/ü", "pii": "no"}}),
        json!({"expectedBucketOwner": "123456789012"}),
        json!({"storageClass": "STANDARD_IA"}),
        json!({"checksum": "WhenRequired"}),
        json!({"region": "us-east-1"}),
        json!({"region": "cn-north-1"}),
        json!({"region": "us-gov-west-1"}),
        json!({"region": "eusc-de-east-1"}),
        json!({"region": "us-isob-east-1"}),
        json!({"region": "RegionOne"}),
        json!({"bucket": "dotted.bucket.name"}),
        json!({"bucket": "tributary-placeholder-key"}),
        json!({"bucket": "x.tributary-placeholder-key.y"}),
        json!({"encryption": {"type": "KMS", "keyId": kms}, "tags": {"a": "b"}, "expectedBucketOwner": "123456789012",
            "storageClass": "GLACIER_IR", "conditionalWrites": false}),
    ];
    let endpoints = [
        (None, false),
        (None, true),
        (Some("http://127.0.0.1:9000"), true),
        (Some("https://s3.example.com"), false),
        (Some("https://s3.example.com:8443/store"), true),
    ];
    let body = Bytes::from_static(b"{\"event\": 1}");
    for fields in &fields {
        for (url, path_style) in endpoints {
            let sdk = sdk(fields, url, path_style);
            for operation in OPERATIONS {
                let (key, body) = match operation {
                    Operation::Put { .. } => ("segment/track/1767225600000-m-1.json", body.clone()),
                    Operation::Head | Operation::List => ("", Bytes::new()),
                };
                assert_same(&sdk, operation, key, &body).await;
            }
        }
    }
}

/// The SDK could treat a large body in another way than a small one.
#[tokio::test]
async fn a_template_gives_the_sdks_own_request_for_every_size() {
    let sdk = sdk(&json!({}), None, false);
    for length in [0, 1, 1_000, 128 << 10, 3 << 20, 17 << 20] {
        assert_same(&sdk, OPERATIONS[0], "k", &Bytes::from(vec![b'x'; length])).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_template_gives_the_sdks_own_request_for_every_key(key in "[^/]{1,40}(/\\PC{0,20}){0,3}", path_style in any::<bool>()) {
        // The SDK takes white space for a missing key. The sidecar's keys contain more: an event's type or messageId.
        prop_assume!(!key.trim().is_empty());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let sdk = sdk(&json!({}), None, path_style);
        runtime.block_on(assert_same(&sdk, OPERATIONS[0], &key, &Bytes::from_static(b"{}")));
    }
}

#[tokio::test]
async fn a_template_is_valid_on_the_next_day() {
    let sdk = sdk(&json!({}), None, false);
    let built = sdk.build(OPERATIONS[0], credentials(), "placeholder", Bytes::new()).await.unwrap();
    let template = Template::new(&built, "placeholder", SECRET_ACCESS_KEY).unwrap();
    let tomorrow = now() + Duration::from_secs(24 * 60 * 60);
    let actual = template.request("k", Bytes::new(), tomorrow).request;
    let s3 = json!({"bucket": "orders-lake", "region": "us-west-2"});
    let endpoint = S3Endpoint { url: None, path_style: false, is_store: false, variant: EndpointVariant::default() };
    let sdk = Sdk::new(serde_json::from_value(s3).unwrap(), &endpoint, Arc::new(Stopped(tomorrow)));
    assert_eq!(sent(&actual), sent(&sdk.build(OPERATIONS[0], credentials(), "k", Bytes::new()).await.unwrap()));
}

#[tokio::test]
async fn a_request_of_another_form_is_refused() {
    let built =
        sdk(&json!({}), None, false).build(OPERATIONS[0], credentials(), "placeholder", Bytes::new()).await.unwrap();
    let refused = |change: fn(&mut Request<()>)| {
        let mut changed = built.clone();
        change(&mut changed);
        Template::new(&changed, "placeholder", SECRET_ACCESS_KEY).is_err()
    };
    assert!(!refused(|_| {}));
    assert!(refused(|request| drop(request.headers_mut().remove("authorization"))));
    assert!(refused(|request| drop(request.headers_mut().remove("x-amz-date"))));
    assert!(refused(|request| drop(request.headers_mut().insert("content-type", "text/plain".parse().unwrap()))));
    assert!(refused(|request| *request.uri_mut() = "https://host/another".parse().unwrap()));
    assert!(Template::new(&built, "placeholder", "another secret").is_err());
    assert!(Template::new(&built, "another key", SECRET_ACCESS_KEY).is_err());
}

#[test]
fn the_debug_form_of_a_template_shows_no_credential() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let sdk = sdk(&json!({}), None, false);
    let built = runtime.block_on(sdk.build(OPERATIONS[0], credentials(), "placeholder", Bytes::new())).unwrap();
    let text = format!("{:?}", Template::new(&built, "placeholder", SECRET_ACCESS_KEY).unwrap());
    assert!(!text.contains("token/+==") && !text.contains("wJalr") && !text.contains("ASIA"), "{text}");
}

#[tokio::test]
async fn the_code_and_the_message_of_an_error_are_read() {
    let sdk = sdk(&json!({}), None, false);
    let read = async |status: u16, body: &'static str| {
        let mut response = Response::new(Bytes::from_static(body.as_bytes()));
        *response.status_mut() = status.try_into().unwrap();
        let (code, message) = sdk.read_error(&response).await;
        (code.unwrap_or_default(), message.unwrap_or_default())
    };
    let xml = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please reduce</Message></Error>";
    assert_eq!(read(503, xml).await, ("SlowDown".to_owned(), "Please reduce".to_owned()));
    for (status, body) in [(503, "<html>busy</html>"), (500, ""), (404, "not found"), (200, "ok"), (412, "{}")] {
        assert_eq!(read(status, body).await, (String::new(), String::new()), "{status} {body}");
    }
}

/// Servers repeat requests in their answers, in many ways.
#[tokio::test]
async fn an_answer_shows_neither_credentials_nor_the_key() {
    let endpoint = S3Endpoint { url: None, path_style: false, is_store: false, variant: EndpointVariant::default() };
    let s3 = serde_json::from_value(json!({"bucket": "orders-lake", "region": "us-west-2"})).unwrap();
    let bucket = Bucket::new(s3, endpoint, Arc::default(), Arc::new(Stopped(now())));
    let (token, key) = ("t".repeat(1_200), "segment/track/jane@example.com/m-1.json");
    let read = async |status: u16, body: String| {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status.try_into().unwrap();
        match bucket.answer(OPERATIONS[0], &response, b"", &[&token, key]).await {
            S3Answer::Error { code, message, .. } => (code, message),
            S3Answer::Foreign { start, .. } => (String::new(), start),
            other => panic!("{other:?}"),
        }
    };
    let xml = |code: &str, message: &str| format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let (code, message) = read(403, xml(&"C".repeat(200), &format!("{token} may not write {key}{:2000}", ""))).await;
    assert!(message.starts_with("… may not write … "), "{message}");
    assert_eq!((code.len(), message.chars().count()), (64, 1_000), "each is cut, and only then");
    for page in [
        "<pre>Cannot PUT /lake/segment/track/jane%40example.com/m-1.json</pre>",
        "{\"path\": \"segment\\/track\\/jane@example.com\\/m-1.json\"}",
    ] {
        let (_, start) = read(404, page.to_owned()).await;
        assert!(start.contains('…') && !start.contains("jane"), "{start}");
    }
    // Only a part of the token is read, which can't be found.
    let mut cut =
        format!("<!--{}--><Error><Code>AccessDenied</Code><Message>", "x".repeat(MAX_BODY_BYTES - 800)) + &token;
    cut.truncate(MAX_BODY_BYTES);
    let (_, message) = read(403, cut).await;
    assert!(!message.contains("ttt"), "{message}");
}

#[tokio::test]
async fn the_variants_of_aws_endpoints_are_the_sdks() {
    for (fips, dual_stack, host) in [
        (false, false, "orders-lake.s3.us-west-2.amazonaws.com"),
        (true, false, "orders-lake.s3-fips.us-west-2.amazonaws.com"),
        (false, true, "orders-lake.s3.dualstack.us-west-2.amazonaws.com"),
        (true, true, "orders-lake.s3-fips.dualstack.us-west-2.amazonaws.com"),
    ] {
        let s3 = serde_json::from_value(json!({"bucket": "orders-lake", "region": "us-west-2"})).unwrap();
        let endpoint =
            S3Endpoint { url: None, path_style: false, is_store: false, variant: EndpointVariant { fips, dual_stack } };
        let sdk = Sdk::new(s3, &endpoint, Arc::new(Stopped(now())));
        for operation in OPERATIONS {
            let built = sdk.build(operation, credentials(), operation.placeholder_key(), Bytes::new()).await.unwrap();
            let template = Template::new(&built, operation.placeholder_key(), SECRET_ACCESS_KEY).unwrap();
            assert_eq!(template.origin().host(), Some(host), "{operation:?}");
        }
    }
}

#[tokio::test]
async fn a_404_means_a_missing_bucket_only_if_it_says_so_or_can_say_nothing() {
    let endpoint = S3Endpoint { url: None, path_style: false, is_store: true, variant: EndpointVariant::default() };
    let s3 = serde_json::from_value(json!({"bucket": "orders-lake", "region": "us-west-2"})).unwrap();
    let bucket = Bucket::new(s3, endpoint, Arc::default(), Arc::new(Stopped(now())));
    let xml = |code: &str| format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
    let put = OPERATIONS[0];
    for (operation, body, code, message) in [
        (Operation::Head, String::new(), "NoSuchBucket", "no message"),
        (put, xml("NoSuchBucket"), "NoSuchBucket", "no"),
        (put, xml("XAdminUserNotFound"), "XAdminUserNotFound", "no"),
        (Operation::List, xml("XAdminUserNotFound"), "XAdminUserNotFound", "no"),
        (put, format!("<Errors>{}</Errors>", xml("NoSuchUser")), "NoSuchUser", "no"),
        (put, String::new(), "", "no message"),
        (
            put,
            "{\"reason\": \"gone\"}".to_owned(),
            "",
            "no message, but a body that begins with: {\"reason\": \"gone\"}",
        ),
    ] {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = hyper::StatusCode::NOT_FOUND;
        response.headers_mut().insert("x-amz-request-id", hyper::header::HeaderValue::from_static("1"));
        let S3Answer::Error { code: found, message: text, .. } = bucket.answer(operation, &response, b"", &[]).await
        else {
            panic!("{code}")
        };
        assert_eq!((found.as_str(), text.as_str()), (code, message), "{operation:?}");
    }
}
