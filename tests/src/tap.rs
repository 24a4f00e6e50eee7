//! A TCP relay between a sidecar and AWS that records the answers of AWS.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Aws;

/// The relay, and all bytes that AWS has answered through it.
#[derive(Clone)]
pub struct Tap {
    address: SocketAddr,
    captured: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    /// Starts relaying to `aws`.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(aws: &Aws) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let tap = Self { address, captured: Arc::default() };
        let (captured, to) = (Arc::clone(&tap.captured), aws.address());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, to, Arc::clone(&captured)));
            }
        });
        tap
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The text content of every XML element of this name, in all answers so far.
    pub fn captured(&self, element: &str) -> Vec<String> {
        let captured = self.captured.lock();
        let text = String::from_utf8_lossy(&captured);
        let (start, end) = (format!("<{element}>"), format!("</{element}>"));
        let values = text.split(&start).skip(1).filter_map(|rest| rest.split_once(&end));
        values.map(|(value, _)| value.to_owned()).collect()
    }
}

async fn relay(client: TcpStream, to: SocketAddr, captured: Arc<Mutex<Vec<u8>>>) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let down = async {
        let mut chunk = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from_server.read(&mut chunk).await {
            captured.lock().extend_from_slice(&chunk[..count]);
            if to_client.write_all(&chunk[..count]).await.is_err() {
                break;
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(up, down);
}
