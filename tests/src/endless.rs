//! An HTTP server whose answers are 200 and never end.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Starts the server, which runs as long as the test's runtime, and returns its URL.
///
/// # Panics
/// If there is no free port.
pub async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound port"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 16 << 10];
                let _ = stream.read(&mut request).await;
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
                if stream.write_all(head.as_bytes()).await.is_ok() {
                    while stream.write_all(chunk.as_bytes()).await.is_ok() {}
                }
            });
        }
    });
    url
}
