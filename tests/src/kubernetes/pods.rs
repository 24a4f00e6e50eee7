//! Runs pods that comply with the `restricted` Pod Security Standard, such as a pod that sends events.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams, PostParams};
use serde_json::{Value, json};

use super::{Kubernetes, eventually, within};

/// A restricted pod spec with one container; `fields` are added to the container.
///
/// # Panics
/// If `fields` is not an object.
pub fn restricted_pod_spec(name: &str, image: &str, fields: Value, volumes: &Value) -> Value {
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
    let Value::Object(fields) = fields else { panic!("not an object: {fields}") };
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

/// A pod that sends events to a function, and then exits.
pub struct Sender {
    pods: Api<Pod>,
    name: String,
}

/// The result of a sender.
#[derive(Clone, Debug)]
pub struct SendReport {
    /// How many events it sent.
    pub sent: u64,
    /// How many of them were answered 200.
    pub stored: u64,
    /// Its whole log.
    pub log: String,
}

impl Sender {
    /// Starts `tributary send` with these arguments in a pod, and waits until the pod has left `Pending`. `volumes` are
    /// mounted in `/mnt`, each in a folder of its name.
    ///
    /// # Panics
    /// If the pod can't be created or does not start within 60 s.
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
        let mut spec = restricted_pod_spec("send", image, json!({"args": arguments, "volumeMounts": mounts}), volumes);
        spec["restartPolicy"] = json!("Never");
        let name = format!("send-{:08x}", fastrand::u32(..));
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
        let pods: Api<Pod> = cluster.api(namespace);
        let pod = serde_json::from_value(pod).expect("a pod");
        pods.create(&PostParams::default(), &pod).await.expect("a pod");
        let sender = Self { pods, name };
        eventually("the sender has started", async || {
            let phase = sender.phase().await?;
            (phase != "Pending").then_some(())
        })
        .await;
        sender
    }

    async fn phase(&self) -> Option<String> {
        self.pods.get(&self.name).await.ok()?.status?.phase
    }

    /// Whether the pod is still running.
    pub async fn is_running(&self) -> bool {
        self.phase().await.as_deref() == Some("Running")
    }

    /// Waits until the pod has exited, and returns what it sent.
    ///
    /// # Panics
    /// If it has not exited after `time`.
    pub async fn finish(self, time: Duration) -> SendReport {
        within(time, "the sender has exited", async || {
            let phase = self.phase().await?;
            matches!(phase.as_str(), "Succeeded" | "Failed").then_some(())
        })
        .await;
        let log = self.pods.logs(&self.name, &LogParams::default()).await.expect("its log");
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let summary = lines.next_back().filter(|line| line["sent"].is_u64());
        match summary {
            Some(summary) => SendReport {
                sent: summary["sent"].as_u64().unwrap_or_default(),
                stored: summary["answers"]["200"].as_u64().unwrap_or_default(),
                log,
            },
            // Of a single event, `tributary send` prints the answer and no summary.
            None => SendReport { sent: 1, stored: u64::from(log.contains("200 {\"success\":true}")), log },
        }
    }
}

impl SendReport {
    /// Asserts that every event was answered 200.
    ///
    /// # Panics
    /// If not.
    pub fn assert_all_stored(&self) {
        assert!(self.sent > 0 && self.sent == self.stored, "{}", self.log);
    }
}
