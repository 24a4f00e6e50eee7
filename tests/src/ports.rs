//! A sidecar from outside: its two ports.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tributary_crds::conditions::{ConditionType, Reason, SidecarCondition, SidecarStatus, Truth};
use tributary_crds::sidecar_config::LOG_LEVEL_HEADER;

use crate::http::{Answer, Http};
use crate::wait::{SOON, until};

/// Where a sidecar listens, and a client for it.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Where it takes events.
    pub events: SocketAddr,
    /// Where the platform asks.
    pub admin: SocketAddr,
    http: Http,
}

impl Ports {
    /// The ports of a sidecar.
    pub fn new(events: SocketAddr, admin: SocketAddr) -> Self {
        Self { events, admin, http: Http::new() }
    }

    /// Posts a body.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(&self, path: &str, body: &Value) -> Answer {
        self.try_send(path, body).await.expect("an answer")
    }

    /// Posts a body; an error is no answer.
    ///
    /// # Errors
    /// When there was none.
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

    /// Sends any request to where events are taken.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Result<Answer, String> {
        self.http.request(method, &format!("http://{}{path}", self.events), headers, body).await
    }

    /// Asks as the platform does.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn try_ask(&self, path: &str) -> Result<Answer, String> {
        self.http.request(Method::GET, &format!("http://{}{path}", self.admin), &[], "").await
    }

    /// Asks as the platform does.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn ask(&self, path: &str) -> Answer {
        self.try_ask(path).await.expect("an answer")
    }

    /// Asks for `/status` as the operator does for a function that wants this much logged.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn ask_with_log_level(&self, level: &str) -> Answer {
        let url = format!("http://{}/status", self.admin);
        self.http.request(Method::GET, &url, &[(LOG_LEVEL_HEADER, level)], "").await.expect("an answer")
    }

    /// `/status`.
    ///
    /// # Panics
    /// If it is none.
    pub async fn status(&self) -> SidecarStatus {
        let answer = self.ask("/status").await;
        serde_json::from_slice(&answer.body).expect("a status")
    }

    /// One condition.
    ///
    /// # Panics
    /// If it isn't there.
    pub async fn condition(&self, r#type: ConditionType) -> SidecarCondition {
        let status = self.status().await;
        status.conditions.into_iter().find(|condition| condition.r#type == r#type).expect("every condition")
    }

    /// Waits until a condition is as said.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn wait_condition(
        &self,
        r#type: ConditionType,
        status: Truth,
        reason: Reason,
        within: Duration,
    ) -> SidecarCondition {
        until(&format!("{type} is {status:?} for {reason}"), within, async || {
            let condition = self.condition(r#type).await;
            (condition.status == status && condition.reason == reason).then_some(condition)
        })
        .await
    }

    /// Waits until the sidecar may be sent events.
    ///
    /// # Panics
    /// If that takes long.
    pub async fn wait_ready(&self) {
        until("/readyz is 200", SOON, async || (self.ask("/readyz").await.status == 200).then_some(())).await;
    }

    /// `/metrics`, as text.
    pub async fn metrics(&self) -> String {
        self.ask("/metrics").await.text()
    }

    /// The value of a series, as `events_stored_total{type="track"}`; zero if there is none yet.
    ///
    /// # Panics
    /// If the value is no number.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.metrics().await;
        let series = format!("tributary_{series} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }
}
