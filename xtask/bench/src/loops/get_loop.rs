//! Requests for one file, again and again, whose bytes are discarded in the kernel: a reader that costs next to nothing.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use anyhow::Result;

use super::GetOptions;
use super::plain::{self, read_head, skip_body};

pub(super) fn run(options: &GetOptions) -> Result<()> {
    let next = AtomicU32::new(0);
    plain::on_threads(&options.origin, options.parallel, |stream| get(stream, &next, options))
}

fn get(mut stream: TcpStream, next: &AtomicU32, options: &GetOptions) -> Result<()> {
    let path = &options.path;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer key\r\n\r\n");
    while next.fetch_add(1, Relaxed) < options.count {
        stream.write_all(request.as_bytes())?;
        let head = read_head(&mut stream)?;
        skip_body(&mut stream, &head)?;
    }
    Ok(())
}
