//! An HTTP proxy for tests that tunnels connections (CONNECT), as companies run them in front of the internet.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that leads every tunnel whose target begins with a name to that name's address.
pub struct ConnectProxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    /// Starts a proxy for these names and addresses. It answers 403 for other names and, if `authorization` is given, 407
    /// without that `Proxy-Authorization`.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(routes: Vec<(&'static str, SocketAddr)>, authorization: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (seen, routes) = (Arc::clone(&heads), Arc::new(routes));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, Arc::clone(&routes), authorization, Arc::clone(&seen)));
            }
        });
        Self { address, heads }
    }

    /// Its host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The targets of all requests so far, such as `sts.us-west-2.amazonaws.com:443`.
    pub fn targets(&self) -> Vec<String> {
        let target = |head: &String| head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.heads.lock().iter().map(target).collect()
    }
}

async fn tunnel(
    mut client: TcpStream,
    routes: Arc<Vec<(&'static str, SocketAddr)>>,
    authorization: Option<&'static str>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    seen.lock().push(head.clone());
    let target = head.strip_prefix("CONNECT ").unwrap_or_default();
    let is_authorized =
        authorization.is_none_or(|expected| head.contains(&format!("\r\nProxy-Authorization: {expected}\r\n")));
    let route = routes.iter().find(|(name, _)| target.starts_with(name));
    let Some((_, address)) = route.filter(|_| is_authorized) else {
        let status = if is_authorized { "403 Forbidden" } else { "407 Proxy Authentication Required" };
        // The client may be gone.
        let _ = client.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
        return;
    };
    let mut server = TcpStream::connect(address).await.expect("a server at the route's address");
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
