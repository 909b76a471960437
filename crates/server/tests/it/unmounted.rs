//! Disks of a store that are not mounted, or in another way, and folders that a user may not look at.

use std::{fs, path::PathBuf};

use partwise_protocol::operations::DeleteFile;

use crate::{
    disks::{self, TMPFS, runtime, shell},
    sweep::set_to_today,
    world::{HOUR, World},
};

fn disk(name: &str, mount: &str) -> Option<PathBuf> {
    disks::disk(&format!("unmounted::{name}"), mount)
}

#[test]
fn while_the_disk_of_the_store_is_not_mounted_everything_is_unavailable() {
    let name = "while_the_disk_of_the_store_is_not_mounted_everything_is_unavailable";
    let Some(disk) = disk(name, &format!("{TMPFS} && mkdir disk store && mount --bind disk store")) else {
        return;
    };
    runtime().block_on(crate::folder::is_missed(
        &disk.join("store"),
        || shell(&disk, "umount store"),
        || shell(&disk, "mount --bind disk store"),
    ));
}

/// Nothing is mounted, but permissions bind the test even if it runs as root.
const UNPRIVILEGED: &str = "cd \"$PARTWISE_TEST_DISK\" && { test $# = 0 || exec setpriv --bounding-set=-all --inh-caps=-all \"$0\" \"$@\"; }";

#[test]
fn bytes_of_records_that_cannot_be_looked_at_stay() {
    if let Some(disk) = disk("bytes_of_records_that_cannot_be_looked_at_stay", UNPRIVILEGED) {
        runtime().block_on(crate::restore::keeps_what_cannot_be_looked_at(&disk.join("store")));
    }
}

#[test]
fn a_disk_of_the_store_that_is_mounted_under_another_device_number_is_the_store() {
    let name = "a_disk_of_the_store_that_is_mounted_under_another_device_number_is_the_store";
    let Some(disk) = disk(name, &format!("{TMPFS} && mkdir store && mount -t tmpfs none store")) else {
        return;
    };
    let root = disk.join("store");
    runtime().block_on(async {
        let world = World::in_folder(&root).await;
        let file = world.caller().create_file("a", b"a").await;
        shell(
            &disk,
            "mkdir copy && mount -t tmpfs none copy && cp -R store/. copy && mount --move copy store",
        );
        assert_eq!(world.caller().download(&file.id).await.unwrap(), "a");
        world.caller().create_file("b", b"b").await;
    });
}

#[test]
fn bytes_stay_while_the_disk_with_their_records_is_not_mounted() {
    let name = "bytes_stay_while_the_disk_with_their_records_is_not_mounted";
    let files = "store/tenants/team-a/files";
    let mount = format!("{TMPFS} && mkdir -p disk {files} && mount --bind disk {files}");
    let Some(disk) = disk(name, &mount) else { return };
    runtime().block_on(async {
        let world = World::in_folder(&disk.join("store")).await;
        set_to_today(&world);
        let caller = world.caller();
        let [gone, file] = [caller.create_file("a", b"a").await, caller.create_file("b", b"b").await];
        caller.call(&DeleteFile::new(&gone.id)).await.unwrap();
        shell(&disk, &format!("umount {files}"));
        assert_eq!(fs::read_dir(disk.join(files)).unwrap().count(), 0);
        for _ in 0..3 {
            world.advance(48 * HOUR);
            assert_eq!(world.server.sweep().await.unwrap().blobs, 0);
            caller.create_file("c", b"c").await;
        }
        shell(&disk, &format!("mount --bind disk {files}"));
        assert_eq!(caller.download(&file.id).await.unwrap(), "b");
        // That of the deleted file, and those of what was made meanwhile, whose records are hidden now.
        assert_eq!(world.server.sweep().await.unwrap().blobs, 3);
        assert_eq!(caller.download(&file.id).await.unwrap(), "b");
    });
}
