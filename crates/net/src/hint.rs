//! Hints to the system about how a file will be used.

use std::fs::File;

/// Tells the system that the file will be read from the front to the end, so that it reads ahead further. Only a hint.
pub fn read_ahead(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
