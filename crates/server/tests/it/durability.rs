//! What is synced before an answer, seen from outside.

use std::{collections::BTreeSet, mem::MaybeUninit, path::Path};

use partwise_protocol::ListFiles;
use partwise_server::Durability;
use rustix::{
    fd::OwnedFd,
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};

use crate::world::World;

/// Sees folders being opened. The server opens one to list it or to sync it, and taking a part lists nothing.
struct Watch {
    events: OwnedFd,
    names: Vec<(i32, &'static str)>,
}

impl Watch {
    fn new(folders: &[(&'static str, &Path)]) -> Self {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let watch = |(name, folder): &(&'static str, &Path)| {
            (inotify::add_watch(&events, *folder, WatchFlags::OPEN).unwrap(), *name)
        };
        let names = folders.iter().map(watch).collect();
        Self { events, names }
    }

    /// The folders that were opened since.
    fn opened(&self) -> BTreeSet<&'static str> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.events, &mut buffer);
        let mut opened = BTreeSet::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return opened,
                Err(error) => panic!("{error}"),
            };
            // What has a name is in the folder; what has none is the folder.
            if event.events().contains(ReadFlags::OPEN) && event.file_name().is_none() {
                opened.extend(self.names.iter().filter(|(id, _)| *id == event.wd()).map(|(_, name)| *name));
            }
        }
    }
}

/// The folders that are synced before a second part of an upload is answered.
async fn synced_for_a_part(durability: Durability, part: &[u8]) -> BTreeSet<&'static str> {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder_with(folder.path(), durability).await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 1 + part.len() as u64).await;
    let first = caller.add_part(&upload, b"a").await;

    let tenant = folder.path().join("tenants/team-a");
    let records = std::fs::read_dir(tenant.join("uploads")).unwrap().next().unwrap().unwrap().path();
    let watch = Watch::new(&[("blobs", &tenant.join("blobs")), ("records", &records)]);
    let second = caller.add_part(&upload, part).await;
    let synced = watch.opened();

    let file = caller.complete(&upload, &[first, second]).await;
    assert_eq!(caller.download(&file.id).await.unwrap(), [b"a", part].concat());
    assert_eq!(caller.call(&ListFiles::new()).await.unwrap().data.len(), 1);
    synced
}

#[tokio::test]
async fn a_part_is_answered_after_the_folders_of_its_bytes_and_its_record_are_synced() {
    for length in [1, 1 << 20] {
        let synced = synced_for_a_part(Durability::Strict, &vec![7; length]).await;
        assert_eq!(synced, BTreeSet::from(["blobs", "records"]), "{length} bytes");
    }
}

#[tokio::test]
async fn nothing_is_synced_when_nothing_was_asked_for() {
    for length in [1, 1 << 20] {
        let synced = synced_for_a_part(Durability::None, &vec![7; length]).await;
        assert_eq!(synced, BTreeSet::new(), "{length} bytes");
    }
}
