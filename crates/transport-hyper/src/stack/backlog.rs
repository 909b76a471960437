//! What the kernel has taken of a connection's bytes and the peer has not acknowledged.

/// The socket whose backlog can be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    #[cfg(target_os = "linux")]
    inode: u64,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs::File,
        io::{BufRead as _, BufReader},
    };

    use tokio::net::TcpStream;

    use super::Backlog;
    use crate::blocking::Blocking;

    /// The sockets of this network namespace: `thread-self`, since a thread may be in another one than its process.
    const TABLES: [&str; 2] = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];

    impl Backlog {
        pub(in crate::stack) fn of(tcp: &TcpStream) -> Option<Self> {
            Some(Self { inode: rustix::fs::fstat(tcp).ok()?.st_ino })
        }

        /// Returns the number of bytes that were written and not acknowledged; `None` where the system does not tell.
        ///
        /// The option that tells it too (`TCP_INFO`) cannot be asked for without unsafe code. This costs a pass over the
        /// system's sockets, so it is for connections that seem to be silent.
        pub(in crate::stack) async fn bytes(self) -> Option<u64> {
            Blocking::start(move || Ok::<_, std::io::Error>(self.look_up())).await.ok().flatten()
        }

        fn look_up(self) -> Option<u64> {
            TABLES.iter().find_map(|table| {
                let lines = BufReader::new(File::open(table).ok()?).lines();
                lines.map_while(Result::ok).find_map(|line| unacknowledged(&line, self.inode))
            })
        }
    }

    /// The unacknowledged bytes in a line of the table, when it is that of this socket.
    fn unacknowledged(line: &str, inode: u64) -> Option<u64> {
        let mut fields = line.split_ascii_whitespace();
        let queues = fields.nth(4)?;
        let is_this = fields.nth(4)?.parse() == Ok(inode);
        let (sending, _) = queues.split_once(':')?;
        u64::from_str_radix(sending, 16).ok().filter(|_| is_this)
    }

    #[cfg(test)]
    mod tests {
        use tokio::{
            io::{AsyncReadExt as _, AsyncWriteExt as _},
            net::TcpListener,
        };

        use super::*;

        #[tokio::test]
        async fn what_was_written_is_in_the_backlog_until_it_is_acknowledged() {
            for address in ["127.0.0.1:0", "[::1]:0"] {
                let Ok(listener) = TcpListener::bind(address).await else { continue };
                let mut tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let (mut peer, _) = listener.accept().await.unwrap();
                let backlog = Backlog::of(&tcp).unwrap();
                assert_eq!(backlog.bytes().await, Some(0));
                let mut written = 0;
                while let Ok(Ok(count)) =
                    tokio::time::timeout(std::time::Duration::from_millis(100), tcp.write(&[0; 65536])).await
                {
                    written += count;
                }
                let waiting = backlog.bytes().await.unwrap();
                assert!(waiting > 0 && waiting <= written as u64, "{waiting} of {written}");
                peer.read_exact(&mut vec![0; written]).await.unwrap();
                while backlog.bytes().await != Some(0) {
                    tokio::task::yield_now().await;
                }
                drop(tcp);
                assert_eq!(backlog.bytes().await, None);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Backlog {
    pub(super) fn of(_: &tokio::net::TcpStream) -> Option<Self> {
        None
    }

    pub(super) async fn bytes(self) -> Option<u64> {
        None
    }
}
