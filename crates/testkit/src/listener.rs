//! Listeners that are no service, or not one of ours.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::mpsc::{Receiver, channel},
    thread,
};

/// A listener that says the same to everyone.
pub fn answering(answer: &'static [u8]) -> SocketAddr {
    recording(answer).0
}

/// A listener that says the same to everyone, and what everyone said first.
pub fn recording(answer: &'static [u8]) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, receiver) = channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let said = exchange(&mut connection.unwrap(), answer);
            // A test that does not ask is not told.
            let _ = heard.send(said);
        }
    });
    (address, receiver)
}

/// Hears a head, and answers. A peer that has gone is as good.
pub fn exchange(connection: &mut (impl Read + Write), answer: &[u8]) -> String {
    let mut head = vec![0; 4096];
    let length = connection.read(&mut head).unwrap_or(0);
    let _ = connection.write_all(answer).and_then(|()| connection.flush());
    String::from_utf8_lossy(&head[..length]).into_owned()
}
