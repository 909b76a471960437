//! A file that is read and written at places, by several at the same time.

#[cfg(any(unix, windows))]
pub(crate) use self::direct::Positioned;
#[cfg(not(any(unix, windows)))]
pub(crate) use self::seeking::Positioned;

/// Systems that read and write at a place without moving a cursor.
#[cfg(any(unix, windows))]
mod direct {
    use std::{fs::File, io, sync::Arc};

    #[derive(Debug)]
    pub(crate) struct Positioned(Arc<File>);

    impl Positioned {
        pub(crate) fn new(file: File) -> Self {
            Self(file.into())
        }

        /// The file, for whoever leaves its cursor alone.
        pub(crate) fn shared(&self) -> Option<Arc<File>> {
            Some(self.0.clone())
        }

        pub(crate) fn with<T>(&self, act: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
            act(&self.0)
        }

        pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            #[cfg(unix)]
            return std::os::unix::fs::FileExt::read_at(&*self.0, buffer, offset);
            // This moves the file's cursor as well, which nobody here looks at.
            #[cfg(windows)]
            return std::os::windows::fs::FileExt::seek_read(&*self.0, buffer, offset);
        }

        pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
            #[cfg(unix)]
            return std::os::unix::fs::FileExt::write_at(&*self.0, bytes, offset);
            #[cfg(windows)]
            return std::os::windows::fs::FileExt::seek_write(&*self.0, bytes, offset);
        }
    }
}

/// Everywhere else they take turns.
#[cfg(any(test, not(any(unix, windows))))]
#[cfg_attr(any(unix, windows), allow(dead_code, reason = "here it is only tested"))]
pub(crate) mod seeking {
    use std::{
        fs::File,
        io::{self, Read, Seek, SeekFrom, Write},
        sync::{Arc, Mutex, PoisonError},
    };

    #[derive(Debug)]
    pub(crate) struct Positioned(Mutex<File>);

    impl Positioned {
        pub(crate) fn new(file: File) -> Self {
            Self(Mutex::new(file))
        }

        #[allow(clippy::unused_self, reason = "its cursor is always in use")]
        pub(crate) fn shared(&self) -> Option<Arc<File>> {
            None
        }

        pub(crate) fn with<T>(&self, act: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
            act(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }

        pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            self.with(|mut file| {
                file.seek(SeekFrom::Start(offset))?;
                file.read(buffer)
            })
        }

        pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
            self.with(|mut file| {
                file.seek(SeekFrom::Start(offset))?;
                file.write(bytes)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_read_what_the_other_wrote() {
        let file = tempfile::tempfile().unwrap();
        let (direct, taking_turns) =
            (Positioned::new(file.try_clone().unwrap()), seeking::Positioned::new(file));
        assert_eq!(direct.write_at(4, b"4567").unwrap(), 4);
        assert_eq!(taking_turns.write_at(0, b"0123").unwrap(), 4);
        for (offset, expected) in [(6, "67"), (0, "0123"), (3, "3456"), (8, "")] {
            let mut buffer = [0; 4];
            let filled = direct.read_at(offset, &mut buffer).unwrap();
            assert_eq!(&buffer[..filled], expected.as_bytes());
            let filled = taking_turns.read_at(offset, &mut buffer).unwrap();
            assert_eq!(&buffer[..filled], expected.as_bytes());
        }
        assert_eq!(taking_turns.with(std::fs::File::metadata).unwrap().len(), 8);
    }
}
