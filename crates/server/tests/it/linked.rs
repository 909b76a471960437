//! Folders of a store that are links to another disk, which may not be mounted.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use http::StatusCode;
use partwise_protocol::operations::{DeleteFile, DownloadFile, ListFiles, RetrieveFile};

use crate::{
    sweep::set_to_today,
    world::{HOUR, World, printed},
};

const DAY: u64 = 24 * HOUR;

/// Moves what stands at `place` to another folder and leaves a link to it there. Gives back where it is now.
fn link(place: &Path, elsewhere: &Path) -> PathBuf {
    let moved = elsewhere.join("moved");
    fs::rename(place, &moved).unwrap();
    symlink(&moved, place).unwrap();
    moved
}

fn make_old(path: &Path) {
    let then = SystemTime::now() - Duration::from_secs(3 * DAY);
    fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

#[tokio::test]
async fn a_folder_that_is_a_link_to_nowhere_is_unavailable_and_loses_nothing() {
    for folder in ["tenants/team-a", "tenants/team-a/files", "tenants/team-a/uploads", "tenants/team-a/blobs"]
    {
        let (home, other_disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let world = World::in_folder(home.path()).await;
        set_to_today(&world);
        let caller = world.caller();
        let file = caller.create_file("a.txt", b"a").await;
        let of_parts = caller.create_file_of_parts("b.txt", &[b"b"]).await;
        let gone = world.stranger().create_file("c.txt", b"c").await;
        world.stranger().call(&DeleteFile::new(&gone.id)).await.unwrap();
        let moved = link(&home.path().join(folder), other_disk.path());
        assert_eq!(caller.download(&file.id).await.unwrap(), "a");
        world.advance(2 * DAY);
        assert_eq!(world.server.sweep().await.unwrap().skipped, 0, "{folder}");

        let away = other_disk.path().join("away");
        fs::rename(&moved, &away).unwrap();
        world.advance(2 * DAY);
        let swept = world.server.sweep().await.unwrap();
        assert_eq!((swept.blobs, swept.skipped), (0, 1), "{folder}: its tenant is skipped");
        if !folder.ends_with("uploads") {
            let answer = caller.send_operation(&DownloadFile::new(&file.id)).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{folder}: {}", printed(&answer));
            assert_eq!(answer.headers()["retry-after"], "5");
        }
        if folder.ends_with("team-a") || folder.ends_with("files") {
            for answer in [
                caller.send_operation(&ListFiles::new()).await,
                caller.send_operation(&RetrieveFile::new(&file.id)).await,
                caller.send_operation(&DeleteFile::new(&file.id)).await,
            ] {
                assert_eq!(
                    answer.status(),
                    StatusCode::SERVICE_UNAVAILABLE,
                    "{folder}: {}",
                    printed(&answer)
                );
            }
        }

        fs::rename(&away, &moved).unwrap();
        assert_eq!(caller.download(&file.id).await.unwrap(), "a", "{folder}");
        assert_eq!(caller.download(&of_parts.id).await.unwrap(), "b", "{folder}");
        assert_eq!(world.server.sweep().await.unwrap().skipped, 0, "{folder}");
    }
}

#[tokio::test]
async fn a_tenant_whose_folder_leads_nowhere_keeps_nobody_else_from_being_swept() {
    let home = tempfile::tempdir().unwrap();
    let world = World::in_folder(home.path()).await;
    let gone = world.stranger().create_file("b.txt", b"b").await;
    world.stranger().call(&DeleteFile::new(&gone.id)).await.unwrap();
    symlink("/nonexistent/disk", home.path().join("tenants/team-a")).unwrap();
    set_to_today(&world);
    let swept = world.server.sweep().await.unwrap();
    assert_eq!((swept.blobs, swept.skipped), (1, 1));
}

#[tokio::test]
async fn bytes_stay_while_no_older_record_of_their_tenant_is_to_be_seen_on_a_disk() {
    for folder in ["files", "uploads"] {
        let home = tempfile::tempdir().unwrap();
        let world = World::in_folder(home.path()).await;
        set_to_today(&world);
        let caller = world.caller();
        let file = caller.create_file("a.txt", b"a").await;
        let of_parts = caller.create_file_of_parts("b.txt", &[b"b"]).await;
        world.advance(2 * DAY);
        // A folder that another disk was mounted on is empty.
        let place = home.path().join("tenants/team-a").join(folder);
        let [mounted, below] = ["mounted", "below"].map(|name| home.path().join(name));
        fs::rename(&place, &mounted).unwrap();
        fs::create_dir(&place).unwrap();
        for _ in 0..3 {
            assert_eq!(world.server.sweep().await.unwrap().blobs, 0, "{folder}");
            // What is made meanwhile is newer.
            caller.create_file("c.txt", b"c").await;
            caller.create_upload("d.txt", 1).await;
            world.advance(2 * DAY);
        }
        fs::rename(&place, &below).unwrap();
        fs::rename(&mounted, &place).unwrap();
        assert_eq!(caller.download(&file.id).await.unwrap(), "a", "{folder}");
        assert_eq!(caller.download(&of_parts.id).await.unwrap(), "b", "{folder}");
    }
}

#[tokio::test]
async fn bytes_that_belong_to_nothing_go_from_a_disk_after_a_day() {
    let home = tempfile::tempdir().unwrap();
    let world = World::in_folder(home.path()).await;
    let caller = world.caller();
    caller.create_file("older", b"a").await;
    set_to_today(&world);
    let file = caller.create_file("a.txt", b"a").await;
    let record = format!("tenants/team-a/files/{}.json", file.id.strip_prefix("file-").unwrap());
    fs::remove_file(home.path().join(record)).unwrap();
    assert_eq!(world.server.sweep().await.unwrap().blobs, 0);
    world.advance(DAY + 120);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 1);
}

#[tokio::test]
async fn what_unfinished_writes_left_in_a_linked_folder_goes_after_a_day() {
    for folder in ["tenants/team-a", "tenants/team-a/blobs"] {
        let (home, other_disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let world = World::in_folder(home.path()).await;
        world.caller().create_file("a.txt", b"a").await;
        link(&home.path().join(folder), other_disk.path());
        let left = home.path().join("tenants/team-a/blobs/0068e7780000000000000000f#1");
        fs::write(&left, "unfinished").unwrap();
        make_old(&left);
        set_to_today(&world);
        assert_eq!(world.server.sweep().await.unwrap().unfinished, 1, "{folder}");
        assert!(!left.exists(), "{folder}");
    }
}

#[tokio::test]
async fn the_sweeper_follows_no_link_that_is_not_the_stores() {
    let (home, other_disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let world = World::in_folder(home.path()).await;
    world.caller().create_file("a.txt", b"a").await;
    let theirs = other_disk.path().join("notes#1");
    fs::write(&theirs, "a person's").unwrap();
    make_old(&theirs);
    for place in ["tenants/team-a/backup", "tenants/team-a/blobs/backup", "tenants/My backup"] {
        symlink(other_disk.path(), home.path().join(place)).unwrap();
    }
    symlink(home.path().join("tenants"), home.path().join("tenants/team-a/around")).unwrap();
    set_to_today(&world);
    assert_eq!(world.server.sweep().await.unwrap().skipped, 0);
    assert!(theirs.exists());
}

#[tokio::test]
async fn parts_of_an_upload_without_a_record_go_when_its_folder_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    set_to_today(&world);
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 1).await;
    caller.add_part(&upload, b"a").await;
    // What a cancel leaves for which not even the reserve had room.
    let of_upload = folder.path().join("tenants/team-a/uploads");
    for entry in fs::read_dir(of_upload.join(only_name(&of_upload))).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    caller.create_file("later", b"b").await;
    world.advance(48 * HOUR);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 1);
}

fn only_name(folder: &Path) -> std::ffi::OsString {
    let mut names = fs::read_dir(folder).unwrap();
    let name = names.next().unwrap().unwrap().file_name();
    assert!(names.next().is_none());
    name
}
