//! A line in front of a service that takes so many bytes a second, and counts them.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// It lives as long as the task.
pub(super) struct SlowLine {
    origin: String,
    /// Counts for the connections that are accepted now.
    count: Arc<Mutex<Arc<AtomicU64>>>,
}

impl SlowLine {
    pub(super) fn start(service: &str, bytes_a_second: u64) -> Result<Self> {
        let service: SocketAddr = service.trim_start_matches("http://").parse().context("no address")?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let origin = format!("http://{}", listener.local_addr()?);
        let count = Arc::new(Mutex::new(Arc::default()));
        let (counts, began) = (count.clone(), Instant::now());
        let all = Arc::new(AtomicU64::new(0));
        thread::spawn(move || {
            // Connections that fail are those of processes that were killed.
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(service) else { continue };
                let (Ok(answers_to), Ok(answers)) = (client.try_clone(), server.try_clone()) else {
                    continue;
                };
                let (count, all) = (current(&counts), all.clone());
                let wait = move |bytes| {
                    count.fetch_add(bytes, SeqCst);
                    let all = all.fetch_add(bytes, SeqCst) + bytes;
                    let due = Duration::from_secs_f64(all as f64 / bytes_a_second as f64);
                    thread::sleep(due.saturating_sub(began.elapsed()));
                };
                thread::spawn(move || copy(client, server, wait));
                thread::spawn(move || copy(answers, answers_to, |_| {}));
            }
        });
        Ok(Self { origin, count })
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Counts anew. What still comes of connections that are open does not count: the kernel has much of it when a process is killed.
    pub(super) fn count_anew(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// The bytes that went to the service since then.
    pub(super) fn passed(&self) -> u64 {
        current(&self.count).load(SeqCst)
    }
}

fn current(count: &Mutex<Arc<AtomicU64>>) -> Arc<AtomicU64> {
    count.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Copies until one of them ends, and ends the other.
fn copy(mut from: TcpStream, mut to: TcpStream, pass: impl Fn(u64)) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return to.shutdown(std::net::Shutdown::Write);
        }
        pass(length as u64);
        to.write_all(&buffer[..length])?;
    }
}
