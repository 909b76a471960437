//! How long a request's body is, and where its end is.

use anyhow::{Result, bail};

use super::connection::Connection;

/// How the end of a body is known.
pub(crate) enum Framing {
    Length(u64),
    Chunked,
}

/// Throws a body away, and says how long it was.
pub(super) fn discard(connection: &mut Connection, framing: &Framing) -> Result<u64> {
    match framing {
        Framing::Length(length) => {
            connection.discard(*length)?;
            Ok(*length)
        }
        Framing::Chunked => {
            let mut total = 0;
            loop {
                let line = connection.line()?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let Ok(size) = u64::from_str_radix(size, 16) else { bail!("a chunk begins with {line:?}") };
                if size == 0 {
                    // Trailers end with an empty line.
                    while !connection.line()?.is_empty() {}
                    return Ok(total);
                }
                connection.discard(size + 2)?;
                total += size;
            }
        }
    }
}
