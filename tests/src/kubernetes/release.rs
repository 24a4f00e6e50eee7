//! The chart, installed by Helm.

use serde_json::{Value, json};

use super::cloud::ENDPOINT;
use super::tools::helm_with;

/// The release's namespace.
pub const SYSTEM: &str = "tributary-system";

/// Where the images are: `TEST_IMAGE_REGISTRY`, `TEST_IMAGE_TAG` and `TEST_IMAGE_NEXT_TAG`, which
/// `tests/run` sets.
#[derive(Clone, Debug)]
pub struct Images {
    /// What their names begin with.
    pub registry: String,
    /// What they end with.
    pub tag: String,
    /// What those of the next version end with.
    pub next_tag: String,
}

impl Images {
    /// The images that tests run.
    ///
    /// # Panics
    /// If they are not named.
    pub fn of_tests() -> Self {
        let named = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run tests/run e2e"));
        Self {
            registry: named("TEST_IMAGE_REGISTRY"),
            tag: named("TEST_IMAGE_TAG"),
            next_tag: named("TEST_IMAGE_NEXT_TAG"),
        }
    }

    /// The tool's.
    pub fn tool(&self) -> String {
        format!("{}/tributary:{}", self.registry, self.tag)
    }
}

/// A release, with its values.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its values.
    pub values: Value,
    /// Where its chart is.
    pub chart: String,
}

impl Release {
    /// The chart of this checkout, for a cluster whose AWS is in a pod.
    pub fn new(images: &Images) -> Self {
        let variable = |name: &str| json!({"name": name, "value": ENDPOINT});
        let values = json!({
            "image": {"registry": images.registry, "tag": images.tag},
            "operator": {"logLevel": "debug"},
            "sidecar": {
                "region": "us-west-2",
                // In place of AWS's.
                "env": [variable("AWS_ENDPOINT_URL_S3"), variable("AWS_ENDPOINT_URL_STS")],
                // Many share one node.
                "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}},
            },
            "baseIdentity": {"default": {"secret": {"name": "aws-base"}}},
        });
        Self { values, chart: "charts/tributary".to_owned() }
    }

    /// With a value, by its path: `operator.replicas`.
    #[must_use]
    pub fn with(mut self, path: &str, value: Value) -> Self {
        let place = path.split('.').fold(&mut self.values, |place, name| &mut place[name]);
        *place = value;
        self
    }

    /// Installs it, or upgrades what is there, and waits until it runs.
    ///
    /// # Panics
    /// If Helm complains.
    pub fn apply(&self) {
        self.run(&["upgrade", "--install", "tributary", &self.chart, "--wait", "--timeout", "120s"]);
    }

    /// The same, without waiting.
    ///
    /// # Panics
    /// If Helm complains.
    pub fn apply_at_once(&self) {
        self.run(&["upgrade", "--install", "tributary", &self.chart]);
    }

    fn run(&self, arguments: &[&str]) {
        let more = ["--namespace", SYSTEM, "--create-namespace", "--values", "-"];
        let said = helm_with(&[arguments, &more].concat(), &self.values.to_string());
        said.unwrap_or_else(|says| panic!("{says}"));
    }
}
