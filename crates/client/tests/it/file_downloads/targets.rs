//! Targets that fail, and what is asked of them.

use std::{
    io,
    sync::{Arc, Condvar, Mutex},
    thread::{self, ThreadId},
    time::Duration,
};

use partwise::{Error, FileTarget, Target, Writing};
use partwise_testkit::content::noise;

use crate::{
    peer::{MIB, options},
    range_peer::{Folder, part, peer, plan, within},
};

/// Takes half of everything, and then nothing more.
struct Full(FileTarget);

impl Target for Full {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_length(length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        match offset {
            0..1_000_000 => self.0.write_at(offset, &bytes[..bytes.len().div_ceil(2)]),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

#[tokio::test]
async fn a_target_that_takes_no_more_ends_the_download() {
    let content = noise(4 * MIB);
    let (peer, _) = peer(move |_, range| part(&content, within(range, &content), "")).await;
    for writing in [Writing::Blocking, Writing::Inline] {
        let folder = Folder::new();
        let client = peer.client(options()).to_builder().writing(writing).build();
        let error = client.download_to(plan("file-1", MIB), Full(folder.target())).await.unwrap_err();
        assert!(
            matches!(&error, Error::Target(cause) if cause.kind() == io::ErrorKind::StorageFull),
            "{error}"
        );
    }
}

/// Remembers who gave it which length.
struct Noted(FileTarget, Arc<Mutex<Vec<(u64, ThreadId)>>>);

impl Target for Noted {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.1.lock().unwrap().push((length, thread::current().id()));
        self.0.set_length(length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        assert!(!self.1.lock().unwrap().is_empty(), "it has its length before it is written");
        self.0.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

#[tokio::test]
async fn a_target_gets_its_length_first_and_last_and_where_it_is_written() {
    let content = noise(2 * MIB);
    let (peer, _) = peer(move |_, range| part(&content, within(range, &content), "")).await;
    for writing in [Writing::Blocking, Writing::Inline] {
        let (folder, noted) = (Folder::new(), Arc::<Mutex<Vec<_>>>::default());
        let target = Noted(folder.target(), noted.clone());
        peer.client(options())
            .to_builder()
            .writing(writing)
            .build()
            .download_to(plan("file-1", MIB), target)
            .await
            .unwrap();
        let noted = noted.lock().unwrap();
        assert!(matches!(noted[..], [(first, _), (last, _)] if first == 2 * MIB && last == 2 * MIB));
        assert_eq!(noted[0].1 == thread::current().id(), writing == Writing::Inline, "{writing:?}");
    }
}

/// One write fails while another is under way.
#[derive(Clone, Default)]
struct Failing(Arc<(Mutex<u32>, Condvar)>);

impl Target for Failing {
    fn length(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn set_length(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let (writing, changed) = &*self.0;
        let mut writing = writing.lock().unwrap();
        if offset < MIB {
            return Ok(bytes.len());
        }
        if offset < 2 * MIB {
            while *writing == 0 {
                writing = changed.wait(writing).unwrap();
            }
            return Err(io::ErrorKind::StorageFull.into());
        }
        *writing += 1;
        changed.notify_all();
        drop(writing);
        // Long enough for the failure of the other one to be told.
        thread::sleep(Duration::from_millis(100));
        *self.0.0.lock().unwrap() -= 1;
        Ok(bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_writes_any_more_once_it_has_failed() {
    let content = noise(3 * MIB);
    let (peer, _) = peer(move |_, range| part(&content, within(range, &content), "")).await;
    let target = Failing::default();
    peer.client(options()).download_to(plan("file-1", MIB), target.clone()).await.unwrap_err();
    assert_eq!(*target.0.0.lock().unwrap(), 0);
}
