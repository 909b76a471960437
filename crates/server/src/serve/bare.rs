//! Answers to callers whose request HTTP does not come to see.

use std::time::{Duration, SystemTime};

use http::{Response, StatusCode};
use partwise_protocol::{Api, error::ApiError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// The time that a caller has to take an answer, and again to see that the connection ends.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes that are read of a caller at once, to be thrown away.
const DISCARDED: usize = 16 * 1024;

/// The header that tells a caller, in seconds, when to come back.
pub(super) const COME_BACK: (&str, &str) = ("retry-after", "1");

/// An answer in the API's shape, as it stands on the wire.
pub(super) fn answer(status: StatusCode, message: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let refusal = ApiError::new(status, message).encode_response(&Api::openai());
    let body = refusal.ok().and_then(|response: Response<_>| response.into_body().into_bytes().ok());
    let body = body.unwrap_or_default();
    let (reason, length) = (status.canonical_reason().unwrap_or_default(), body.len());
    let date = httpdate::fmt_http_date(SystemTime::now());
    let mut text = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\ndate: {date}\r\n",
        status.as_u16()
    );
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    [text.as_bytes(), &body].concat()
}

/// Writes an answer and ends the connection.
pub(super) async fn say(stream: &mut TcpStream, answer: &[u8]) {
    if matches!(timeout(PATIENCE, stream.write_all(answer)).await, Ok(Ok(()))) {
        end(stream).await;
    }
}

/// Ends a connection whose caller may still be sending: it is read for a moment, since closing would discard the answer
/// together with what was not read.
pub(super) async fn end(stream: &mut TcpStream) {
    let reading = async {
        let mut discarded = vec![0; DISCARDED];
        stream.shutdown().await?;
        while stream.read(&mut discarded).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    let _ = timeout(PATIENCE, reading).await;
}
