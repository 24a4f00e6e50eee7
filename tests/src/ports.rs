//! The two ports of a sidecar, and an HTTP client for them.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason, SidecarCondition, SidecarStatus};
use tributary_crds::sidecar_config::LOG_LEVEL_HEADER;

use crate::http::{Answer, Http};
use crate::wait::{DEFAULT_TIMEOUT, until};

/// The addresses of a sidecar, and an HTTP client for them.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Where it accepts events.
    pub events: SocketAddr,
    /// Its admin port: probes, metrics and `/status`.
    pub admin: SocketAddr,
    http: Http,
}

impl Ports {
    /// The ports of a sidecar that listens there.
    pub fn new(events: SocketAddr, admin: SocketAddr) -> Self {
        Self { events, admin, http: Http::new() }
    }

    /// Posts a JSON body.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(&self, path: &str, body: &Value) -> Answer {
        self.try_send(path, body).await.expect("an answer")
    }

    /// Posts a JSON body.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn try_send(&self, path: &str, body: &Value) -> Result<Answer, String> {
        self.request(Method::POST, path, &[], body.to_string()).await
    }

    /// Posts a body with headers.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> Answer {
        self.request(Method::POST, path, headers, body).await.expect("an answer")
    }

    /// Sends any request to the port for events.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Result<Answer, String> {
        self.http.request(method, &format!("http://{}{path}", self.events), headers, body).await
    }

    /// Sends a GET request to the admin port.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn try_get_admin(&self, path: &str) -> Result<Answer, String> {
        self.http.request(Method::GET, &format!("http://{}{path}", self.admin), &[], "").await
    }

    /// Sends a GET request to the admin port.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn get_admin(&self, path: &str) -> Answer {
        self.try_get_admin(path).await.expect("an answer")
    }

    /// Gets `/status` as the operator does for a function with this `logLevel`.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn get_status_with_log_level(&self, level: &str) -> Answer {
        let url = format!("http://{}/status", self.admin);
        self.http.request(Method::GET, &url, &[(LOG_LEVEL_HEADER, level)], "").await.expect("an answer")
    }

    /// Gets and parses `/status`.
    ///
    /// # Panics
    /// If there is no answer, or it is no status.
    pub async fn status(&self) -> SidecarStatus {
        let answer = self.get_admin("/status").await;
        serde_json::from_slice(&answer.body).expect("a status")
    }

    /// Gets one condition of `/status`.
    ///
    /// # Panics
    /// If the condition is missing.
    pub async fn condition(&self, r#type: ConditionType) -> SidecarCondition {
        let status = self.status().await;
        status.conditions.into_iter().find(|condition| condition.r#type == r#type).expect("the condition in /status")
    }

    /// Waits until a condition has this status and reason.
    ///
    /// # Panics
    /// If it does not within `within`.
    pub async fn wait_condition(
        &self,
        r#type: ConditionType,
        status: ConditionStatus,
        reason: Reason,
        within: Duration,
    ) -> SidecarCondition {
        until(&format!("{type} is {status:?} for {reason}"), within, async || {
            let condition = self.condition(r#type).await;
            (condition.status == status && condition.reason == reason).then_some(condition)
        })
        .await
    }

    /// Waits until `/readyz` is 200.
    ///
    /// # Panics
    /// If it is not within [`DEFAULT_TIMEOUT`].
    pub async fn wait_ready(&self) {
        until("/readyz is 200", DEFAULT_TIMEOUT, async || {
            (self.get_admin("/readyz").await.status == 200).then_some(())
        })
        .await;
    }

    /// Gets `/metrics` in the text format.
    pub async fn metrics(&self) -> String {
        self.get_admin("/metrics").await.text()
    }

    /// The value of a series without its `tributary_` prefix, such as `events_stored_total{type="track"}`; 0 if there
    /// is none.
    ///
    /// # Panics
    /// If the value is not a number.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.metrics().await;
        let series = format!("tributary_{series} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }
}
