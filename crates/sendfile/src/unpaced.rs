//! Connections that never leave this machine.

use tokio::net::TcpStream;

/// Takes the pace off a connection whose other end is on this machine; any other stays as it is.
///
/// Where Linux's congestion control is BBR, it spreads what it sends over time, so that no queue builds up on the way, and
/// sets a timer for nearly every packet. Between two ends on one machine there is no way to spare, and the timers cost more
/// than all else. Such a connection gets `reno`, which every Linux has and lets everybody choose.
pub fn send_unpaced_on_this_machine(socket: &TcpStream) {
    #[cfg(target_os = "linux")]
    linux::send_unpaced_on_this_machine(socket);
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

#[cfg(target_os = "linux")]
mod linux {
    use std::net::IpAddr;

    use rustix::net::sockopt::{set_tcp_congestion, tcp_congestion};
    use tokio::net::TcpStream;

    pub(super) fn send_unpaced_on_this_machine(socket: &TcpStream) {
        let (Ok(local), Ok(peer)) = (socket.local_addr(), socket.peer_addr()) else { return };
        let is_paced = || tcp_congestion(socket).is_ok_and(|name| name.starts_with("bbr"));
        if is_on_one_machine(local.ip(), peer.ip()) && is_paced() {
            // A connection that stays as it is works too.
            let _ = set_tcp_congestion(socket, "reno");
        }
    }

    /// A machine's own addresses, whichever it is called by, are reached without a network.
    fn is_on_one_machine(local: IpAddr, peer: IpAddr) -> bool {
        let (local, peer) = (local.to_canonical(), peer.to_canonical());
        peer.is_loopback() || peer == local
    }

    #[cfg(test)]
    mod tests {
        use tokio::net::TcpListener;

        use super::*;

        #[test]
        fn both_ends_are_on_one_machine_when_they_share_an_address_or_one_is_loopback() {
            let is_on_one_machine =
                |local: &str, peer: &str| is_on_one_machine(local.parse().unwrap(), peer.parse().unwrap());
            assert!(is_on_one_machine("127.0.0.1", "127.0.0.1"));
            assert!(is_on_one_machine("127.0.0.1", "127.8.9.1"));
            assert!(is_on_one_machine("::1", "::1"));
            assert!(is_on_one_machine("::ffff:127.0.0.1", "::ffff:127.0.0.1"));
            assert!(is_on_one_machine("10.0.0.1", "10.0.0.1"));
            assert!(is_on_one_machine("::ffff:10.0.0.1", "10.0.0.1"));
            assert!(!is_on_one_machine("10.0.0.1", "10.0.0.2"));
            assert!(!is_on_one_machine("fe80::1", "fe80::2"));
        }

        #[tokio::test]
        async fn a_connection_within_this_machine_is_not_paced_by_bbr() {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            for socket in [client, server] {
                // Not every system has it, or lets everybody choose it; and where it is the default it is there already.
                let had_bbr = set_tcp_congestion(&socket, "bbr").is_ok();
                let before = tcp_congestion(&socket).unwrap();
                send_unpaced_on_this_machine(&socket);
                let expected = if had_bbr { "reno" } else { before.as_str() };
                assert_eq!(tcp_congestion(&socket).unwrap(), expected);
            }
        }
    }
}
