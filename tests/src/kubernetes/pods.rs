//! Pods of the tests' own, which namespaces take that take restricted pods only.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams, PostParams};
use serde_json::{Value, json};

use super::{Kubernetes, eventually, within};

/// A pod's spec: one container, with these fields besides the usual.
///
/// # Panics
/// If they are no fields.
pub fn restricted(name: &str, image: &str, fields: Value, volumes: &Value) -> Value {
    let mut container = json!({
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
    });
    let Value::Object(fields) = fields else { panic!("no fields: {fields}") };
    container.as_object_mut().expect("an object").extend(fields);
    json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    })
}

/// A pod that sends events to a function, and then ends.
pub struct Sender {
    pods: Api<Pod>,
    name: String,
}

/// What a sender says in the end.
#[derive(Clone, Debug)]
pub struct Sent {
    /// How many events it sent.
    pub sent: u64,
    /// How many were answered 200.
    pub stored: u64,
    /// All that it said.
    pub said: String,
}

impl Sender {
    /// Starts `tributary send` with these arguments in a namespace; `volumes` are mounted below `/mnt`,
    /// each under its name.
    ///
    /// # Panics
    /// If it can't be started.
    pub async fn start(
        cluster: &Kubernetes,
        namespace: &str,
        image: &str,
        arguments: &[&str],
        volumes: &Value,
    ) -> Self {
        let mounts: Vec<_> = volumes
            .as_array()
            .expect("volumes")
            .iter()
            .map(|volume| json!({"name": volume["name"], "mountPath": format!("/mnt/{}", volume["name"].as_str().unwrap_or_default())}))
            .collect();
        let arguments: Vec<_> = ["send"].iter().chain(arguments).collect();
        let mut spec = restricted("send", image, json!({"args": arguments, "volumeMounts": mounts}), volumes);
        spec["restartPolicy"] = json!("Never");
        let name = format!("send-{:08x}", fastrand::u32(..));
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
        let pods: Api<Pod> = cluster.api(namespace);
        let pod = serde_json::from_value(pod).expect("a pod");
        pods.create(&PostParams::default(), &pod).await.expect("a pod");
        let sender = Self { pods, name };
        eventually("the sender sends", async || {
            let phase = sender.phase().await?;
            (phase != "Pending").then_some(())
        })
        .await;
        sender
    }

    async fn phase(&self) -> Option<String> {
        self.pods.get(&self.name).await.ok()?.status?.phase
    }

    /// Whether it still sends.
    pub async fn is_at_work(&self) -> bool {
        self.phase().await.as_deref() == Some("Running")
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn finish(self, time: Duration) -> Sent {
        within(time, "the sender has ended", async || {
            let phase = self.phase().await?;
            matches!(phase.as_str(), "Succeeded" | "Failed").then_some(())
        })
        .await;
        let said = self.pods.logs(&self.name, &LogParams::default()).await.expect("its log");
        let mut lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let summary = lines.next_back().filter(|line| line["sent"].is_u64());
        match summary {
            Some(summary) => Sent {
                sent: summary["sent"].as_u64().unwrap_or_default(),
                stored: summary["answers"]["200"].as_u64().unwrap_or_default(),
                said,
            },
            // Of one event, the answer is shown.
            None => Sent { sent: 1, stored: u64::from(said.contains("200 {\"success\":true}")), said },
        }
    }
}

impl Sent {
    /// Every event was answered 200, at once.
    ///
    /// # Panics
    /// If not.
    pub fn assert_all_stored(&self) {
        assert!(self.sent > 0 && self.sent == self.stored, "{}", self.said);
    }
}
