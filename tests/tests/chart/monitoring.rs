//! Tests that alerts and the dashboard query existing metrics, and that the docs describe every alert.

use std::collections::BTreeSet;
use std::path::Path;

use regex_lite::Regex;
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
use tributary_tests::{Function, start_ready};

use crate::chart::render;

/// Not a metric, but the pod label with the function's name.
const FUNCTION_LABEL: &str = "tributary_dev_function";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_in_alerts_and_the_dashboard_exists() {
    let (aws, sidecar) = start_ready(Function::default()).await;
    // A metric family appears only once it has counted something.
    aws.faults([Fault { count: Some(1), ..puts(error("SlowDown")) }]);
    assert_eq!(sidecar.send("/v1/track", &track(1)).await.status, 200);
    assert_eq!(sidecar.send("/v1/track", &json!({})).await.status, 400);
    let operator = Metrics::new();
    let ready = Finding {
        r#type: ConditionType::Ready,
        status: ConditionStatus::True,
        reason: Reason::Ok,
        message: String::new(),
    };
    operator.function(&FunctionRef::new("shop", "orders"), &[ready]);
    operator.api_request(ApiRequest { verb: "get", kind: "Deployment" });
    let counted = sidecar.metrics().await + &operator.encode(Format::Text);
    let families: BTreeSet<_> = counted
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .flat_map(|(name, kind)| match kind {
            "histogram" => ["bucket", "count", "sum"].map(|suffix| format!("{name}_{suffix}")).into(),
            _ => vec![name.to_owned()],
        })
        .collect();

    let rendered = render("monitoring", &[]);
    let names = Regex::new("tributary_[a-z_]+").expect("an expression");
    let queries = rendered.lines().filter(|line| line.contains("expr"));
    let asked: BTreeSet<_> = queries
        .flat_map(|line| names.find_iter(line))
        .map(|name| name.as_str())
        .filter(|name| *name != FUNCTION_LABEL)
        .collect();
    assert!(asked.len() >= 8, "{asked:?}");
    let unknown: Vec<_> = asked.iter().filter(|name| !families.contains(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not among {families:?}");
}

#[test]
fn the_reference_lists_every_alert_and_no_other() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let reference = std::fs::read_to_string(reference).expect("the reference");
    let alerts = Regex::new("Tributary[A-Z][A-Za-z]+").expect("an expression");
    let named = |text: &str| alerts.find_iter(text).map(|name| name.as_str().to_owned()).collect::<BTreeSet<_>>();
    let rendered = render("monitoring", &[]);
    let rules: Vec<_> = rendered.lines().filter(|line| line.contains("alert:")).collect();
    assert_eq!(named(&rules.join("\n")), named(&reference));
}

#[test]
fn every_alert_links_to_its_section_of_the_runbook() {
    let runbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbook.md");
    let runbook = std::fs::read_to_string(runbook).expect("the runbook");
    let sections: BTreeSet<_> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let rendered = render("monitoring", &[]);
    let of = |field: &str| {
        let lines = rendered.lines().filter_map(|line| line.split_once(field));
        lines.map(|(_, value)| value.trim().to_owned()).collect::<Vec<_>>()
    };
    let (alerts, links) = (of("alert:"), of("runbook_url:"));
    let expected: Vec<_> = alerts.iter().map(|alert| format!("docs/runbook.md#{}", alert.to_lowercase())).collect();
    assert_eq!(links, expected);
    assert_eq!(sections, alerts.iter().map(String::as_str).collect());
}

/// States that the owner has requested need no attention.
#[test]
fn no_alert_fires_for_requested_states() {
    let rendered = render("monitoring", &[]);
    let reasons = Regex::new("reason!~\"([A-Za-z|]+)\"").expect("an expression");
    let conditions = rendered.lines().filter(|line| line.contains("tributary_function_condition{"));
    let but: Vec<_> = conditions.map(|line| reasons.captures(line).map(|found| found[1].to_owned())).collect();
    let but: Vec<_> = but.iter().map(Option::as_deref).collect();
    assert_eq!(but, [Some("Paused|NoReplicas"), None, Some("Paused|RolloutWaiting|RolloutHalted")]);
}
