//! Folders as a cut leaves them on a full disk: while a piece of the reserve becomes a record, while a record takes the room of
//! another, and while what is freed is removed. Each is made by hand, opened, swept and read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use http::StatusCode;
use partwise_models::{Upload, UploadStatus};
use partwise_protocol::operations::{CancelUpload, DeleteFile, ListFiles};
use partwise_server::Durability;

use crate::{
    folder::below,
    sweep::set_to_today,
    world::{Caller, HOUR, World},
};

const TENANT: &str = "tenants/team-a";

/// A store with one of each that can go away.
struct Scene {
    home: tempfile::TempDir,
    kept: String,
    whole: String,
    of_parts: String,
    completed: Upload,
    open: Upload,
    parts: Vec<String>,
}

/// What callers see in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    All,
    WithoutWhole,
    WithoutOfParts,
    /// The upload was cancelled, or is not to be found.
    WithoutOpen,
    /// The upload lost records of parts: it can only be cancelled, and was not yet.
    OpenIsCutShort,
}

/// How far a piece of the reserve, or a record whose room is taken, has become a new record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Moved,
    HalfWritten,
    Written,
    Linked,
    Published,
}

const STAGES: [Stage; 5] =
    [Stage::Moved, Stage::HalfWritten, Stage::Written, Stage::Linked, Stage::Published];

fn digits(id: &str) -> &str {
    id.rsplit(['-', '_']).next().unwrap()
}

async fn world_in(root: &Path) -> World {
    let world = World::in_folder_with(root, Durability::None).await;
    set_to_today(&world);
    world
}

async fn upload_of_two_parts(caller: &Caller) -> (Upload, Vec<String>) {
    let upload = caller.create_upload("ab.txt", 2).await;
    let parts = vec![caller.add_part(&upload, b"a").await, caller.add_part(&upload, b"b").await];
    (upload, parts)
}

impl Scene {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let world = world_in(home.path()).await;
        let caller = world.caller();
        let kept = caller.create_file("kept", b"k").await.id;
        let whole = caller.create_file("a.txt", b"ab").await.id;
        let (completed, named) = upload_of_two_parts(&caller).await;
        let of_parts = caller.complete(&completed, &named).await.id;
        let (open, parts) = upload_of_two_parts(&caller).await;
        Self { home, kept, whole, of_parts, completed, open, parts }
    }

    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(path)
    }

    fn record(&self, file: &str) -> PathBuf {
        self.at(format!("{TENANT}/files/{}.json", digits(file)))
    }

    fn tombstone(&self, file: &str) -> PathBuf {
        self.at(format!("{TENANT}/files/{}.deleted.json", digits(file)))
    }

    fn of_upload(&self, upload: &Upload, name: &str) -> PathBuf {
        self.at(format!("{TENANT}/uploads/{}/{name}.json", digits(&upload.id)))
    }

    /// What stands in a folder of the tenant under a name that has this in it.
    fn all(&self, folder: &str, part: &str) -> Vec<PathBuf> {
        let mut found = below(&self.at(format!("{TENANT}/{folder}")));
        found.retain(|path| path.file_name().unwrap().to_string_lossy().contains(part));
        found
    }

    fn bytes_and_parts(&self, upload: &Upload) -> Vec<PathBuf> {
        let mut found = self.all("blobs", digits(&upload.id));
        found.extend(self.all(&format!("uploads/{}", digits(&upload.id)), "part-"));
        found
    }

    fn take_over(&self, from: &Path, target: &Path, content: &[u8], stage: Stage) {
        let mut at = target.as_os_str().to_owned();
        at.push("#1234567890123456789");
        let at = PathBuf::from(at);
        fs::rename(from, &at).unwrap();
        let mut found = fs::read(&at).unwrap();
        found.resize(found.len().max(content.len()), 0);
        match stage {
            Stage::Moved => return,
            Stage::HalfWritten => {
                let half = content.len() / 2;
                found[..half].copy_from_slice(&content[..half]);
                return fs::write(&at, found).unwrap();
            }
            Stage::Written | Stage::Linked | Stage::Published => fs::write(&at, content).unwrap(),
        }
        match stage {
            Stage::Linked => fs::hard_link(&at, target).unwrap(),
            Stage::Published => fs::rename(&at, target).unwrap(),
            _ => {}
        }
    }

    fn spend(&self, target: &Path, content: &[u8], stage: Stage) {
        self.take_over(&self.at("reserve/room#0"), target, content, stage);
    }

    /// The content of a record by which something went away a minute ago.
    fn gone(&self, status: Option<&str>) -> Vec<u8> {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() - 60;
        let status = status.map(|status| format!(",\"status\":\"{status}\"")).unwrap_or_default();
        format!("{{\"at\":{now}{status}}}").into_bytes()
    }

    fn bury(&self, file: &str) {
        fs::write(self.tombstone(file), self.gone(None)).unwrap();
    }

    fn cancel(&self) {
        fs::write(self.of_upload(&self.open, "final"), self.gone(Some("cancelled"))).unwrap();
    }
}

fn remove(paths: &[PathBuf]) {
    paths.iter().for_each(|path| fs::remove_file(path).unwrap());
}

/// Checks what callers see.
async fn is_left(world: &World, scene: &Scene, left: Left) {
    let caller = world.caller();
    let mut expected = vec![&scene.kept];
    for (file, content, without) in
        [(&scene.whole, "ab", Left::WithoutWhole), (&scene.of_parts, "ab", Left::WithoutOfParts)]
    {
        if left == without {
            assert_eq!(caller.download(file).await.unwrap_err().status, StatusCode::NOT_FOUND);
            let again = caller.call(&DeleteFile::new(file)).await.unwrap_err();
            assert_eq!(again.status, StatusCode::NOT_FOUND);
        } else {
            assert_eq!(caller.download(file).await.unwrap(), content);
            expected.push(file);
        }
    }
    assert_eq!(caller.download(&scene.kept).await.unwrap(), "k");
    let list = caller.call(&ListFiles::new()).await.unwrap();
    let mut listed: Vec<_> = list.data.iter().map(|file| &file.id).collect();
    listed.reverse();
    assert_eq!(listed, expected);
    assert!(caller.try_add_part(&scene.completed, b"c").await.is_err(), "what was completed takes no part");
}

/// Checks the upload that was open, and ends it.
async fn ends(world: &World, scene: &Scene, left: Left) {
    let caller = world.caller();
    match left {
        Left::WithoutOpen => {
            assert!(caller.try_complete(&scene.open, &scene.parts).await.is_err());
            match caller.call(&CancelUpload::new(&scene.open.id)).await {
                Ok(cancelled) => assert_eq!(cancelled.status, Some(UploadStatus::Cancelled)),
                Err(refusal) => assert_eq!(refusal.status, StatusCode::NOT_FOUND),
            }
        }
        Left::OpenIsCutShort => {
            let refusal = caller.try_complete(&scene.open, &scene.parts).await.unwrap_err();
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
            caller.call(&CancelUpload::new(&scene.open.id)).await.unwrap();
        }
        _ => {
            let file = caller.complete(&scene.open, &scene.parts).await;
            assert_eq!(caller.download(&file.id).await.unwrap(), "ab");
            caller.call(&DeleteFile::new(&file.id)).await.unwrap();
        }
    }
}

/// Makes the folder that `cut` says, and looks at it, before or after the first sweep.
async fn holds(name: &str, left: Left, cut: &dyn Fn(&Scene), is_swept_first: bool) {
    let scene = Scene::new().await;
    cut(&scene);
    let world = world_in(scene.home.path()).await;
    if is_swept_first {
        assert_eq!(world.server.sweep().await.unwrap().skipped, 0, "{name}");
    }
    is_left(&world, &scene, left).await;
    ends(&world, &scene, left).await;
    for _ in 0..4 {
        world.advance(26 * HOUR);
        assert_eq!(world.server.sweep().await.unwrap().skipped, 0, "{name}");
        is_left(&world, &scene, left).await;
    }
    for file in [&scene.whole, &scene.of_parts] {
        let _ = world.caller().call(&DeleteFile::new(file)).await;
    }
    for _ in 0..5 {
        world.advance(HOUR);
        world.server.sweep().await.unwrap();
    }
    assert_eq!(world.objects().await.len(), 2, "{name}: {:?}", world.objects().await);
    let root = scene.home.path();
    let staged = below(root).into_iter().filter(|path| path.to_string_lossy().contains('#'));
    let (pieces, others): (Vec<_>, Vec<_>) = staged.partition(|path| path.starts_with(root.join("reserve")));
    assert_eq!((pieces.len(), others), (32, Vec::new()), "{name}");
    assert!(pieces.iter().all(|piece| fs::metadata(piece).unwrap().len() == 16 * 1024), "{name}");
}

type Cut = Box<dyn Fn(&Scene)>;

/// While a piece of the reserve, or a record, becomes another.
fn cuts_of_records() -> Vec<(String, Left, Cut)> {
    let mut cuts: Vec<(String, Left, Cut)> = Vec::new();
    for stage in STAGES {
        let after = |left| if stage < Stage::Linked { Left::All } else { left };
        let mut add = |what: &str, left, cut: Cut| cuts.push((format!("{what}, {stage:?}"), left, cut));
        add(
            "tombstone of a file sent at once",
            after(Left::WithoutWhole),
            Box::new(move |scene| scene.spend(&scene.tombstone(&scene.whole), &scene.gone(None), stage)),
        );
        add(
            "tombstone of a file of parts",
            after(Left::WithoutOfParts),
            Box::new(move |scene| scene.spend(&scene.tombstone(&scene.of_parts), &scene.gone(None), stage)),
        );
        add(
            "end of an upload",
            after(Left::WithoutOpen),
            Box::new(move |scene| {
                let end = scene.of_upload(&scene.open, "final");
                scene.spend(&end, &scene.gone(Some("cancelled")), stage);
            }),
        );
        add(
            "record of a completed file",
            Left::All,
            Box::new(move |scene| {
                let path = scene.record(&scene.of_parts);
                let record = fs::read(&path).unwrap();
                fs::remove_file(&path).unwrap();
                scene.spend(&path, &record, stage);
            }),
        );
        add(
            "end of an upload in place of its beginning",
            Left::WithoutOpen,
            Box::new(move |scene| {
                remove(&scene.all(&format!("uploads/{}", digits(&scene.open.id)), "part-"));
                let [beginning, end] = ["created", "final"].map(|name| scene.of_upload(&scene.open, name));
                scene.take_over(&beginning, &end, &scene.gone(Some("cancelled")), stage);
            }),
        );
        add(
            "tombstone in place of a beginning",
            after(Left::WithoutOfParts),
            Box::new(move |scene| {
                let beginning = scene.of_upload(&scene.completed, "created");
                scene.take_over(&beginning, &scene.tombstone(&scene.of_parts), &scene.gone(None), stage);
            }),
        );
    }
    cuts
}

/// While what is freed is removed, after so many removals. Those of bytes and parts have no order.
fn cuts_of_removals(removals: usize) -> Vec<(String, Left, Cut)> {
    let first = move |mut paths: Vec<PathBuf>, is_backwards: bool| {
        if is_backwards {
            paths.reverse();
        }
        paths.truncate(removals);
        paths
    };
    let mut cuts: Vec<(String, Left, Cut)> = Vec::new();
    for is_backwards in [false, true] {
        let mut add = |what: &str, left, cut: Cut| {
            cuts.push((format!("{what}, {removals} removals, {is_backwards}"), left, cut));
        };
        add(
            "deleted file of parts",
            Left::WithoutOfParts,
            Box::new(move |scene| {
                scene.bury(&scene.of_parts);
                let mut last =
                    vec![scene.of_upload(&scene.completed, "final"), scene.record(&scene.of_parts)];
                let mut bytes = scene.bytes_and_parts(&scene.completed);
                if is_backwards {
                    last.reverse();
                    bytes.reverse();
                }
                let beginning = vec![scene.of_upload(&scene.completed, "created")];
                remove(&first([beginning, bytes, last].concat(), false));
            }),
        );
        add(
            "deleted file sent at once",
            Left::WithoutWhole,
            Box::new(move |scene| {
                scene.bury(&scene.whole);
                let blobs = scene.all("blobs", &digits(&scene.whole)[..25]);
                remove(&first([blobs, vec![scene.record(&scene.whole)]].concat(), false));
            }),
        );
        add(
            "file sent at once that is deleted without a tombstone",
            if removals == 0 { Left::All } else { Left::WithoutWhole },
            Box::new(move |scene| {
                let blobs = scene.all("blobs", &digits(&scene.whole)[..25]);
                remove(&first([vec![scene.record(&scene.whole)], blobs].concat(), false));
            }),
        );
        add(
            "cancelled upload",
            Left::WithoutOpen,
            Box::new(move |scene| {
                scene.cancel();
                remove(&first(scene.bytes_and_parts(&scene.open), is_backwards));
            }),
        );
        let left = match removals {
            0 => Left::All,
            1 | 2 => Left::OpenIsCutShort,
            _ => Left::WithoutOpen,
        };
        add(
            "upload that is cancelled without a record",
            left,
            Box::new(move |scene| {
                let parts = scene.all(&format!("uploads/{}", digits(&scene.open.id)), "part-");
                let beginning = vec![scene.of_upload(&scene.open, "created")];
                remove(&first([parts, beginning].concat(), false));
            }),
        );
    }
    cuts
}

#[tokio::test]
async fn a_record_that_a_cut_left_half_made_on_a_full_disk_is_there_or_is_swept() {
    for (name, left, cut) in cuts_of_records() {
        for is_swept_first in [false, true] {
            holds(&name, left, &*cut, is_swept_first).await;
        }
    }
}

#[tokio::test]
async fn removals_that_were_cut_off_on_a_full_disk_are_done_by_the_sweeper() {
    for removals in 0..8 {
        for (name, left, cut) in cuts_of_removals(removals) {
            for is_swept_first in [false, true] {
                holds(&name, left, &*cut, is_swept_first).await;
            }
        }
    }
}
