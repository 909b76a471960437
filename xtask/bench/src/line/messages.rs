//! HTTP/1.1 as it passes by, in one direction.

use memchr::memmem;

use crate::sink::{Framing, Head};

/// A head that is longer is none.
const LONGEST_HEAD: usize = 64 * 1024;

/// Told of each message as it passes.
pub(super) trait Watcher {
    /// A head has passed. The answer is what follows it.
    fn head(&mut self, head: &Head) -> Body;
    /// Some of the body has passed.
    fn body(&mut self, bytes: &[u8]);
    /// The whole message has passed.
    fn end(&mut self);
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked,
    /// By the end of the connection.
    Rest,
}

impl Body {
    /// The body that such a head announces. One that announces none has the length 0.
    pub(super) fn of(head: &Head) -> Self {
        match head.framing() {
            Ok(Framing::Length(length)) => Self::Length(length),
            Ok(Framing::Chunked) => Self::Chunked,
            Err(_) => Self::Rest,
        }
    }
}

/// The messages of one direction.
pub(super) struct Messages<W> {
    watcher: W,
    at: At,
}

/// What comes next.
enum At {
    Head(Vec<u8>),
    /// So many bytes of a body.
    Body(u64),
    /// The line before a chunk.
    Size(Vec<u8>),
    /// So many bytes of a chunk and of the line's end behind it.
    Chunk(u64),
    /// Lines after the last chunk, the last of which is empty.
    Trailer(Vec<u8>),
    Rest,
}

impl<W: Watcher> Messages<W> {
    pub(super) fn new(watcher: W) -> Self {
        Self { watcher, at: At::Head(Vec::new()) }
    }

    /// So much has passed.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.step(bytes);
        }
    }

    /// Handles the first of these bytes, and gives back the others.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match &mut self.at {
            At::Head(head) => {
                let (before, searched) = (head.len(), head.len().saturating_sub(3));
                head.extend_from_slice(bytes);
                let Some(at) = memmem::find(&head[searched..], b"\r\n\r\n") else {
                    if head.len() > LONGEST_HEAD {
                        self.at = At::Rest;
                    }
                    return &[];
                };
                let end = searched + at + 4;
                head.truncate(end - 4);
                let head = Head::new(std::mem::take(head));
                let body = head.map_or(Body::Rest, |head| self.watcher.head(&head));
                self.at = match body {
                    Body::Length(length) => At::Body(length),
                    Body::Chunked => At::Size(Vec::new()),
                    Body::Rest => At::Rest,
                };
                self.end_of_empty();
                &bytes[end - before..]
            }
            At::Body(left) | At::Chunk(left) => {
                let (now, later) =
                    bytes.split_at(bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX)));
                *left -= now.len() as u64;
                self.watcher.body(now);
                self.end_of_empty();
                later
            }
            At::Size(line) => {
                let later = line_of(line, bytes);
                if line.ends_with(b"\n") {
                    self.at = match size(line) {
                        None => At::Rest,
                        Some(0) => At::Trailer(Vec::new()),
                        Some(size) => At::Chunk(size.saturating_add(2)),
                    };
                }
                later
            }
            At::Trailer(line) => {
                let later = line_of(line, bytes);
                if line.ends_with(b"\n") {
                    let is_last = line.trim_ascii().is_empty();
                    line.clear();
                    if is_last {
                        self.finish();
                    }
                }
                later
            }
            At::Rest => {
                self.watcher.body(bytes);
                &[]
            }
        }
    }

    fn end_of_empty(&mut self) {
        match self.at {
            At::Body(0) => self.finish(),
            At::Chunk(0) => self.at = At::Size(Vec::new()),
            _ => {}
        }
    }

    fn finish(&mut self) {
        self.at = At::Head(Vec::new());
        self.watcher.end();
    }
}

/// Adds bytes to a line until it ends, and gives back the others.
fn line_of<'a>(line: &mut Vec<u8>, bytes: &'a [u8]) -> &'a [u8] {
    let (now, later) = bytes.split_at(memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1));
    line.extend_from_slice(now);
    later
}

fn size(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    u64::from_str_radix(line.split(';').next()?.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log(Vec<String>);

    impl Watcher for Log {
        fn head(&mut self, head: &Head) -> Body {
            self.0.push(format!("{} {} ", head.method(), head.path()));
            Body::of(head)
        }

        fn body(&mut self, bytes: &[u8]) {
            self.0.last_mut().expect("a head").push_str(&String::from_utf8_lossy(bytes));
        }

        fn end(&mut self) {
            self.0.last_mut().expect("a head").push('.');
        }
    }

    #[test]
    fn messages_are_told_apart_however_they_are_split() {
        let passing = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\n12\r\n3GET /b HTTP/1.1\r\n\r\nPUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: x\r\n\r\nGET /d HTTP/1.1\r\n\r\n";
        for piece in 1..passing.len() {
            let mut messages = Messages::new(Log::default());
            passing.chunks(piece).for_each(|bytes| messages.pass(bytes));
            let expected = ["POST /a 12\r\n3.", "GET /b .", "PUT /c abc\r\nd\r\n.", "GET /d ."];
            assert_eq!(messages.watcher.0, expected, "in pieces of {piece}");
        }
    }
}
