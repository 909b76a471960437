//! HTTP/1.1 by hand, for peers that do with a connection what no server would.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The head of a request, and what was read behind it.
#[derive(Debug)]
pub struct Head {
    /// The head as it came, with its last line break.
    pub text: String,
    /// The length of the body; 0 when the head has none.
    pub content_length: u64,
    behind: Vec<u8>,
}

/// Reads a request's head; `None` when the connection ends first.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<Head> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let behind = read.split_off(end + 4);
            let text = String::from_utf8(read).unwrap();
            let content_length = text
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            return Some(Head { text, content_length, behind });
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

/// Reads the body that belongs to the head; `None` when the connection ends first.
pub async fn read_body(stream: &mut (impl AsyncRead + Unpin), head: Head) -> Option<Vec<u8>> {
    let length = head.content_length;
    let body = read_some(stream, head, length).await?;
    (body.len() as u64 == length).then_some(body)
}

/// Reads at most `limit` bytes of the body, or what came with its head if that is more; `None` when reading fails.
pub async fn read_some(stream: &mut (impl AsyncRead + Unpin), head: Head, limit: u64) -> Option<Vec<u8>> {
    let mut body = head.behind;
    let missing = limit.saturating_sub(body.len() as u64);
    stream.take(missing).read_to_end(&mut body).await.ok()?;
    Some(body)
}

/// Reads a whole request; `None` when the connection ends first.
pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let head = read_head(stream).await?;
    let text = head.text.clone();
    Some((text, read_body(stream, head).await?))
}

/// Sends a whole answer. `headers` are lines that end with CRLF.
///
/// # Panics
///
/// When the peer has gone.
pub async fn answer(stream: &mut (impl AsyncWrite + Unpin), status: u16, headers: &str, body: &str) {
    let head = format!("HTTP/1.1 {status} Told\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    // What was written over TLS may still wait for its turn.
    stream.flush().await.unwrap();
}

/// Answers every request on a connection with this body.
///
/// # Panics
///
/// When the peer goes before it has its answer.
pub async fn answer_all(mut stream: impl AsyncRead + AsyncWrite + Unpin, body: &'static str) {
    while read_request(&mut stream).await.is_some() {
        answer(&mut stream, 200, "", body).await;
    }
}

/// Reads until the connection ends, and counts the bytes.
pub async fn drain(stream: &mut (impl AsyncRead + Unpin), drained: &mut u64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        *drained += read as u64;
    }
}
