//! Bytes that are written once: in as they arrive, out in order, never as a whole in memory.

mod reader;
mod writer;

pub(crate) use reader::{Chunks, Opened, Stretches, md5, read};
pub(crate) use writer::BlobWriter;

/// How many bytes go to or come from the store at once.
///
/// A request holds at most this much on its way to the disk while as much gathers, however large the file is; smaller
/// pieces cost more hand-overs between threads than they save.
const CHUNK: usize = 256 * 1024;
