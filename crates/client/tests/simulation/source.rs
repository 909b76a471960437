//! The file of a story: every word of it says where it stands, and something may happen to it.

use std::io;

use partwise::Source;
use partwise_protocol::upload::SourceStamp;
use tokio::time::Instant;

const WORD: u64 = 8;

/// A source in memory that is read as if it were on a disk.
#[derive(Debug)]
pub(crate) struct Content {
    original: Vec<u8>,
    salt: u32,
    mishap: Option<(Instant, Mishap)>,
}

/// What happens to the file at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// Other bytes, written later.
    Rewritten,
    /// Cut to this length.
    Shrunk(u64),
    /// It cannot be read any more, although it is there.
    Unreadable,
    /// It is gone.
    Gone,
    /// Other bytes, and nothing to see of it from outside.
    Forged,
}

impl Content {
    pub(crate) fn new(length: u64, salt: u32) -> Self {
        let words = (0..length.div_ceil(WORD)).map(|index| (u64::from(salt) << 32) | index);
        let mut original: Vec<u8> = words.flat_map(u64::to_be_bytes).collect();
        original.truncate(length as usize);
        Self { original, salt, mishap: None }
    }

    pub(crate) fn with_mishap(self, at: Instant, mishap: Mishap) -> Self {
        Self { mishap: Some((at, mishap)), ..self }
    }

    /// What it is before anything happens to it.
    pub(crate) fn len(&self) -> u64 {
        self.original.len() as u64
    }

    /// What it is now; `None` when it cannot be read.
    pub(crate) fn present(&self) -> Option<Vec<u8>> {
        let length = self.stamp().ok()?.length;
        let mut present = vec![0; length as usize];
        (self.read_at(0, &mut present).ok()? == present.len()).then_some(present)
    }

    /// Where in the file these bytes stand, which are a part's: a part begins with a whole word, or is the last.
    pub(crate) fn offset_of(&self, part: &[u8]) -> Option<u64> {
        let length = self.original.len() as u64;
        let Some((word, _)) = part.split_first_chunk::<8>() else {
            return Some(length - length % WORD);
        };
        let word = u64::from_be_bytes(*word);
        let offset = (word & u64::from(u32::MAX)) * WORD;
        (word >> 32 == u64::from(self.salt) && offset < length).then_some(offset)
    }

    fn mishap(&self) -> Option<Mishap> {
        self.mishap.filter(|(at, _)| Instant::now() >= *at).map(|(_, mishap)| mishap)
    }
}

impl Source for Content {
    fn stamp(&self) -> io::Result<SourceStamp> {
        let mut stamp = SourceStamp::new(self.original.len() as u64);
        match self.mishap() {
            None | Some(Mishap::Unreadable | Mishap::Forged) => {}
            Some(Mishap::Rewritten) => stamp.modified = Some("later".to_owned()),
            Some(Mishap::Shrunk(length)) => stamp.length = length,
            Some(Mishap::Gone) => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(stamp)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mishap = self.mishap();
        let end = match mishap {
            Some(Mishap::Unreadable | Mishap::Gone) => return Err(io::Error::other("a bad sector")),
            Some(Mishap::Shrunk(length)) => length as usize,
            _ => self.original.len(),
        };
        let rest = self.original.get(offset as usize..end).unwrap_or_default();
        let filled = rest.len().min(buffer.len());
        buffer[..filled].copy_from_slice(&rest[..filled]);
        if matches!(mishap, Some(Mishap::Rewritten | Mishap::Forged)) {
            buffer[..filled].iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        Ok(filled)
    }
}
