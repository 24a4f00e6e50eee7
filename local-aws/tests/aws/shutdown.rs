//! Tests of the graceful shutdown of a server.

use std::time::Duration;

use tokio::net::TcpListener;
use tributary_local_aws::{Accounts, LocalAws, Options, Store};

use crate::support::{ACCOUNTS, Aws, admin, outcome};

#[tokio::test]
async fn shutdown_answers_requests_in_flight_and_does_not_wait_for_idle_connections() {
    let accounts = format!("{ACCOUNTS}\nfaults: [{{action: {{latencyMs: 200}}, operation: HeadBucket}}]");
    let local = LocalAws::new(Options {
        store: Store::consumer(drop),
        record_calls: false,
        ..Options::new(Accounts::parse(&accounts).unwrap())
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stop, stop_requested) = tokio::sync::oneshot::channel::<()>();
    let server = local.clone();
    let serving = tokio::spawn(async move { server.serve(listener, async { drop(stop_requested.await) }).await });
    let aws = Aws { local, address };

    let s3 = aws.s3("us-west-2", admin());
    let put = s3.put_object().bucket("lake").key("a").body(b"{}".to_vec().into());
    assert_eq!(outcome(put.send().await), "ok", "the connection stays open");
    let slow = tokio::spawn(s3.head_bucket().bucket("lake").send());
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.send(()).unwrap();
    assert_eq!(outcome(slow.await.unwrap()), "ok");
    tokio::time::timeout(Duration::from_secs(2), serving).await.unwrap().unwrap();
    let refused = s3.head_bucket().bucket("lake").send().await;
    assert_eq!(outcome(refused), "0 -");
    assert!(aws.local.calls().is_empty(), "calls are only counted");
    assert_eq!(aws.local.counts().values().sum::<u64>(), 2);
}
