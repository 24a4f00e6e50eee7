//! Sockets that listen.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted: as many as the kernel allows (`net.core.somaxconn`, 4096 since Linux 5.4).
/// The standard library's 128 are fewer than a burst of clients; the kernel drops the connection attempts beyond,
/// whose clients try again a second later or get a reset.
const BACKLOG: u32 = 4_096;

/// Listens at `address`.
///
/// # Errors
/// When the address can't be bound.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A process that is started again has not to wait for the connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
