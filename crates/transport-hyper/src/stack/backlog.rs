//! What the kernel has taken of connections' bytes and the peer has not acknowledged.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::Instant};

/// A table that was read so lately is not read again: on a machine with many sockets that takes some time.
const FRESH: Duration = Duration::from_secs(1);

/// The socket whose backlog can be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing is asked for"))]
    inode: u64,
}

/// The backlogs of all sockets, as the system told them last. One connection of a stack asks for all that are silent.
#[derive(Debug, Default)]
pub(super) struct Backlogs(Mutex<Option<(Instant, Arc<Table>)>>);

/// The unacknowledged bytes by socket.
type Table = HashMap<u64, u64>;

impl Backlogs {
    /// Returns the number of bytes that were written and not acknowledged; `None` where the system does not tell.
    ///
    /// The option that tells it too (`TCP_INFO`) cannot be asked for without unsafe code. This costs a pass over the
    /// system's sockets, so it is for connections that seem to be silent.
    pub(super) async fn of(&self, socket: Backlog) -> Option<u64> {
        let mut known = self.0.lock().await;
        let table = match &*known {
            Some((at, table)) if at.elapsed() < FRESH => table.clone(),
            _ => {
                let table = Arc::new(read().await);
                *known = Some((Instant::now(), table.clone()));
                table
            }
        };
        table.get(&socket.inode).copied()
    }
}

#[cfg(target_os = "linux")]
use linux::read;

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs::File,
        io::{BufRead as _, BufReader},
    };

    use tokio::net::TcpStream;

    use partwise_net::blocking::Blocking;

    use super::{Backlog, Table};

    /// The sockets of this network namespace: `thread-self`, since a thread may be in another one than its process.
    const TABLES: [&str; 2] = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];

    impl Backlog {
        pub(in crate::stack) fn of(tcp: &TcpStream) -> Option<Self> {
            Some(Self { inode: rustix::fs::fstat(tcp).ok()?.st_ino })
        }
    }

    pub(super) async fn read() -> Table {
        Blocking::start(|| Ok::<_, std::io::Error>(read_now())).await.unwrap_or_default()
    }

    fn read_now() -> Table {
        let files = TABLES.iter().filter_map(|table| File::open(table).ok());
        let lines = files.flat_map(|file| BufReader::new(file).lines().map_while(Result::ok));
        lines.filter_map(|line| entry(&line)).collect()
    }

    /// The socket in a line of the table, and its unacknowledged bytes.
    fn entry(line: &str) -> Option<(u64, u64)> {
        let mut fields = line.split_ascii_whitespace();
        let queues = fields.nth(4)?;
        let inode = fields.nth(4)?.parse().ok()?;
        let (sending, _) = queues.split_once(':')?;
        Some((inode, u64::from_str_radix(sending, 16).ok()?))
    }

    #[cfg(test)]
    mod tests {
        use tokio::{
            io::{AsyncReadExt as _, AsyncWriteExt as _},
            net::TcpListener,
        };

        use super::{super::Backlogs, *};

        #[tokio::test]
        async fn what_was_written_is_in_the_backlog_until_it_is_acknowledged() {
            for address in ["127.0.0.1:0", "[::1]:0"] {
                let Ok(listener) = TcpListener::bind(address).await else { continue };
                let mut tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let (mut peer, _) = listener.accept().await.unwrap();
                let backlog = Backlog::of(&tcp).unwrap();
                let bytes = async || Backlogs::default().of(backlog).await;
                assert_eq!(bytes().await, Some(0));
                let mut written = 0;
                while let Ok(Ok(count)) =
                    tokio::time::timeout(std::time::Duration::from_millis(100), tcp.write(&[0; 65536])).await
                {
                    written += count;
                }
                let waiting = bytes().await.unwrap();
                assert!(waiting > 0 && waiting <= written as u64, "{waiting} of {written}");
                peer.read_exact(&mut vec![0; written]).await.unwrap();
                while bytes().await != Some(0) {
                    tokio::task::yield_now().await;
                }
                drop(tcp);
                assert_eq!(bytes().await, None);
            }
        }

        #[tokio::test]
        async fn a_table_is_read_once_a_second_whoever_asks() {
            let backlogs = Backlogs::default();
            assert_eq!(backlogs.of(Backlog { inode: u64::MAX }).await, None);
            let (at, table) = backlogs.0.lock().await.clone().unwrap();
            backlogs.of(Backlog { inode: 1 }).await;
            let (again, same) = backlogs.0.lock().await.clone().unwrap();
            assert!(again == at && std::sync::Arc::ptr_eq(&table, &same));
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Backlog {
    pub(super) fn of(_: &tokio::net::TcpStream) -> Option<Self> {
        None
    }
}

#[cfg(not(target_os = "linux"))]
async fn read() -> Table {
    Table::default()
}
