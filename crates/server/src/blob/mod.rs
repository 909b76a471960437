//! Bytes that are written once: in as they arrive, out in order, never as a whole in memory.

mod budget;
mod gathered;
mod pieces;
mod reader;
mod writer;

pub(crate) use budget::Budget;
pub(crate) use pieces::PieceMemory;
pub(crate) use reader::{Chunks, Opened, Stretches, md5, read};
pub(crate) use writer::BlobWriter;
