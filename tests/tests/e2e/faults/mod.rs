//! Everything that can go wrong with a function, made to go wrong: the conditions say it within
//! seconds, with an Event, and once it is mended the function is ready again with nothing done to it.

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

/// How soon a fault is said.
const SAID: Duration = Duration::from_secs(15);
/// How soon a function is ready again once its fault is mended, while events come in.
const MENDED: Duration = Duration::from_secs(30);
/// The same, where the kubelet has to bring a Secret's value.
const BROUGHT: Duration = Duration::from_secs(120);
/// What a function may demand of events, and what all of them come with.
const WRITE_KEY: &str = "a-key";
const SIGNING_SECRET: &str = "s3cret";
/// Between two events.
const EVERY: Duration = Duration::from_millis(500);

/// The condition is False with this reason and a sentence that has these parts, Ready says the same,
/// and there is an Event of it. Events come in meanwhile.
async fn says(tenant: &Tenant, name: &str, r#type: &str, reason: &str, parts: &[&str]) {
    says_so(tenant, name, (r#type, "False"), reason, parts).await;
}

/// The same of a condition that need not be False, but Unknown.
async fn says_so(tenant: &Tenant, name: &str, (r#type, status): (&str, &str), reason: &str, parts: &[&str]) {
    let begun = std::time::Instant::now();
    let traffic = async {
        loop {
            send(tenant, name).await;
            tokio::time::sleep(EVERY).await;
        }
    };
    let mut last = Vec::new();
    let wanted = format!("{type} of {name} is {reason}");
    let said = within(SAID * 4, &wanted, async || {
        let function = tenant.functions().get(name).await.ok()?;
        last = function.status.iter().flat_map(|status| status.conditions.clone()).collect();
        let said = condition(&function, r#type).filter(|said| said.reason == reason && said.status == status)?;
        let ready = condition(&function, "Ready").filter(|ready| ready.reason == reason)?;
        Some((said, ready))
    });
    let (said, ready) = tokio::select! {
        said = said => said,
        () = traffic => unreachable!("it never ends"),
    };
    for part in parts {
        assert!(said.message.contains(part), "{part:?} is not in {:?}", said.message);
    }
    assert!(!said.message.contains(&tenant.external_id(name)), "the external ID is shown: {}", said.message);
    assert_eq!((ready.status.as_str(), ready.message.as_str()), (status, said.message.as_str()));
    within(SAID, &format!("there is an Event {reason} of {name}"), async || {
        tenant.has_event(name, reason).await.then_some(())
    })
    .await;
    let time = begun.elapsed();
    println!("{name}: {reason} after {:.1} s", time.as_secs_f32());
    assert!(time < SAID, "it took {time:?}");
    // One that is started again and again takes events for moments.
    if status == "False" && reason != "CrashLoop" {
        // A sidecar that ends goes on for some seconds: clients learn only then that they are to send elsewhere.
        let refused = format!("{name}, whose Ready is False, stores no events");
        within(SAID, &refused, async || (!send(tenant, name).await).then_some(())).await;
    }
}

/// Events are stored again, and the function is ready.
async fn mends(tenant: &Tenant, name: &str, time: Duration) {
    let begun = std::time::Instant::now();
    within(time, &format!("{name} is mended"), async || {
        if !send(tenant, name).await {
            tokio::time::sleep(EVERY).await;
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
    println!("{name}: mended after {:.1} s", begun.elapsed().as_secs_f32());
}

/// The same, by the pods that there were before.
async fn mends_by_itself(tenant: &Tenant, name: &str, time: Duration) {
    let pods = async || {
        let restarts = |pod: &k8s_openapi::api::core::v1::Pod| {
            let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?.restart_count;
            Some((pod.metadata.uid.clone()?, status))
        };
        tenant.pods(name).await.iter().filter_map(restarts).collect::<Vec<_>>()
    };
    let before = pods().await;
    mends(tenant, name, time).await;
    assert_eq!(pods().await, before, "something was restarted");
}

/// What kstatus makes of the function.
async fn assert_judged(tenant: &Tenant, name: &str, expected: &str) {
    let function = tenant.functions().get(name).await.expect("a function");
    assert_eq!(kstatus(&function), expected, "{:?}", function.status);
}

/// Whether an event was stored.
async fn send(tenant: &Tenant, name: &str) -> bool {
    let body = json!({"type": "track", "userId": "u", "event": "Order Completed", "writeKey": WRITE_KEY}).to_string();
    tenant.post(name, "/", &[("x-signature", &signature(SIGNING_SECRET, &body))], body).await.0 == 200
}
