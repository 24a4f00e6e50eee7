//! Binds listening TCP sockets.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// How many connections may wait to be accepted: as many as the kernel allows (`net.core.somaxconn`, 4096 since Linux
/// 5.4). The standard library's 128 are too few for a burst of clients: the kernel drops the other connection attempts,
/// and their clients retry a second later or get a reset.
const BACKLOG: u32 = 4_096;

/// Listens at `address`. Call it within a tokio runtime.
///
/// # Errors
/// If the address can't be bound.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So a restarted process can bind although connections of the previous one are in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
