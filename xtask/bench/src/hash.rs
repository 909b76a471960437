//! The MD5 of a file, by the crate that the client uses: what no upload with `--md5` can be faster than.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use md5::{Digest as _, Md5};

const PIECE: usize = 256 * 1024;

pub(crate) fn md5(path: &Path) -> Result<()> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut md5, mut piece) = (Md5::new(), vec![0; PIECE]);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        md5.update(&piece[..read]);
    }
    let mut text = String::new();
    for byte in md5.finalize() {
        write!(text, "{byte:02x}")?;
    }
    println!("{text}");
    Ok(())
}
