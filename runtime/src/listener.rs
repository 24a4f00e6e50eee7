//! Binds listening TCP sockets.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::sockopt::set_ipv6_v6only;
use tokio::net::{TcpListener, TcpSocket};

/// How many connections may wait to be accepted: as many as the kernel allows (`net.core.somaxconn`, 4096 since Linux
/// 5.4). The standard library's 128 are too few for a burst of clients: the kernel drops the other connection attempts,
/// and their clients retry a second later or get a reset.
const BACKLOG: u32 = 4_096;

/// Listens at `address`. The unspecified address `[::]` also accepts IPv4, and stands for `0.0.0.0` on a machine without
/// IPv6. Call it within a tokio runtime.
///
/// # Errors
/// If the address can't be bound.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(address).or_else(|error| match ipv4_of(address, &error) {
        Some(ipv4) => bind(ipv4),
        None => Err(error),
    })?;
    socket.listen(BACKLOG)
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // The default is a setting of the system (`net.ipv6.bindv6only`).
        set_ipv6_v6only(&socket, false)?;
    }
    // So a restarted process can bind although connections of the previous one are in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// The address to bind instead of `[::]` if there is no IPv6: the kernel lacks it, or no interface has it.
fn ipv4_of(address: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let has_no_ipv6 = error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    (has_no_ipv6 && address.ip() == Ipv6Addr::UNSPECIFIED).then(|| (Ipv4Addr::UNSPECIFIED, address.port()).into())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn the_unspecified_address_accepts_ipv4_and_ipv6() {
        let listener = listen("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        if listener.local_addr().unwrap().is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.unwrap();
        }
    }

    #[test]
    fn only_the_unspecified_address_has_a_fallback_and_only_without_ipv6() {
        let fallback = |address: &str, error: io::Error| ipv4_of(address.parse().unwrap(), &error);
        let unsupported = || io::Error::from_raw_os_error(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
        assert_eq!(fallback("[::]:80", unsupported()), Some("0.0.0.0:80".parse().unwrap()));
        assert_eq!(fallback("[::]:80", io::ErrorKind::AddrNotAvailable.into()), Some("0.0.0.0:80".parse().unwrap()));
        assert_eq!(fallback("[::]:80", io::ErrorKind::AddrInUse.into()), None);
        assert_eq!(fallback("[::1]:80", io::ErrorKind::AddrNotAvailable.into()), None);
        assert_eq!(fallback("10.0.0.1:80", io::ErrorKind::AddrNotAvailable.into()), None);
    }
}
