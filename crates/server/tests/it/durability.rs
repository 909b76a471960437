//! What is synced before an answer, seen from outside.

use std::{collections::BTreeSet, mem::MaybeUninit, path::Path};

use partwise_protocol::operations::{CancelUpload, ListFiles};
use partwise_server::Durability;
use rustix::{
    fd::OwnedFd,
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};

use crate::world::{HOUR, World};

/// Sees folders being opened. The server opens one to list it or to sync it, and taking a part lists nothing.
struct Watch {
    events: OwnedFd,
    names: Vec<(i32, &'static str)>,
}

impl Watch {
    fn new(folders: &[(&'static str, &Path)]) -> Self {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let watch = |(name, folder): &(&'static str, &Path)| {
            (inotify::add_watch(&events, *folder, WatchFlags::OPEN | WatchFlags::DELETE).unwrap(), *name)
        };
        let names = folders.iter().map(watch).collect();
        Self { events, names }
    }

    /// The folders that were opened since.
    fn opened(&self) -> BTreeSet<&'static str> {
        let opened = |event| match event {
            Seen::Opened(folder) => Some(folder),
            Seen::Removed(_) => None,
        };
        self.seen().into_iter().filter_map(opened).collect()
    }

    /// Everything since, in order.
    fn seen(&self) -> Vec<Seen> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.events, &mut buffer);
        let mut seen = Vec::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return seen,
                Err(error) => panic!("{error}"),
            };
            // What has a name is in the folder; what has none is the folder.
            let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
            let folder = self.names.iter().find(|(id, _)| *id == event.wd()).map(|(_, name)| *name);
            match (name, folder) {
                (None, Some(folder)) if event.events().contains(ReadFlags::OPEN) => {
                    seen.push(Seen::Opened(folder));
                }
                (Some(name), _) if event.events().contains(ReadFlags::DELETE) => {
                    seen.push(Seen::Removed(name));
                }
                _ => {}
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Opened(&'static str),
    Removed(String),
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

#[tokio::test]
async fn folders_that_another_process_made_are_synced_before_the_first_answer_that_needs_them() {
    let folder = tempfile::tempdir().unwrap();
    // It may have been killed before it synced them.
    drop(World::in_folder(folder.path()).await.caller().create_file("a.txt", b"a").await);
    let world = World::in_folder(folder.path()).await;
    let [tenants, tenant] = ["tenants", "tenants/team-a"].map(|path| folder.path().join(path));
    let watch = Watch::new(&[("root", folder.path()), ("tenants", &tenants), ("tenant", &tenant)]);
    world.caller().create_upload("b.txt", 1).await;
    world.caller().create_file("b.txt", b"b").await;
    assert_eq!(watch.opened(), BTreeSet::from(["root", "tenants", "tenant"]));
    world.caller().create_file("c.txt", b"c").await;
    assert_eq!(watch.opened(), BTreeSet::new(), "once is enough");
}

#[tokio::test]
async fn the_end_of_an_upload_is_swept_after_the_removal_of_its_other_records_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 1).await;
    caller.add_part(&upload, b"a").await;
    caller.call(&CancelUpload::new(&upload.id)).await.unwrap();
    world.advance(HOUR);
    world.server.sweep().await.unwrap();
    world.advance(HOUR);
    let records = folder.path().join("tenants/team-a/uploads").join(upload.id.trim_start_matches("upload_"));
    let watch = Watch::new(&[("records", &records)]);
    assert_eq!(world.server.sweep().await.unwrap().records, 3);
    let seen = watch.seen();
    let place = |name: &str| {
        seen.iter().position(|seen| matches!(seen, Seen::Removed(found) if found.starts_with(name)))
    };
    let (last, end) = (place("part-").max(place("created")).unwrap(), place("final").unwrap());
    assert!(last < end && seen[last..end].contains(&Seen::Opened("records")), "{seen:?}");
}
