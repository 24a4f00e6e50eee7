//! Memory of connections: what their buffers hold before a request is read, and while its answer waits.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tributary_crds::sidecar_config::SecretUse;
use tributary_tests::encode::gzip;
use tributary_tests::raw::{RawConnection, connect_with_small_receive_buffer};
use tributary_tests::wait::until;
use tributary_tests::{Aws, Function, Setup, SidecarProcess, World};

use super::{WORKER_THREADS, assert_peak, start, start_ready};
use crate::tls::{SelfSigned, handshake};

/// Clients of each load. The default maximum number of connections is larger.
const CLIENTS: usize = 600;

/// Requests that each client sends at once.
const PIPELINED: usize = 5;

/// How long a load may take on a slow machine.
const LOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// A request whose answer has the largest possible body: it lists rejected events.
fn request_with_large_answer() -> Vec<u8> {
    let body = gzip(json!(vec!["x".repeat(80); 4_000]).to_string().as_bytes());
    let head =
        format!("POST / HTTP/1.1\r\nHost: s\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.into_bytes(), body].concat()
}

/// Waits until the sidecar has answered every request of all clients.
async fn all_are_answered(sidecar: &SidecarProcess) {
    let counted = async || {
        let with = async |status| sidecar.metric(&format!("requests_total{{path=\"/\",status=\"{status}\"}}")).await;
        with(400).await + with(429).await
    };
    let sent = (CLIENTS * PIPELINED) as f64;
    until("all are answered", LOAD_TIMEOUT, async || (counted().await >= sent).then_some(())).await;
}

/// Answers wait in memory for clients that do not read them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_answers_stay_within_the_memory_limit() {
    let requests = request_with_large_answer().repeat(PIPELINED);
    for threads in WORKER_THREADS {
        let (_aws, sidecar) = start_ready(Function::new(), threads).await;
        let mut all = Vec::new();
        for _ in 0..CLIENTS {
            let mut raw = RawConnection::with_small_receive_buffer(sidecar.events).await;
            raw.write(&requests).await;
            all.push(raw);
        }
        all_are_answered(&sidecar).await;
        assert_peak(&sidecar, &format!("{threads} threads, {CLIENTS} clients that do not read"));
    }
}

/// A sidecar that serves HTTPS, ready.
async fn start_https(site: &SelfSigned, threads: &'static str) -> (Aws, SidecarProcess) {
    let aws = Aws::start(&World::new()).await;
    let function = Function::new().with("ingest.tlsSecretRef", json!({"name": "site"}));
    let mut setup = Setup::new(&aws).function(function);
    for (name, value) in site.files() {
        setup = setup.secret(SecretUse::Tls, name, value);
    }
    let sidecar = start(setup, threads).await;
    (aws, sidecar)
}

/// Over TLS, an answer is also encrypted before it waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_answers_over_tls_stay_within_the_memory_limit() {
    let (site, requests) = (SelfSigned::new(), request_with_large_answer().repeat(PIPELINED));
    for threads in WORKER_THREADS {
        let (_aws, sidecar) = start_https(&site, threads).await;
        let mut all = Vec::new();
        for _ in 0..CLIENTS {
            let stream = connect_with_small_receive_buffer(sidecar.events).await;
            let mut stream = handshake(&site.client(), stream).await.expect("a handshake");
            stream.write_all(&requests).await.expect("an open connection");
            all.push(stream);
        }
        all_are_answered(&sidecar).await;
        assert_peak(&sidecar, &format!("{threads} threads, {CLIENTS} TLS clients that do not read"));
    }
}

/// Nearly the default maximum number of connections.
const HANDSHAKES: usize = 1_000;

/// A handshake message may have 64 KiB, and rustls keeps what has arrived of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incomplete_handshakes_stay_within_the_memory_limit() {
    // A ClientHello of 65,535 bytes in records of 16,000 bytes, without its end.
    const HELLO_BYTES: usize = 4 * 16_000;
    let record = |content: &[u8]| [&[22, 3, 1][..], &16_000_u16.to_be_bytes(), content].concat();
    let beginning = [&[1, 0, 0xff, 0xff, 3, 3][..], &[0; 15_994]].concat();
    let hello = [record(&beginning), record(&[0; 16_000]).repeat(3)].concat();
    let site = SelfSigned::new();
    for threads in WORKER_THREADS {
        let (_aws, sidecar) = start_https(&site, threads).await;
        let at_rest = sidecar.peak_memory();
        let mut all = Vec::new();
        for _ in 0..HANDSHAKES {
            let mut raw = RawConnection::connect(sidecar.events).await;
            // A slow machine may close the first handshakes before the last one begins.
            raw.try_write(&hello).await;
            all.push(raw);
        }
        // The sidecar reads more slowly than the clients write, so the load is complete when it has closed them all.
        for mut raw in all {
            raw.read_to_end().await;
        }
        let least = at_rest + HANDSHAKES / 2 * HELLO_BYTES;
        assert!(sidecar.peak_memory() > least, "no load: {} MiB", sidecar.peak_memory() >> 20);
        assert_peak(&sidecar, &format!("{threads} threads, {HANDSHAKES} incomplete handshakes"));
    }
}
