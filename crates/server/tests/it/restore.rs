//! Sweeping a folder of which not everything can be seen: while it is being restored, or where records cannot be looked at.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use partwise_protocol::operations::ListFiles;

use crate::{
    faulty::Faulty,
    sweep::set_to_today,
    world::{HOUR, World},
};

const DAY: u64 = 24 * HOUR;

/// Gives everything in `folder` the times that it had before a backup was made.
fn make_old(folder: &Path) {
    let then = SystemTime::now() - Duration::from_secs(3 * DAY);
    for entry in fs::read_dir(folder).unwrap() {
        fs::File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(then).unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn bytes_that_are_restored_before_their_records_stay() {
    let home = tempfile::tempdir().unwrap();
    let world = World::in_folder(home.path()).await;
    let caller = world.caller();
    let older = caller.create_file("older", b"o").await;
    let file = caller.create_file("a.txt", b"a").await;
    let of_parts = caller.create_file_of_parts("b.txt", &[b"b"]).await;
    set_to_today(&world);
    let tenant = home.path().join("tenants/team-a");
    make_old(&tenant.join("blobs"));
    let aside = home.path().join("aside");
    fs::create_dir(&aside).unwrap();
    for name in ["files", "uploads"] {
        fs::rename(tenant.join(name), aside.join(name)).unwrap();
    }
    // One record is back: the disk is there, and only their age keeps the other bytes.
    let record = format!("files/{}.json", older.id.strip_prefix("file-").unwrap());
    fs::create_dir(tenant.join("files")).unwrap();
    fs::copy(aside.join(&record), tenant.join(&record)).unwrap();
    assert_eq!(world.server.sweep().await.unwrap().blobs, 0);
    fs::remove_dir_all(tenant.join("files")).unwrap();
    for name in ["files", "uploads"] {
        fs::rename(aside.join(name), tenant.join(name)).unwrap();
    }
    assert_eq!(caller.download(&file.id).await.unwrap(), "a");
    assert_eq!(caller.download(&of_parts.id).await.unwrap(), "b");
}

#[tokio::test]
async fn records_that_appear_while_the_sweeper_looks_keep_their_bytes() {
    let store = Faulty::default();
    let world = World::over(Arc::new(store.clone())).await;
    set_to_today(&world);
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"a").await;
    let of_parts = caller.create_file_of_parts("b.txt", &[b"b"]).await;
    world.advance(2 * DAY);
    for part in ["/files", "/uploads"] {
        store.list_as_empty_once(part);
    }
    assert_eq!(world.server.sweep().await.unwrap().blobs, 0);
    assert_eq!(caller.download(&file.id).await.unwrap(), "a");
    assert_eq!(caller.download(&of_parts.id).await.unwrap(), "b");
}

/// Runs as a user whom permissions bind.
#[cfg(target_os = "linux")]
pub(crate) async fn keeps_what_cannot_be_looked_at(root: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::in_folder(root).await;
    let file = world.caller().create_file("a.txt", b"a").await;
    set_to_today(&world);
    world.advance(2 * DAY);
    let files = root.join("tenants/team-a/files");
    fs::set_permissions(&files, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(fs::metadata(files.join("none")).unwrap_err().kind() == std::io::ErrorKind::PermissionDenied);
    let swept = world.server.sweep().await.unwrap();
    let listed = world.caller().call(&ListFiles::new()).await;
    fs::set_permissions(&files, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(swept.blobs, 0);
    assert!(listed.is_err(), "{listed:?}");
    assert_eq!(world.caller().download(&file.id).await.unwrap(), "a");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn foreign_names_disturb_neither_lists_nor_sweeps() {
    use std::os::unix::ffi::OsStrExt as _;
    for name in
        [&b"\xff"[..], b"a\x01b", b".DS_Store", b"a%20b", b"x\ny", b"~", b"a#b", b"looped.x", b"nowhere"]
    {
        let home = tempfile::tempdir().unwrap();
        let world = World::in_folder(home.path()).await;
        let caller = world.caller();
        let file = caller.create_file("a.txt", b"a").await;
        caller.create_upload("b.txt", 1).await;
        set_to_today(&world);
        for folder in [
            "",
            "tenants",
            "tenants/team-a",
            "tenants/team-a/files",
            "tenants/team-a/blobs",
            "tenants/team-a/uploads",
        ] {
            let path = home.path().join(folder).join(std::ffi::OsStr::from_bytes(name));
            match name {
                b"looped.x" => std::os::unix::fs::symlink(&path, &path).unwrap(),
                b"nowhere" => std::os::unix::fs::symlink("/nonexistent/file", &path).unwrap(),
                _ => fs::write(path, "").unwrap(),
            }
        }
        let said = name.escape_ascii();
        assert_eq!(caller.call(&ListFiles::new()).await.unwrap().data.len(), 1, "{said}");
        let is_tenant = name == b"nowhere";
        assert_eq!(world.server.sweep().await.unwrap().skipped, usize::from(is_tenant), "{said}");
        assert_eq!(caller.download(&file.id).await.unwrap(), "a", "{said}");
    }
}
