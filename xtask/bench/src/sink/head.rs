//! A request's head.

use anyhow::{Context as _, Result};

use super::content::Framing;

/// What is asked for.
pub(crate) struct Head(String);

impl Head {
    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self> {
        Ok(Self(String::from_utf8(bytes).context("a head is text")?))
    }

    pub(crate) fn method(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// The status, when this is an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        self.0.split(' ').nth(1)?.parse().ok()
    }

    /// Without the query.
    pub(crate) fn path(&self) -> &str {
        let target = self.0.split(' ').nth(1).unwrap_or_default();
        target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.0.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Whether the client waits to be told to go on.
    pub(crate) fn expects_continue(&self) -> bool {
        self.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }

    pub(crate) fn framing(&self) -> Result<Framing> {
        if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Ok(Framing::Chunked);
        }
        let length = self.header("content-length").map_or(Ok(0), str::parse).context("a content-length")?;
        Ok(Framing::Length(length))
    }

    /// The first byte and, if it is said, the last one of the range that is asked for. Ranges of other forms are as good as none.
    pub(crate) fn range(&self) -> Option<(u64, Option<u64>)> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let last = if last.is_empty() { None } else { Some(last.parse().ok()?) };
        Some((first.parse().ok()?, last))
    }
}
