//! Tests the sidecar's metrics: content negotiation, promlint's conventions, and that `docs/metrics.md` lists exactly
//! these metrics and the operator's.

use std::collections::BTreeSet;

use hyper::Method;
use serde_json::json;
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};
use tributary_local_aws::Fault;
use tributary_operator::client::ApiRequest;
use tributary_operator::finding::Finding;
use tributary_operator::function::FunctionRef;
use tributary_operator::metrics::Metrics;
use tributary_runtime::exposition::Format;
use tributary_tests::aws::{error, puts};
use tributary_tests::event::track;
use tributary_tests::http::Http;
use tributary_tests::raw::RawConnection;
use tributary_tests::{Function, Ports, promlint, start_ready};

const TEXT_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Sends requests with each kind of quick answer: 200, 400, 404 and 405.
async fn send_traffic(sidecar: &Ports) {
    for (path, body, status) in [
        ("/v1/track", track(1), 200),
        ("/v1/track", json!({}), 400),
        ("/v1/batch", json!({"batch": [track(2), {"type": "nonsense"}]}), 200),
        ("/", json!([track(3)]), 200),
        ("/nothing", json!({}), 404),
    ] {
        assert_eq!(sidecar.send(path, &body).await.status, status, "{path} {body}");
    }
    assert_eq!(sidecar.request(Method::GET, "/v1/page", &[], "").await.expect("an answer").status, 405);
}

/// The names and labels of all series.
fn series_names(metrics: &str) -> BTreeSet<&str> {
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect()
}

/// The names of all metric families.
fn metric_names(metrics: &str) -> BTreeSet<&str> {
    metrics.lines().filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split_once(' ')?.0)).collect()
}

#[tokio::test]
async fn the_format_follows_the_accept_header() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    let (http, url) = (Http::new(), format!("http://{}/metrics", sidecar.admin));
    for (accept, content_type, has_end) in [
        (None, TEXT_CONTENT_TYPE, false),
        (Some("*/*"), TEXT_CONTENT_TYPE, false),
        (Some("text/plain;version=0.0.4"), TEXT_CONTENT_TYPE, false),
        (
            Some("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"),
            OPEN_METRICS_CONTENT_TYPE,
            true,
        ),
        (Some("application/openmetrics-text;q=0"), TEXT_CONTENT_TYPE, false),
    ] {
        let headers: Vec<_> = accept.map(|accept| ("accept", accept)).into_iter().collect();
        let answer = http.request(Method::GET, &url, &headers, "").await.expect("an answer");
        assert_eq!(answer.headers["content-type"], content_type, "{accept:?}");
        assert_eq!(answer.text().ends_with("# EOF\n"), has_end, "{accept:?}");
        assert!(answer.text().contains("\ntributary_events_filtered_total 0\n"), "{accept:?}");
    }
}

#[tokio::test]
async fn metrics_pass_promlint_before_and_after_traffic_and_no_series_appears() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let before = sidecar.metrics().await;
    promlint::assert_clean(&before);
    aws.faults([Fault { count: Some(1), ..puts(error("SlowDown")) }]);
    send_traffic(&sidecar).await;
    let after = sidecar.metrics().await;
    promlint::assert_clean(&after);
    assert_eq!(
        series_names(&after),
        series_names(&before),
        "rate() does not see the first increase of a series that appears"
    );
    assert_eq!(sidecar.metric("upload_errors_total{code=\"Throttled\"}").await, 1.0);
}

/// Its body is never read, since it is unclear where it ends.
#[tokio::test]
async fn a_request_with_an_ambiguous_transfer_encoding_is_counted() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    let mut raw = RawConnection::connect(sidecar.events).await;
    raw.write("POST /v1/track HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 400);
    assert_eq!(sidecar.metric("requests_total{path=\"/v1/track\",status=\"400\"}").await, 1.0);
}

#[tokio::test]
async fn the_reference_lists_every_metric_and_no_other() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    let page = include_str!("../../../docs/metrics.md");
    // A metric's table row starts with its name.
    let documented = |heading: &str| -> BTreeSet<&str> {
        let section = page.split("\n## ").find(|section| section.starts_with(heading)).expect("the section");
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect()
    };
    assert_eq!(documented("The sidecar's metrics"), metric_names(&sidecar.metrics().await));
    let operator = Metrics::new();
    // These families have no series until they have counted something or a function is known.
    operator.api_request(ApiRequest { verb: "get", kind: "Deployment" });
    let (r#type, status, reason) = (ConditionType::Ready, ConditionStatus::True, Reason::Ok);
    operator
        .function(&FunctionRef::new("shop", "orders"), &[Finding { r#type, status, reason, message: String::new() }]);
    assert_eq!(documented("The operator's metrics"), metric_names(&operator.encode(Format::Text)));
}
