use std::{
    io,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    time::sleep,
};

use super::{ConnectionFault as Fault, Ending, State};

/// What a client is told that shall come back later.
const SENT_AWAY: &str = "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// How passing bytes on ended.
enum Passed {
    /// The sender has closed its side.
    All,
    /// As many bytes as were allowed.
    Limit,
    /// The line went silent.
    Silence,
}

impl State {
    pub(super) async fn connection(
        &self,
        mut client: TcpStream,
        number: usize,
        fault: Option<Fault>,
    ) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut server = TcpStream::connect(self.upstream).await?;
        server.set_nodelay(true)?;
        if fault.is_some_and(|fault| !fault.pause().is_zero()) {
            self.counts.faults.fetch_add(1, SeqCst);
        }
        match self.pass_both(&mut client, &mut server, number, fault).await? {
            Passed::All => return Ok(()),
            Passed::Silence => return gone(&client).await,
            Passed::Limit => {}
        }
        self.counts.faults.fetch_add(1, SeqCst);
        match fault {
            Some(Fault::Cut { by: Ending::Reset, .. } | Fault::CutAnswers { by: Ending::Reset, .. }) => {
                SockRef::from(&client).set_linger(Some(Duration::ZERO))
            }
            Some(Fault::Stall { .. } | Fault::StallAnswers { .. }) => gone(&client).await,
            Some(Fault::SendAway { .. }) => client.write_all(SENT_AWAY.as_bytes()).await,
            Some(Fault::HalfClose { .. }) => {
                drop(server);
                client.shutdown().await?;
                tokio::io::copy(&mut client, &mut tokio::io::sink()).await?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Passes on what comes from either side, until one side has closed, the line is silent, or the fault's number of bytes was
    /// passed on.
    async fn pass_both(
        &self,
        client: &mut TcpStream,
        server: &mut TcpStream,
        number: usize,
        fault: Option<Fault>,
    ) -> io::Result<Passed> {
        let (there, back) = fault.map_or((u64::MAX, u64::MAX), Fault::limits);
        let (to, mut kept) = match fault {
            Some(Fault::GarbleAnswers { to, after }) => (to, after),
            _ => (None, u64::MAX),
        };
        let garbles = AtomicBool::new(to.is_none());
        let asked = |piece: &mut [u8]| {
            self.counts.taken.fetch_add(piece.len() as u64, SeqCst);
            let line = piece.split(|byte| *byte == b'\r').next().unwrap_or_default();
            if to.is_some_and(|to| line.ends_with(to.as_bytes())) {
                garbles.store(true, SeqCst);
            }
        };
        let answered = |piece: &mut [u8]| {
            self.counts.returned.fetch_add(piece.len() as u64, SeqCst);
            if garbles.load(SeqCst) {
                let right = piece.len().min(usize::try_from(kept).unwrap_or(usize::MAX));
                kept -= right as u64;
                piece[right..].iter_mut().for_each(|byte| *byte ^= 0x80);
                self.counts.faults.fetch_add(usize::from(right < piece.len()), SeqCst);
            }
        };
        let ((client_reads, client_writes), (server_reads, server_writes)) = (client.split(), server.split());
        tokio::select! {
            passed = self.pass(client_reads, server_writes, there, number, fault, asked) => passed,
            passed = self.pass(server_reads, client_writes, back, number, fault, answered) => passed,
        }
    }

    /// Passes on at most `limit` bytes.
    async fn pass(
        &self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        mut limit: u64,
        number: usize,
        fault: Option<Fault>,
        mut on_its_way: impl FnMut(&mut [u8]),
    ) -> io::Result<Passed> {
        // On a slow line the pieces are small, so that it is as even as such lines are.
        let mut buffer = vec![0; if self.rate.is_some() { 16 * 1024 } else { 64 * 1024 }];
        while limit > 0 {
            if self.is_silent(number) {
                return Ok(Passed::Silence);
            }
            let room = buffer.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
            let read = from.read(&mut buffer[..room]).await?;
            if read == 0 {
                return Ok(Passed::All);
            }
            sleep(self.pause(read, fault)).await;
            if self.is_silent(number) {
                return Ok(Passed::Silence);
            }
            on_its_way(&mut buffer[..read]);
            to.write_all(&buffer[..read]).await?;
            limit -= read as u64;
        }
        Ok(Passed::Limit)
    }
}

/// Waits until the client has closed a connection that nobody reads from.
async fn gone(client: &TcpStream) -> io::Result<()> {
    loop {
        let ready = client.ready(Interest::ERROR | Interest::READABLE).await?;
        if ready.is_error() || ready.is_read_closed() {
            return Ok(());
        }
        // It is readable, and stays so.
        sleep(Duration::from_millis(5)).await;
    }
}
