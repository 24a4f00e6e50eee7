//! Objects of others that have the name of a child.

use super::*;

/// The kinds of children that have the function's name, with the paths of their APIs.
const NAMED: [(&str, &str); 5] = [
    ("serviceaccounts", "/api/v1"),
    ("services", "/api/v1"),
    ("networkpolicies", "/apis/networking.k8s.io/v1"),
    ("poddisruptionbudgets", "/apis/policy/v1"),
    ("deployments", "/apis/apps/v1"),
];

#[tokio::test]
async fn a_function_with_a_name_clash_creates_nothing_until_the_name_is_free() {
    for (plural, api) in NAMED {
        let mut scene = Scene::new(&json!({"replicas": 2}));
        scene.restart(&json!({"networkPolicy": {"enabled": true}}));
        let path = format!("{api}{NAMESPACE}/{plural}/orders");
        scene.server.put(&path, json!({"metadata": {"name": "orders", "namespace": "shop", "uid": "theirs"}}));
        // The watch does not select it.
        scene.caches.relist(|listed| if listed == plural { Vec::new() } else { scene.server.objects(listed) });
        let requests = scene.reconcile_with_caches().await;
        let created = but_events(requests.clone()).into_iter().filter(|request| request.starts_with("POST"));
        assert_eq!(created.collect::<Vec<_>>(), Vec::<String>::new(), "{plural}");
        assert_eq!(scene.condition("Accepted"), ("False".to_owned(), "NameClash".to_owned()), "{plural}");
        let events = scene.server.objects("events");
        let reasons: Vec<_> = events.iter().map(|event| event["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, ["NotReady", "NameClash"], "{plural}");

        scene.server.remove(&path);
        scene.reconcile().await;
        assert_eq!(scene.server.objects("deployments").len(), 1, "{plural}");
    }
}

/// Otherwise an API server that fails often would keep a function from ever getting its children.
#[tokio::test]
async fn a_retry_does_not_check_the_names_again() {
    let mut scene = Scene::new(&json!({}));
    scene.server.refuse(Method::POST, "configmaps", 503, "overloaded");
    let requests = but_events(scene.reconcile().await);
    assert_eq!(requests.iter().filter(|request| request.starts_with("GET")).count(), 3, "{requests:?}");
    scene.server.accept();
    assert_eq!(but_events(scene.reconcile().await)[0], "POST configmaps");
}

#[tokio::test]
async fn a_name_clash_of_the_disruption_budget_stops_neither_events_nor_scaling() {
    let mut scene = served().await;
    let path = format!("/apis/policy/v1{NAMESPACE}/poddisruptionbudgets/orders");
    scene.server.put(&path, json!({"metadata": {"name": "orders", "namespace": "shop", "uid": "theirs"}}));
    scene.edit_function(&json!({"replicas": 2}));
    // The watch does not select it.
    scene.caches.relist(|plural| match plural {
        "poddisruptionbudgets" => Vec::new(),
        plural => scene.server.objects(plural),
    });
    scene.reconcile_with_caches().await;
    assert_eq!(scene.deployment()["spec"]["replicas"], 2);
    assert_eq!(scene.condition("Ready"), ("True".to_owned(), "Ok".to_owned()));
    for (r#type, status) in [("Accepted", "False"), ("UpToDate", "False"), ("Stalled", "True")] {
        assert_eq!(scene.condition(r#type), (status.to_owned(), "NameClash".to_owned()), "{type}");
    }
    assert_eq!(scene.server.objects("poddisruptionbudgets")[0]["metadata"]["uid"], "theirs");
}
