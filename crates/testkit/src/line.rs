//! A line to a server: it can be slow, go silent without a word, and refuse.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use socket2::{Domain, Socket, Type};

const PIECE: usize = 16 * 1024;

/// A proxy that passes on so many bytes a second for each connection and direction.
pub struct Line {
    /// The address that it listens at.
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    to: String,
    rate: u64,
    /// Bytes that were passed on, either way.
    passed: AtomicU64,
    accepted: AtomicUsize,
    /// Connections with a lower number carry nothing any more.
    silent_below: AtomicUsize,
    is_refusing: AtomicBool,
    is_over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Line {
    /// A line to the server at this origin.
    pub fn to(origin: &str, rate: u64) -> Self {
        let listener = listen("127.0.0.1:0".parse().unwrap());
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            to: origin.strip_prefix("http://").unwrap().to_owned(),
            rate,
            passed: AtomicU64::new(0),
            accepted: AtomicUsize::new(0),
            silent_below: AtomicUsize::new(0),
            is_refusing: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let line = Self { address, state: state.clone() };
        thread::spawn(move || state.accept(listener, address));
        line
    }

    /// Returns the origin for a client behind it.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns how many connections there were.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(SeqCst)
    }

    /// Returns how many bytes were passed on, either way.
    pub fn passed(&self) -> u64 {
        self.state.passed.load(SeqCst)
    }

    /// The connections that are open carry nothing any more, and nobody says so. New ones do.
    pub fn go_silent(&self) {
        self.state.silent_below.store(self.accepted(), SeqCst);
    }

    /// Resets all connections, and refuses new ones.
    pub fn refuse(&self) {
        self.state.is_refusing.store(true, SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            // One that is closed already is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Accepts connections again.
    pub fn take_again(&self) {
        self.state.is_refusing.store(false, SeqCst);
    }
}

/// A listener whose connections hold so little that no part is taken whole by a line that has gone silent.
fn listen(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(64).unwrap();
    socket.into()
}

impl Drop for Line {
    fn drop(&mut self) {
        self.state.is_over.store(true, SeqCst);
        self.refuse();
    }
}

impl State {
    fn accept(self: Arc<Self>, listener: TcpListener, address: SocketAddr) {
        let mut listener = Some(listener);
        while !self.is_over.load(SeqCst) {
            if self.is_refusing.load(SeqCst) {
                listener = None;
            } else if listener.is_none() {
                listener = Some(listen(address));
            }
            if let Some(listener) = &listener {
                listener.set_nonblocking(true).unwrap();
                if let Ok((client, _)) = listener.accept() {
                    client.set_nonblocking(false).unwrap();
                    self.clone().carry(client);
                    continue;
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn carry(self: Arc<Self>, client: TcpStream) {
        let number = self.accepted.fetch_add(1, SeqCst);
        let Ok(server) = TcpStream::connect(&self.to) else { return };
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let state = self.clone();
            thread::spawn(move || state.pass_on(number, from, to));
        }
        self.open.lock().unwrap().extend([client, server]);
    }

    fn pass_on(&self, number: usize, mut from: TcpStream, mut to: TcpStream) {
        let mut piece = vec![0; PIECE];
        loop {
            while number < self.silent_below.load(SeqCst) {
                if self.is_over.load(SeqCst) {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
            let read = match from.read(&mut piece) {
                Ok(read @ 1..) => read,
                _ => break,
            };
            thread::sleep(Duration::from_micros(read as u64 * 1_000_000 / self.rate));
            if number < self.silent_below.load(SeqCst) {
                continue;
            }
            if to.write_all(&piece[..read]).is_err() {
                break;
            }
            self.passed.fetch_add(read as u64, SeqCst);
        }
        // One that is closed already is as good.
        let _ = to.shutdown(Shutdown::Write);
    }
}
