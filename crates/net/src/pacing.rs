//! Connections that never leave this machine need no pacing.

use tokio::net::TcpStream;

/// Keeps BBR from pacing a connection whose other end is on this machine, where one can see that from the addresses; any
/// other connection stays as it is.
///
/// BBR, where it is Linux's congestion control, spreads what it sends over time, so that queues on the way stay short, and
/// the kernel sets timers for its packets. Within one machine no such queues build up, and for files that are sent without
/// being copied the timers cost more than all else. So the connection gets `reno`, if the system lets it. Containers on one
/// machine have addresses of their own and count as others.
pub fn do_not_pace_within_machine(socket: &TcpStream) {
    #[cfg(target_os = "linux")]
    linux::replace(socket, linux::is_paced);
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

#[cfg(target_os = "linux")]
mod linux {
    use std::net::IpAddr;

    use rustix::net::sockopt::{set_tcp_congestion, tcp_congestion};
    use tokio::net::TcpStream;

    /// Chooses another congestion control for a connection within this machine when it has one that is unwanted.
    pub(super) fn replace(socket: &TcpStream, is_unwanted: impl FnOnce(&str) -> bool) {
        let (Ok(local), Ok(peer)) = (socket.local_addr(), socket.peer_addr()) else { return };
        if !share_a_machine(local.ip(), peer.ip()) {
            return;
        }
        if tcp_congestion(socket).is_ok_and(|name| is_unwanted(&name)) {
            // A connection that stays as it is works too.
            let _ = set_tcp_congestion(socket, "reno");
        }
    }

    /// BBR in any of its versions.
    pub(super) fn is_paced(congestion_control: &str) -> bool {
        congestion_control.starts_with("bbr")
    }

    fn share_a_machine(local: IpAddr, peer: IpAddr) -> bool {
        let (local, peer) = (local.to_canonical(), peer.to_canonical());
        local.is_loopback() || peer.is_loopback() || local == peer
    }

    #[cfg(test)]
    mod tests {
        use tokio::net::TcpListener;

        use super::*;
        use crate::pacing::do_not_pace_within_machine;

        async fn pair() -> [TcpStream; 2] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            [client, server]
        }

        #[test]
        fn two_ends_share_a_machine_when_they_have_one_address_or_one_of_them_is_loopback() {
            let share = |local: &str, peer: &str| {
                let (local, peer) = (local.parse().unwrap(), peer.parse().unwrap());
                assert_eq!(share_a_machine(local, peer), share_a_machine(peer, local));
                share_a_machine(local, peer)
            };
            assert!(share("127.0.0.1", "127.8.9.1"));
            assert!(share("::1", "::1"));
            assert!(share("::ffff:127.0.0.1", "::ffff:127.0.0.1"));
            assert!(share("127.0.0.1", "10.0.0.1"));
            assert!(share("::ffff:10.0.0.1", "10.0.0.1"));
            assert!(!share("10.0.0.1", "10.0.0.2"));
            assert!(!share("fe80::1", "fe80::2"));
        }

        #[test]
        fn only_bbr_is_taken_for_pacing() {
            let paced = ["bbr", "bbr2", "bbr3", "cubic", "reno", "dctcp"].map(is_paced);
            assert_eq!(paced, [true, true, true, false, false, false]);
        }

        #[tokio::test]
        async fn what_is_unwanted_gives_way_to_reno_and_all_else_stays() {
            for socket in pair().await {
                let before = tcp_congestion(&socket).unwrap();
                replace(&socket, |_| false);
                assert_eq!(tcp_congestion(&socket).unwrap(), before);
                replace(&socket, |name| name == before);
                assert_eq!(tcp_congestion(&socket).unwrap(), "reno");
            }
        }

        #[tokio::test]
        async fn a_connection_within_this_machine_does_not_keep_bbr() {
            for socket in pair().await {
                // Where the system does not have it, or does not let everybody choose it, there is nothing to replace.
                let _ = set_tcp_congestion(&socket, "bbr");
                do_not_pace_within_machine(&socket);
                assert!(!is_paced(&tcp_congestion(&socket).unwrap()));
            }
        }
    }
}
