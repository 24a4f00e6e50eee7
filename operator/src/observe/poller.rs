//! Polls sidecars for their `/status`, and passes them their function's log level with the request.
//!
//! Anyone who can create pods can answer a poll. So only pods in a function's owner chain are polled, answers are limited
//! in size and time, redirects are not followed, and text is made safe for terminals and for `kubectl`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::ResourceExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tributary_crds::conditions::SidecarStatus;
use tributary_crds::function::LogLevel;
use tributary_crds::sidecar_config::LOG_LEVEL_HEADER;
use tributary_runtime::errors::causes;

use super::pods::{address, is_ready};
use super::sanitize::safe;
use super::{Reports, is_of};
use crate::function::FunctionRef;
use crate::watch::{self, Caches};

/// Time between two polls of the same sidecar, varied by 10 %.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How often the poller checks which sidecars are due, including new ones.
const DUE_CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How long a poll may take, connecting included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum size of an answer, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Maximum number of concurrent polls: enough for several thousand sidecars.
const MAX_CONCURRENT_POLLS: usize = 256;

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

/// Polls the sidecars of one scope.
#[derive(Debug)]
pub struct SidecarPoller {
    caches: Caches,
    reports: Reports,
    triggers: mpsc::UnboundedSender<FunctionRef>,
    http: HttpClient,
    /// When each pod is to be polled next, by uid.
    due: HashMap<String, NextPoll>,
}

#[derive(Clone, Copy, Debug)]
struct NextPoll {
    at: Instant,
    /// Whether the pod was ready at its last poll.
    was_ready: bool,
}

/// A pod to poll.
#[derive(Debug)]
struct PollTarget {
    function: FunctionRef,
    uid: String,
    address: SocketAddr,
    is_ready: bool,
    log_level: LogLevel,
}

impl SidecarPoller {
    /// Polls the pods of `caches`, records the answers in `reports`, and sends the functions whose answers changed to
    /// `triggers`.
    pub fn new(caches: Caches, reports: Reports, triggers: mpsc::UnboundedSender<FunctionRef>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(ANSWER_TIMEOUT));
        // One connection per poll: thousands of idle connections would cost more.
        let http = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { caches, reports, triggers, http, due: HashMap::new() }
    }

    /// Polls sidecars for as long as this future runs.
    pub async fn run(mut self) {
        let mut interval = tokio::time::interval(DUE_CHECK_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut requests = JoinSet::new();
        loop {
            tokio::select! {
                _ = interval.tick() => {
                    for target in self.targets(MAX_CONCURRENT_POLLS.saturating_sub(requests.len())) {
                        let http = self.http.clone();
                        requests.spawn(async move {
                            let answer = poll(&http, target.address, target.log_level).await;
                            (target, answer)
                        });
                    }
                }
                Some(Ok((target, answer))) = requests.join_next() => {
                    if self.reports.record(&target.uid, target.is_ready, answer) {
                        // Fails only once the controller has ended.
                        let _ = self.triggers.send(target.function);
                    }
                }
            }
        }
    }

    /// At most `most` pods that are due now. Sets when each is due next, and forgets pods that are gone.
    fn targets(&mut self, most: usize) -> Vec<PollTarget> {
        let now = Instant::now();
        let pods = self.caches.pods.all();
        let mut known = HashMap::with_capacity(pods.len());
        let mut due = Vec::new();
        for (function, pod) in pods {
            let Some(uid) = pod.uid() else { continue };
            let (next, is_ready) = (self.due.get(&uid).copied(), is_ready(&pod));
            known.extend(next.map(|next| (uid.clone(), next)));
            let since = due_since(next, is_ready);
            if let Some(address) = address(&pod).filter(|_| since.is_none_or(|since| since <= now)) {
                // A pod whose owners are not cached yet gets no due time, and so is polled as soon as they are.
                let deployment = watch::get(&self.caches.deployments, &function);
                if is_of(&self.caches, &function, deployment.as_deref(), &pod) {
                    let log_level = log_level(&self.caches, &function);
                    due.push((since, PollTarget { function, uid, address, is_ready, log_level }));
                }
            }
        }
        let targets = longest_due(due, most);
        for target in &targets {
            let at = now + POLL_INTERVAL.mul_f64(0.9 + 0.2 * fastrand::f64());
            known.insert(target.uid.clone(), NextPoll { at, was_ready: target.is_ready });
        }
        self.reports.keep(|uid| known.contains_key(uid));
        self.due = known;
        targets
    }
}

/// Since when a pod is due; `None` for one that was never polled, or whose readiness has changed since its last poll: its
/// last answer says nothing about its state now.
fn due_since(next: Option<NextPoll>, is_ready: bool) -> Option<Instant> {
    next.filter(|next| next.was_ready == is_ready).map(|next| next.at)
}

/// At most `most` of the due pods: first those without a time, then the longest overdue. An overloaded poller therefore
/// still reaches every pod.
fn longest_due<T>(mut due: Vec<(Option<Instant>, T)>, most: usize) -> Vec<T> {
    due.sort_by_key(|(since, _)| *since);
    due.into_iter().take(most).map(|(_, target)| target).collect()
}

/// The function's `spec.logLevel`, or the default if the function can't be parsed.
fn log_level(caches: &Caches, function: &FunctionRef) -> LogLevel {
    let function = caches.functions.get(&function.clone().into());
    function.and_then(|function| Some(function.0.as_ref().ok()?.spec.log_level)).unwrap_or_default()
}

/// Polls one sidecar. The error is the reason why it reported no status.
async fn poll(http: &HttpClient, address: SocketAddr, log_level: LogLevel) -> Result<SidecarStatus, String> {
    let exchange = async {
        let request = Request::get(format!("http://{address}/status"))
            .header(LOG_LEVEL_HEADER, log_level.as_str())
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let response = http.request(request).await.map_err(|error| causes(&error))?;
        if response.status() != 200 {
            return Err(format!("it answered {}", response.status()));
        }
        let body =
            Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await.map_err(|error| error.to_string())?;
        parse_status(&body.to_bytes())
    };
    tokio::time::timeout(ANSWER_TIMEOUT, exchange)
        .await
        .unwrap_or_else(|_| Err(format!("no answer in {ANSWER_TIMEOUT:?}")))
}

fn parse_status(body: &[u8]) -> Result<SidecarStatus, String> {
    let mut status: SidecarStatus =
        serde_json::from_slice(body).map_err(|error| format!("its answer is not a status: {error}"))?;
    for condition in &mut status.conditions {
        condition.message = safe(&condition.message);
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overloaded_poller_polls_every_pod_equally_often() {
        let start = Instant::now();
        let mut since: Vec<Option<Instant>> = vec![None; 100];
        let mut polls = [0; 100];
        for round in 1..=40 {
            let due = since.iter().copied().zip(0..).collect();
            for pod in longest_due(due, 10) {
                polls[pod] += 1;
                since[pod] = Some(start + Duration::from_secs(round));
            }
        }
        assert_eq!(polls, [4; 100]);
    }

    #[test]
    fn a_pod_whose_readiness_has_changed_is_due_at_once() {
        let next = |was_ready| Some(NextPoll { at: Instant::now(), was_ready });
        for is_ready in [false, true] {
            assert!(due_since(next(is_ready), is_ready).is_some());
            assert!(due_since(next(!is_ready), is_ready).is_none());
            assert!(due_since(None, is_ready).is_none());
        }
    }

    #[test]
    fn an_answer_that_is_not_a_status_is_an_error() {
        let condition =
            r#"{"type": "RoleAssumed", "status": "False", "reason": "AccessDenied", "message": "a\nb", "since": ""}"#;
        let text = format!(r#"{{"generation": 1, "configHash": "h", "inFlight": 0, "conditions": [{condition}]}}"#);
        assert_eq!(parse_status(text.as_bytes()).unwrap().conditions[0].message, "a b");
        for wrong in ["", "{}", "<html>", r#"{"conditions": [{"type": "Owned"}]}"#] {
            assert!(parse_status(wrong.as_bytes()).unwrap_err().starts_with("its answer is not a status"), "{wrong}");
        }
    }

    #[tokio::test]
    async fn redirects_oversized_answers_and_silence_are_errors() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let long = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "x".repeat(MAX_ANSWER_BYTES + 1));
        for (answer, part) in [
            ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_owned(), "302"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned(), "not a status"),
            (long, "limit"),
            (String::new(), "no answer in 2s"),
        ] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            });
            let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
            let why = poll(&client, address, LogLevel::Info).await.unwrap_err();
            assert!(why.contains(part), "{why}");
            server.abort();
        }
    }

    #[tokio::test]
    async fn a_poll_carries_the_log_level() {
        use tokio::io::AsyncReadExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let length = stream.read(&mut head).await.unwrap();
            String::from_utf8_lossy(&head[..length]).into_owned()
        });
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        poll(&client, address, LogLevel::Debug).await.unwrap_err();
        let head = server.await.unwrap();
        assert!(head.starts_with("GET /status ") && head.contains("tributary-log-level: debug\r\n"), "{head}");
    }
}
