//! Tests the admin port: it serves its own paths, and no client of it keeps the kubelet waiting.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
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
    // Health checks are for load balancers too, and tell only whether the sidecar is ready.
    for path in ["/metrics", "/status", "/healthz/x"] {
        let url = format!("http://{}{path}", sidecar.events);
        let answer = Http::new().request(Method::GET, &url, &[], "").await.unwrap();
        assert_eq!(answer.status, 404, "{path} on the port for events");
    }
}

/// What a hostile client does on each of its connections, until the connection is closed.
#[derive(Clone, Copy, Debug)]
enum Flood {
    /// Sends requests for this path without end, and reads no answer.
    Unread(&'static str),
    /// Sends this part of a head, and waits.
    Partial(&'static str),
}

impl Flood {
    async fn run(self, admin: SocketAddr) {
        match self {
            Self::Unread(path) => {
                let mut client = RawConnection::with_small_receive_buffer(admin).await;
                let requests = format!("GET {path} HTTP/1.1\r\nHost: s\r\n\r\n").repeat(100);
                while client.try_write(&requests).await {}
            }
            Self::Partial(head) => {
                let mut client = RawConnection::connect(admin).await;
                client.try_write(head).await;
                client.read_to_end().await;
            }
        }
    }
}

/// More clients than the port has connections, which connect again as soon as they are disconnected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_connections_does_not_keep_the_kubelet_waiting() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    let admin = sidecar.admin;
    for flood in [
        Flood::Unread("/metrics"),
        Flood::Unread("/status"),
        Flood::Unread("/healthz"),
        Flood::Partial(""),
        Flood::Partial("G"),
        Flood::Partial("GET /metrics HTTP/1.1\r\nHost: "),
    ] {
        let mut clients = JoinSet::new();
        for _ in 0..600 {
            clients.spawn(async move {
                loop {
                    flood.run(admin).await;
                }
            });
        }
        // The flood grows for a second.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut failures = Vec::new();
        for _ in 0..15 {
            match probe(admin).await {
                Ok(()) => failures.clear(),
                Err(error) => failures.push(error),
            }
            assert!(failures.len() < MAX_FAILED_PROBES, "{flood:?}: {failures:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Asks as the kubelet does, on a new connection. In a thread of its own, which the flood's many tasks do not delay.
async fn probe(admin: SocketAddr) -> Result<(), String> {
    let ask = move || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&admin, PROBE_TIMEOUT)?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n")?;
        stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = tokio::task::spawn_blocking(ask).await.expect("no panic").map_err(|error| error.to_string())?;
    if answer.starts_with("HTTP/1.1 200 OK\r\n") { Ok(()) } else { Err(format!("answered {answer:?}")) }
}
