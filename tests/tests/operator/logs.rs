//! Tests what the operator logs.

use serde_json::{Value, json};
use tributary_tests::kubernetes::eventually;
use tributary_tests::wait::DEFAULT_TIMEOUT;

use crate::scene::Fixture;

#[tokio::test]
async fn a_debug_log_has_a_line_per_reconcile() {
    let fixture = Fixture::new("debug").await;
    let mut setup = fixture.operator();
    setup.flags.extend(["--log-level", "debug"]);
    let operator = setup.start().await;
    operator.wait_leading(DEFAULT_TIMEOUT).await;
    fixture.apply_and_wait("orders", &json!({})).await;
    let line = eventually("the first reconcile is logged", async || {
        let output = operator.output();
        let mut lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["message"] == "reconciled")
    })
    .await;
    assert_eq!(line["level"], "DEBUG");
    assert_eq!(line["function"], format!("{}/orders", fixture.namespace.name));
    let written = line["written"].as_str().expect("a text");
    assert!(written.starts_with("created ConfigMap orders-"), "{written}");
    assert!(written.ends_with(", created Deployment orders, the status"), "{written}");
    assert!(line["elapsed"].as_str().is_some_and(|time| time.ends_with('s')), "{line}");
}
