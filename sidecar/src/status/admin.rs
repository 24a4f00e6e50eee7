//! Serves the admin port: `/healthz`, `/readyz`, `/metrics`, `/status`.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{HeaderMap, Request, StatusCode};
use tokio::sync::watch;
use tributary_crds::conditions::{SessionTimes, SidecarCondition, SidecarStatus};
use tributary_crds::function::LogLevel;
use tributary_crds::sidecar_config::LOG_LEVEL_HEADER;
use tributary_runtime::admin_port::{Answer, JSON, TEXT, answer, health_answer};
use tributary_runtime::exposition::Format;

use super::conditions::Conditions;
use super::metrics::Metrics;
use super::readiness::Readiness;

/// The sources of the admin port's answers. `generation` and `config_hash` are those of the configuration.
pub(crate) struct Admin {
    pub(crate) generation: i64,
    pub(crate) config_hash: String,
    pub(crate) conditions: Arc<Conditions>,
    pub(crate) metrics: Arc<Metrics>,
    /// Returns when the session expires and is to be renewed; `None` without one.
    pub(crate) session_times: Box<dyn Fn() -> Option<SessionTimes> + Send + Sync>,
    pub(crate) readiness: Arc<Readiness>,
    /// The requested log level, passed on to [`log_level`](crate::log_level).
    pub(crate) log_level: watch::Sender<LogLevel>,
}

impl Admin {
    /// Answers one request. The method is ignored.
    pub(crate) fn handle(&self, request: &Request<Incoming>) -> Answer {
        match request.uri().path() {
            "/healthz" => health_answer(Ok(())),
            "/readyz" => health_answer(self.readiness()),
            "/metrics" => {
                let format = Format::accepted(request.headers());
                answer(StatusCode::OK, format.content_type(), self.metrics.encode(format))
            }
            "/status" => {
                self.apply_log_level(request.headers());
                self.status()
            }
            _ => {
                let paths = "not found; this port serves /healthz, /readyz, /metrics and /status\n";
                answer(StatusCode::NOT_FOUND, TEXT, paths)
            }
        }
    }

    /// Passes on the log level in the request's header, if there is a valid one.
    fn apply_log_level(&self, headers: &HeaderMap) {
        let level = headers.get(LOG_LEVEL_HEADER).and_then(|value| LogLevel::parse(value.to_str().ok()?));
        if let Some(level) = level {
            self.log_level.send_replace(level);
        }
    }

    /// Whether clients should be routed to this sidecar, or the reason why not.
    fn readiness(&self) -> Result<(), String> {
        if self.readiness.is_ending() {
            Err("ending".to_owned())
        } else if self.readiness.has_begun() {
            Ok(())
        } else {
            Err(self.not_ready_reason())
        }
    }

    /// Why the sidecar is not ready yet: the first condition that is `False`, if there is one.
    fn not_ready_reason(&self) -> String {
        let conditions = self.conditions.snapshot();
        match conditions.iter().find(|condition| condition.is_fault()) {
            Some(SidecarCondition { r#type, reason, message, .. }) => format!("{type} {reason}: {message}"),
            None => "starting: the role is not assumed yet, or the bucket is not checked yet".to_owned(),
        }
    }

    /// Answers `/status` with a [`SidecarStatus`] in JSON.
    fn status(&self) -> Answer {
        let conditions = self.conditions.snapshot();
        let wrong = conditions.iter().find(|condition| condition.is_fault());
        let status = SidecarStatus {
            generation: self.generation,
            config_hash: self.config_hash.clone(),
            last_error: wrong.map(|condition| condition.message.clone()),
            conditions,
            session: (self.session_times)(),
            in_flight: self.metrics.in_flight(),
        };
        // A `SidecarStatus` can always be serialized.
        let text = serde_json::to_string_pretty(&status).unwrap_or_default();
        answer(StatusCode::OK, JSON, text + "\n")
    }
}
