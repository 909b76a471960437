//! What is sent where in one comparison.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::sink_process::Sink;
use crate::noise::Noise;

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;
/// The part size of peers when no other one is set: the most that a service takes as one part.
pub(crate) const PEERS_PART: u64 = 64 * MIB;

/// One file, one service, one way to cut.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) origin: String,
    /// The certificate to trust, when the service speaks TLS.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) file: PathBuf,
    pub(crate) length: u64,
    /// `None` leaves it to the client.
    pub(crate) part_size: Option<u64>,
    pub(crate) parallel: u16,
    /// The path of an upload's parts, for those who begin none.
    pub(crate) parts_at: String,
    /// Where clients may keep things.
    pub(crate) scratch: PathBuf,
}

impl Scene {
    /// A file of nothing but zeros that takes no room, cut as the client likes.
    pub(crate) fn at(sink: &Sink, length: u64, parallel: u16, scratch: &Path) -> Self {
        Self {
            origin: sink.origin(),
            certificate: sink.certificate.clone(),
            file: scratch.join(format!("zeros-{length}.bin")),
            length,
            part_size: None,
            parallel,
            parts_at: "/v1/uploads/upload_1/parts".to_owned(),
            scratch: scratch.to_owned(),
        }
    }

    /// Makes that file, and reads it once: the system makes its pages at the first reading, which takes more than sending
    /// them.
    pub(crate) fn sparse(&self) -> Result<()> {
        File::create(&self.file)?.set_len(self.length)?;
        let (mut file, mut buffer) = (File::open(&self.file)?, vec![0; MIB as usize]);
        while file.read(&mut buffer)? > 0 {}
        Ok(())
    }

    /// The part size for peers that choose none.
    pub(crate) fn cut(&self) -> u64 {
        self.part_size.unwrap_or(PEERS_PART)
    }

    pub(crate) fn base(&self) -> String {
        format!("{}/v1", self.origin)
    }

    /// Where a download goes.
    pub(crate) fn copy(&self) -> PathBuf {
        self.scratch.join("copy/copy.bin")
    }

    /// A file for each part, since curl sends nothing else in a form.
    pub(crate) fn parts(&self) -> Result<Vec<PathBuf>> {
        let folder = self.scratch.join(format!("parts-{}-{}", self.length, self.cut()));
        let count = self.length.div_ceil(self.cut());
        let paths: Vec<_> = (0..count).map(|index| folder.join(format!("{index:05}"))).collect();
        if !folder.exists() {
            fs::create_dir(&folder)?;
            let mut file = File::open(&self.file)?;
            for (index, path) in (0..).zip(&paths) {
                file.seek(SeekFrom::Start(index * self.cut()))?;
                let mut part = File::create(path)?;
                std::io::copy(&mut (&file).take(self.cut()), &mut part)?;
                part.sync_all()?;
            }
        }
        Ok(paths)
    }
}

/// A file of so many bytes that nothing makes smaller, made once.
pub(crate) fn noise(folder: &Path, length: u64) -> Result<PathBuf> {
    let path = folder.join(format!("noise-{length}.bin"));
    if path.exists() {
        return Ok(path);
    }
    Noise::new().write(&path, length)?;
    Ok(path)
}
