//! Serves the admin port: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use hyper::{Request, StatusCode};
use tokio::net::TcpListener;
use tributary_runtime::admin_port::{Answer, TEXT, answer, health_answer, serve as serve_port};
use tributary_runtime::exposition::Format;

use crate::metrics::Metrics;
use crate::process::health::Health;

/// Answers requests for as long as it is polled: `/healthz` and `/readyz` with 200 or, with the reason, 503.
pub async fn serve(listener: TcpListener, health: Arc<Health>, metrics: Arc<Metrics>) {
    serve_port(listener, move |request| std::future::ready(respond(&request, &health, &metrics))).await;
}

fn respond<B>(request: &Request<B>, health: &Health, metrics: &Metrics) -> Answer {
    match request.uri().path() {
        "/healthz" => health_answer(health.alive()),
        "/readyz" => health_answer(health.ready()),
        "/metrics" => {
            let format = Format::accepted(request.headers());
            answer(StatusCode::OK, format.content_type(), metrics.encode(format))
        }
        _ => answer(StatusCode::NOT_FOUND, TEXT, "not found; this port serves /healthz, /readyz and /metrics\n"),
    }
}
