//! Tests the admin port: it serves its own paths, and no client of it keeps the kubelet waiting.

use std::time::Duration;

use hyper::Method;
use tokio::task::JoinSet;
use tributary_tests::http::Http;
use tributary_tests::raw::RawConnection;
use tributary_tests::{Aws, Function, Setup, World, start_ready};

/// The time limit of the kubelet's probes, as the operator sets it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// After this many failures in a row, the kubelet takes a pod out of service.
const MAX_FAILED_PROBES: usize = 2;

#[tokio::test]
async fn each_port_serves_only_its_own_paths() {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).start().await;
    for path in ["/", "/v1/track", "/debug", "/healthz/x"] {
        assert_eq!(sidecar.get_admin(path).await.status, 404, "{path}");
    }
    for path in ["/healthz", "/readyz", "/metrics", "/status"] {
        let url = format!("http://{}{path}", sidecar.events);
        let answer = Http::new().request(Method::GET, &url, &[], "").await.unwrap();
        assert_eq!(answer.status, 404, "{path} on the port for events");
    }
}

/// More clients than the port has connections. Each sends requests without end and reads no answer; when its connection
/// is closed, it connects again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_read_do_not_keep_the_kubelet_waiting() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    for path in ["/metrics", "/status", "/healthz"] {
        let mut clients = JoinSet::new();
        let requests = format!("GET {path} HTTP/1.1\r\nHost: s\r\n\r\n").repeat(100);
        for _ in 0..400 {
            let (admin, requests) = (sidecar.admin, requests.clone());
            clients.spawn(async move {
                loop {
                    let mut client = RawConnection::with_small_receive_buffer(admin).await;
                    while client.try_write(&requests).await {}
                }
            });
        }
        let url = format!("http://{}/healthz", sidecar.admin);
        let mut failures = Vec::new();
        for _ in 0..20 {
            match probe(&url).await {
                Ok(()) => failures.clear(),
                Err(error) => failures.push(error),
            }
            assert!(failures.len() < MAX_FAILED_PROBES, "beside {path}: {failures:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Asks as the kubelet does, on a new connection.
async fn probe(url: &str) -> Result<(), String> {
    let client = Http::new();
    let answer = tokio::time::timeout(PROBE_TIMEOUT, client.request(Method::GET, url, &[], "")).await;
    let answer = answer.map_err(|_| "no answer in time".to_owned())??;
    if answer.status == 200 { Ok(()) } else { Err(answer.status.to_string()) }
}
