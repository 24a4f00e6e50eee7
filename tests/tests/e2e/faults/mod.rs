//! Tests every fault of a function: conditions and an Event report it within seconds, and once it is fixed the function
//! becomes ready again by itself.

mod bucket;
mod ingest;
mod platform;
mod role;
mod serving;
mod sidecar;

use std::time::Duration;

use serde_json::json;
use tributary_tests::event::signature;
use tributary_tests::kubernetes::{Tenant, condition, kstatus, within};

/// How soon a fault is reported: an unschedulable pod is one after 15 s, the others sooner.
const REPORT_TIMEOUT: Duration = Duration::from_secs(20);
/// How soon a function is ready again after its fault is fixed, while events come in.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// The same where the kubelet has to update a mounted Secret.
const SECRET_SYNC_TIMEOUT: Duration = Duration::from_secs(120);
/// The credentials that every event is sent with, whether or not its function requires them.
const WRITE_KEY: &str = "a-key";
const SIGNING_SECRET: &str = "s3cret";
/// The interval of events.
const EVENT_INTERVAL: Duration = Duration::from_millis(500);

/// Asserts that a condition is False with this reason and a message with these parts, that Ready has the same reason
/// and message, and that there is an Event. Events are sent meanwhile, and must be refused at the end.
async fn assert_reported(tenant: &Tenant, name: &str, r#type: &str, reason: &str, parts: &[&str]) {
    assert_reported_with_status(tenant, name, (r#type, "False"), reason, parts).await;
}

/// As [`assert_reported`], for a condition with another status.
async fn assert_reported_with_status(
    tenant: &Tenant,
    name: &str,
    (r#type, status): (&str, &str),
    reason: &str,
    parts: &[&str],
) {
    let begun = std::time::Instant::now();
    let traffic = async {
        loop {
            send(tenant, name).await;
            tokio::time::sleep(EVENT_INTERVAL).await;
        }
    };
    let mut last = Vec::new();
    let wanted = format!("{type} of {name} is {reason}");
    let reported = within(REPORT_TIMEOUT * 4, &wanted, async || {
        let function = tenant.functions().get(name).await.ok()?;
        last = function.status.iter().flat_map(|status| status.conditions.clone()).collect();
        let reported =
            condition(&function, r#type).filter(|reported| reported.reason == reason && reported.status == status)?;
        let ready = condition(&function, "Ready").filter(|ready| ready.reason == reason)?;
        Some((reported, ready))
    });
    let (reported, ready) = tokio::select! {
        reported = reported => reported,
        () = traffic => unreachable!("it never ends"),
    };
    for part in parts {
        assert!(reported.message.contains(part), "{part:?} is not in {:?}", reported.message);
    }
    assert!(!reported.message.contains(&tenant.external_id(name)), "the external ID is shown: {}", reported.message);
    assert_eq!((ready.status.as_str(), ready.message.as_str()), (status, reported.message.as_str()));
    tenant.wait_event(name, reason).await;
    let time = begun.elapsed();
    println!("{name}: {reason} after {:.1} s", time.as_secs_f32());
    assert!(time < REPORT_TIMEOUT, "it took {time:?}");
    // A sidecar in a crash loop accepts events for short moments.
    if status == "False" && reason != "CrashLoop" {
        // A sidecar that is shut down accepts events for some more seconds, until clients learn of it.
        let refused = format!("{name}, whose Ready is False, stores no events");
        within(REPORT_TIMEOUT, &refused, async || (!send(tenant, name).await).then_some(())).await;
    }
}

/// Waits until events are stored again and the function is ready.
async fn wait_recovered(tenant: &Tenant, name: &str, time: Duration) {
    let begun = std::time::Instant::now();
    within(time, &format!("{name} has recovered"), async || {
        if !send(tenant, name).await {
            tokio::time::sleep(EVENT_INTERVAL).await;
            return None;
        }
        let function = tenant.functions().get(name).await.ok()?;
        let observed = |r#type| {
            let observed = condition(&function, r#type)?;
            Some(observed.status == "True" && observed.observed_generation == function.metadata.generation)
        };
        (observed("Ready")? && observed("UpToDate")? && kstatus(&function) == "Current").then_some(())
    })
    .await;
    println!("{name}: recovered after {:.1} s", begun.elapsed().as_secs_f32());
}

/// As [`wait_recovered`], and asserts that no pod was replaced or restarted.
async fn wait_recovered_without_restart(tenant: &Tenant, name: &str, time: Duration) {
    let pods = async || {
        let restarts = |pod: &k8s_openapi::api::core::v1::Pod| {
            let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?.restart_count;
            Some((pod.metadata.uid.clone()?, status))
        };
        tenant.pods(name).await.iter().filter_map(restarts).collect::<Vec<_>>()
    };
    let before = pods().await;
    wait_recovered(tenant, name, time).await;
    assert_eq!(pods().await, before, "something was restarted");
}

/// Asserts the function's kstatus.
async fn assert_kstatus(tenant: &Tenant, name: &str, expected: &str) {
    let function = tenant.functions().get(name).await.expect("a function");
    assert_eq!(kstatus(&function), expected, "{:?}", function.status);
}

/// Sends an event; true if it was stored.
async fn send(tenant: &Tenant, name: &str) -> bool {
    let body = json!({"type": "track", "userId": "u", "event": "Order Completed", "writeKey": WRITE_KEY}).to_string();
    tenant.post(name, "/", &[("x-signature", &signature(SIGNING_SECRET, &body))], body).await.0 == 200
}
