//! Installs the chart with Helm.

use serde_json::{Value, json};

use super::cloud::ENDPOINT;
use super::tools::helm_with;

/// The namespace of the release.
pub const RELEASE_NAMESPACE: &str = "tributary-system";

/// The image names from `TEST_IMAGE_REGISTRY`, `TEST_IMAGE_TAG` and `TEST_IMAGE_NEXT_TAG`, which `tests/run` sets.
#[derive(Clone, Debug)]
pub struct Images {
    /// The registry and path before the image's name.
    pub registry: String,
    /// The tag of the version under test.
    pub tag: String,
    /// The tag of the next version, for upgrades.
    pub next_tag: String,
}

impl Images {
    /// The images of this test run.
    ///
    /// # Panics
    /// If the variables are not set.
    pub fn of_tests() -> Self {
        let named = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run tests/run e2e"));
        Self {
            registry: named("TEST_IMAGE_REGISTRY"),
            tag: named("TEST_IMAGE_TAG"),
            next_tag: named("TEST_IMAGE_NEXT_TAG"),
        }
    }

    /// The image of the tool `tributary`.
    pub fn tool(&self) -> String {
        format!("{}/tributary:{}", self.registry, self.tag)
    }
}

/// A Helm release with its values.
#[derive(Clone, Debug)]
pub struct Release {
    /// The values.
    pub values: Value,
    /// The path of the chart.
    pub chart: String,
}

impl Release {
    /// The chart of this checkout, with values for a cluster whose AWS is [`Cloud`](super::Cloud).
    pub fn new(images: &Images) -> Self {
        let variable = |name: &str| json!({"name": name, "value": ENDPOINT});
        let values = json!({
            "image": {"registry": images.registry, "tag": images.tag},
            "operator": {"logLevel": "debug"},
            "sidecar": {
                "region": "us-west-2",
                // In place of AWS's endpoints.
                "env": [variable("AWS_ENDPOINT_URL_S3"), variable("AWS_ENDPOINT_URL_STS")],
                // Small, because many sidecars share one node.
                "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}},
            },
            "baseIdentity": {"default": {"secret": {"name": "aws-base"}}},
        });
        Self { values, chart: "charts/tributary".to_owned() }
    }

    /// Sets a value, by its path: `operator.replicas`.
    #[must_use]
    pub fn with(mut self, path: &str, value: Value) -> Self {
        let place = path.split('.').fold(&mut self.values, |place, name| &mut place[name]);
        *place = value;
        self
    }

    /// Installs or upgrades the release, and waits until it is ready.
    ///
    /// # Panics
    /// If Helm fails.
    pub fn apply(&self) {
        self.run(&["upgrade", "--install", "tributary", &self.chart, "--wait", "--timeout", "120s"]);
    }

    /// As [`apply`](Self::apply), without waiting.
    ///
    /// # Panics
    /// If Helm fails.
    pub fn apply_without_waiting(&self) {
        self.run(&["upgrade", "--install", "tributary", &self.chart]);
    }

    fn run(&self, arguments: &[&str]) {
        let more = ["--namespace", RELEASE_NAMESPACE, "--create-namespace", "--values", "-"];
        let output = helm_with(&[arguments, &more].concat(), &self.values.to_string());
        output.unwrap_or_else(|error| panic!("{error}"));
    }
}
