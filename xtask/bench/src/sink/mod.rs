//! A service that takes uploads and throws them away: the neutral side of every comparison.
//!
//! It speaks just enough of the API for every client. Bodies over plain HTTP are discarded in the kernel, without a copy.

mod answers;
mod connection;
mod content;
mod pace;
mod report;
mod tls;

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use clap::Args;

use connection::Stream;
use pace::Pace;
use report::Report;
pub(crate) use report::Told;

/// How it takes what comes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Speak TLS, with a certificate that is written to this file.
    #[arg(long)]
    certificate: Option<std::path::PathBuf>,
    /// At most so many bits a second on each connection.
    #[arg(long)]
    rate: Option<u64>,
    /// Every fourth connection has this rate instead.
    #[arg(long)]
    slow_rate: Option<u64>,
    /// So many bits a second for all connections together.
    #[arg(long)]
    shared_rate: Option<u64>,
    /// Answers come so many milliseconds after the request.
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// The length of every file that is downloaded.
    #[arg(long, default_value_t = 0)]
    length: u64,
}

/// Serves until it is killed; the first line of standard output says where.
pub(crate) fn run(options: &Options) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let tls = options.certificate.as_deref().map(tls::config).transpose()?;
    println!("{}", listener.local_addr()?);
    let report = Arc::new(Report::default());
    let shared = options.shared_rate.map(Pace::of_rate);
    for (number, stream) in listener.incoming().enumerate() {
        let stream = stream.context("nobody can connect any more")?;
        let rate = match options.slow_rate {
            Some(slow) if number % 4 == 3 => Some(slow),
            _ => options.rate,
        };
        let pace = shared.clone().or_else(|| rate.map(Pace::of_rate));
        let (tls, report, options) = (tls.clone(), report.clone(), options.clone());
        thread::Builder::new().stack_size(256 * 1024).spawn(move || {
            let served = stream_of(stream, tls, pace.is_some())
                .and_then(|stream| connection::serve(stream, pace, &options, &report));
            if let Err(error) = served {
                eprintln!("sink: {error:#}");
            }
        })?;
    }
    Ok(())
}

fn stream_of(stream: TcpStream, tls: Option<Arc<rustls::ServerConfig>>, is_paced: bool) -> Result<Stream> {
    stream.set_nodelay(true)?;
    if is_paced {
        // What lies in a large buffer of ours would count as sent long before a slow link had taken it.
        nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::RcvBuf, &(256 * 1024))?;
    }
    Ok(match tls {
        None => Stream::Plain(stream),
        Some(config) => Stream::tls(stream, config)?,
    })
}
