//! Small disks that the tests mount for themselves: without blocks, without inodes.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use http::StatusCode;
use partwise_models::{Purpose, UploadStatus};
use partwise_protocol::operations::{CancelUpload, DeleteFile, DownloadFile, ListFiles};

use crate::{
    disks::{self, Filler, Others, TMPFS, runtime},
    world::{Caller, HOUR, World, new_file, new_upload},
};

fn disk(name: &str, mount: &str) -> Option<PathBuf> {
    disks::disk(&format!("small_disk::{name}"), mount)
}

async fn file_of_three_parts(caller: &Caller) -> String {
    caller.create_file_of_parts("a.txt", &[b"a", b"a", b"a"]).await.id
}

/// A store on `disk` on which no room is ever left: it is opened, read, deleted from and swept.
async fn lives_without_room(disk: &Path, filler: Filler) {
    let root = disk.join("store");
    let world = World::in_folder(&root).await;
    let caller = world.caller();
    let large = caller.create_file("large", &vec![1; 300_000]).await.id;
    let mut files = vec![large];
    let mut uploads = Vec::new();
    for number in 0..20 {
        files.push(match number % 2 {
            0 => caller.create_file("a", b"a").await.id,
            _ => file_of_three_parts(&caller).await,
        });
        let upload = caller.create_upload("a.txt", 1).await;
        caller.add_part(&upload, b"a").await;
        uploads.push(upload);
    }
    let expiring = caller.create_upload("a.txt", 2).await;
    caller.add_part(&expiring, b"a").await;
    let clock = world.now();
    drop(world);

    filler.fill(disk);
    let world = World::in_folder(&root).await;
    world.set_clock(clock);
    let caller = world.caller();
    assert_eq!(caller.call(&new_upload("a", 1)).await.unwrap_err().status, StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(caller.call(&ListFiles::new()).await.unwrap().data.len(), files.len());
    for id in &files {
        filler.fill(disk);
        assert!(!caller.download(id).await.unwrap().is_empty());
        caller.call(&DeleteFile::new(id)).await.unwrap();
        assert_eq!(caller.download(id).await.unwrap_err().status, StatusCode::NOT_FOUND);
    }
    for upload in &uploads {
        filler.fill(disk);
        let cancelled = caller.call(&CancelUpload::new(&upload.id)).await.unwrap();
        assert_eq!(cancelled.status, Some(UploadStatus::Cancelled));
    }
    for _ in 0..6 {
        filler.fill(disk);
        world.advance(HOUR);
        assert_eq!(world.server.sweep().await.unwrap().skipped, 0);
    }
    assert_eq!(world.objects().await, Vec::<String>::new());
    assert_eq!(held_back(&root), 32, "the reserve is whole again");
}

/// As before, but there is no reserve any more.
async fn lives_without_a_reserve(disk: &Path, filler: Filler) {
    let root = disk.join("store");
    let world = World::in_folder(&root).await;
    let caller = world.caller();
    let files = [caller.create_file("a", b"a").await.id, file_of_three_parts(&caller).await];
    let upload = caller.create_upload("a.txt", 1).await;
    caller.add_part(&upload, b"a").await;
    let exhaust = || {
        let _ = fs::remove_dir_all(root.join("reserve"));
        filler.fill(disk);
    };
    for id in &files {
        exhaust();
        caller.call(&DeleteFile::new(id)).await.unwrap();
        assert_eq!(caller.download(id).await.unwrap_err().status, StatusCode::NOT_FOUND);
    }
    exhaust();
    caller.call(&CancelUpload::new(&upload.id)).await.unwrap();
    assert!(world.objects_in("/blobs/").await.is_empty());
}

/// Others take every room that there is at once, all the time.
async fn is_emptied_beside_others(disk: &Path, filler: Filler) {
    let root = disk.join("store");
    let world = World::in_folder(&root).await;
    let caller = world.caller();
    let mut files = Vec::new();
    for number in 0..20 {
        files.push(match number % 2 {
            0 => caller.create_file("a", b"a").await.id,
            _ => file_of_three_parts(&caller).await,
        });
    }
    let others = Others::start(disk, filler);
    while caller.call(&new_upload("a", 1)).await.is_ok() {}
    for id in &files {
        caller.call(&DeleteFile::new(id)).await.unwrap();
    }
    others.stop();
    assert!(caller.call(&ListFiles::new()).await.unwrap().data.is_empty());
}

/// What deletions free is there for others, however many writes were refused in between.
async fn gives_back_what_it_frees(disk: &Path) {
    let root = disk.join("store");
    let world = World::in_folder(&root).await;
    let caller = world.caller();
    let mut files = Vec::new();
    for _ in 0..40 {
        files.push(caller.create_file("a", &[7; 8192]).await.id);
    }
    Filler::Blocks.fill(disk);
    for id in &files {
        caller.call(&DeleteFile::new(id)).await.unwrap();
        for size in [8192, 4096] {
            let _ = caller.call(&new_file(Purpose::Assistants, "b", &vec![7; size])).await;
        }
    }
    let listed = caller.call(&ListFiles::new()).await.unwrap().data.len();
    assert_eq!(world.objects_in("/blobs/").await.len(), listed);
}

/// An upload for whose record there is no room leaves no folder, which would keep an inode for a day.
async fn leaves_no_folder(disk: &Path) {
    let root = disk.join("store");
    let world = World::in_folder(&root).await;
    let caller = world.caller();
    let create = async || caller.call(&new_upload("a", 1)).await.map(drop);
    create().await.unwrap();
    Filler::Inodes.fill(disk);
    for spare in 0..2 {
        fs::remove_file(disk.join("fillers").join(spare.to_string())).unwrap();
    }
    let before = crate::folder::below(&root);
    let inodes = || rustix::fs::statvfs(disk).unwrap().f_ffree;
    create().await.unwrap();
    assert_eq!(inodes(), 0, "two were needed");
    fs::remove_file(disk.join("fillers/2")).unwrap();
    let after = crate::folder::below(&root);
    assert_eq!(create().await.unwrap_err().status, StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(crate::folder::below(&root), after);
    assert_eq!(after.len(), before.len() + 2);
    assert_eq!(inodes(), 1);
}

/// A completion whose file has a record that is larger than a piece of the reserve, and no room for it.
async fn completes_many_parts(disk: &Path) {
    let root = disk.join("store");
    let world = World::in_folder(&root).await;
    let caller = world.caller();
    caller.create_file("a", b"a").await;
    let upload = caller.create_upload("a.txt", 300).await;
    let mut parts = Vec::new();
    for _ in 0..300 {
        parts.push(caller.add_part(&upload, b"a").await);
    }
    Filler::Blocks.fill(disk);
    let filler = fs::File::options().write(true).open(disk.join("filler")).unwrap();
    // Room for one such record.
    filler.set_len(filler.metadata().unwrap().len() / 4096 * 4096 - 36 * 1024).unwrap();
    let file = caller.complete(&upload, &parts).await;
    assert!(fs::metadata(root.join(&world.objects_in("/final.json").await[0])).unwrap().len() > 16 * 1024);
    assert_eq!(world.objects_in("/files/").await.len(), 1, "there was no room for its record");
    assert_eq!(held_back(&root), 32);
    Filler::Blocks.fill(disk);
    assert_eq!(caller.download(&file.id).await.unwrap().len(), 300);
    caller.call(&DeleteFile::new(&file.id)).await.unwrap();
    assert_eq!(caller.download(&file.id).await.unwrap_err().status, StatusCode::NOT_FOUND);
}

/// Room for the end of the upload alone.
async fn lists_what_it_completed(disk: &Path) {
    let world = World::in_folder(&disk.join("store")).await;
    let caller = world.caller();
    let other = caller.create_file("a", b"a").await;
    let upload = caller.create_upload("b", 1).await;
    let part = caller.add_part(&upload, b"b").await;
    Filler::Inodes.fill(disk);
    fs::remove_file(disk.join("fillers/0")).unwrap();
    let file = caller.complete(&upload, &[part]).await;
    let list = caller.call(&ListFiles::new()).await.unwrap();
    let listed: Vec<String> = list.data.into_iter().map(|file| file.id).collect();
    assert_eq!(listed, [file.id, other.id]);
}

/// The first file of a tenant, and not even room for the folder that its record belongs to.
async fn completes_without_a_folder(disk: &Path) {
    let root = disk.join("store");
    let world = World::in_folder(&root).await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 1).await;
    let part = caller.add_part(&upload, b"a").await;
    Filler::Inodes.fill(disk);
    fs::remove_file(disk.join("fillers/0")).unwrap();
    let file = caller.complete(&upload, &[part]).await;
    assert!(!root.join("tenants/team-a/files").exists());
    Filler::Inodes.fill(disk);
    caller.call(&DeleteFile::new(&file.id)).await.unwrap();
    assert_eq!(caller.download(&file.id).await.unwrap_err().status, StatusCode::NOT_FOUND);
    assert_eq!(world.objects_in("/blobs/").await, Vec::<String>::new());
}

/// What is on another disk than the reserve cannot take a piece of it.
async fn is_emptied_on_another_disk(disk: &Path) {
    let world = World::in_folder(&disk.join("store")).await;
    let caller = world.caller();
    let files = [caller.create_file("a", &[7; 20_000]).await.id, file_of_three_parts(&caller).await];
    let upload = caller.create_upload("a.txt", 1).await;
    caller.add_part(&upload, b"a").await;
    let tenants = disk.join("store/tenants");
    for id in &files {
        Filler::Blocks.fill(&tenants);
        assert_eq!(
            caller.call(&new_upload("a", 1)).await.unwrap_err().status,
            StatusCode::INSUFFICIENT_STORAGE
        );
        caller.call(&DeleteFile::new(id)).await.unwrap();
        assert_eq!(caller.download(id).await.unwrap_err().status, StatusCode::NOT_FOUND);
    }
    Filler::Blocks.fill(&tenants);
    caller.call(&CancelUpload::new(&upload.id)).await.unwrap();
    assert!(world.objects_in("/blobs/").await.is_empty());
}

/// Others take every room that there is at once, and there is no reserve.
async fn cancels_beside_others(disk: &Path, filler: Filler) {
    let root = disk.join("store");
    let world = World::in_folder(&root).await;
    let caller = world.caller();
    let mut uploads = Vec::new();
    for _ in 0..20 {
        let upload = caller.create_upload("a.txt", 1).await;
        caller.add_part(&upload, b"a").await;
        uploads.push(upload);
    }
    let others = Others::start(disk, filler);
    while caller.call(&new_upload("a", 1)).await.is_ok() {}
    for upload in &uploads {
        let _ = fs::remove_dir_all(root.join("reserve"));
        let cancelled = caller.call(&CancelUpload::new(&upload.id)).await.unwrap();
        assert_eq!(cancelled.status, Some(UploadStatus::Cancelled));
    }
    others.stop();
    assert_eq!(world.objects_in("/final.json").await.len(), uploads.len(), "each has a record of it");
    assert_eq!(world.objects_in("/blobs/").await, Vec::<String>::new());
}

/// A server that could not replace a torn marker, and then another that can.
async fn another_replaces_the_marker(disk: &Path) {
    let root = disk.join("store");
    let world = World::in_folder(&root).await;
    world.caller().create_file("a", b"a").await;
    drop(world);
    fs::write(root.join("partwise.json"), "").unwrap();
    Filler::Blocks.fill(disk);
    Filler::Inodes.fill(disk);
    let first = World::in_folder(&root).await;
    assert_eq!(fs::read(root.join("partwise.json")).unwrap(), b"");
    assert_eq!(first.caller().call(&ListFiles::new()).await.unwrap().data.len(), 1);
    fs::remove_file(disk.join("filler")).unwrap();
    fs::remove_dir_all(disk.join("fillers")).unwrap();
    let second = World::in_folder(&root).await;
    assert!(!fs::read(root.join("partwise.json")).unwrap().is_empty());
    for world in [first, second] {
        assert_eq!(world.caller().call(&ListFiles::new()).await.unwrap().data.len(), 1);
    }
}

/// Somebody reads a file while it is deleted, and there is no room for a record of that.
async fn deletes_without_a_record(disk: &Path) {
    use http_body_util::{BodyExt as _, Full};
    use tower_service::Service as _;
    let root = disk.join("store");
    let world = World::in_folder(&root).await;
    let caller = world.caller();
    let file = caller.create_file("a", b"a").await.id;
    let request = caller.request(&DownloadFile::new(&file)).map(Full::new);
    let reader = world.server.clone().call(request).await.unwrap();
    fs::remove_dir_all(root.join("reserve")).unwrap();
    Filler::Blocks.fill(disk);
    caller.call(&DeleteFile::new(&file)).await.unwrap();
    assert_eq!(caller.download(&file).await.unwrap_err().status, StatusCode::NOT_FOUND);
    assert_eq!(reader.into_body().collect().await.unwrap().to_bytes(), "a");
}

/// Files that were deleted while there was room give it back as soon as there is none.
async fn frees_what_was_deleted(disk: &Path) {
    let world = World::in_folder(&disk.join("store")).await;
    let caller = world.caller();
    let content = vec![7; 1_000_000];
    let new = || new_file(Purpose::Assistants, "b", &content);
    for _ in 0..3 {
        let file = caller.create_file("a", &content).await;
        caller.call(&DeleteFile::new(&file.id)).await.unwrap();
    }
    tokio::spawn(world.server.clone().sweep_regularly());
    assert_eq!(caller.call(&new()).await.unwrap_err().status, StatusCode::INSUFFICIENT_STORAGE);
    let is_taken = async {
        while caller.call(&new()).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    // Far less than the time that bytes stay for else.
    tokio::time::timeout(std::time::Duration::from_secs(60), is_taken).await.unwrap();
}

fn held_back(root: &Path) -> usize {
    let pieces = fs::read_dir(root.join("reserve")).unwrap();
    pieces.filter(|piece| piece.as_ref().unwrap().metadata().unwrap().blocks() > 0).count()
}

#[test]
fn a_store_on_a_disk_without_blocks_is_read_and_emptied() {
    if let Some(disk) = disk("a_store_on_a_disk_without_blocks_is_read_and_emptied", TMPFS) {
        runtime().block_on(lives_without_room(&disk, Filler::Blocks));
    }
}

#[test]
fn a_store_on_a_disk_without_inodes_is_read_and_emptied() {
    if let Some(disk) = disk("a_store_on_a_disk_without_inodes_is_read_and_emptied", TMPFS) {
        runtime().block_on(lives_without_room(&disk, Filler::Inodes));
    }
}

#[test]
fn a_store_without_blocks_and_without_a_reserve_is_emptied() {
    if let Some(disk) = disk("a_store_without_blocks_and_without_a_reserve_is_emptied", TMPFS) {
        runtime().block_on(lives_without_a_reserve(&disk, Filler::Blocks));
    }
}

#[test]
fn a_store_without_inodes_and_without_a_reserve_is_emptied() {
    if let Some(disk) = disk("a_store_without_inodes_and_without_a_reserve_is_emptied", TMPFS) {
        runtime().block_on(lives_without_a_reserve(&disk, Filler::Inodes));
    }
}

#[test]
fn a_store_without_blocks_is_emptied_while_others_take_all_room() {
    if let Some(disk) = disk("a_store_without_blocks_is_emptied_while_others_take_all_room", TMPFS) {
        runtime().block_on(is_emptied_beside_others(&disk, Filler::Blocks));
    }
}

#[test]
fn a_store_without_inodes_is_emptied_while_others_take_all_room() {
    if let Some(disk) = disk("a_store_without_inodes_is_emptied_while_others_take_all_room", TMPFS) {
        runtime().block_on(is_emptied_beside_others(&disk, Filler::Inodes));
    }
}

#[test]
fn writes_that_are_refused_between_deletions_take_no_room() {
    let name = "writes_that_are_refused_between_deletions_take_no_room";
    if let Some(disk) = disk(name, &TMPFS.replace("size=4m", "size=3m")) {
        runtime().block_on(gives_back_what_it_frees(&disk));
    }
}

#[test]
fn an_upload_that_is_refused_for_want_of_inodes_leaves_no_folder() {
    if let Some(disk) = disk("an_upload_that_is_refused_for_want_of_inodes_leaves_no_folder", TMPFS) {
        runtime().block_on(leaves_no_folder(&disk));
    }
}

#[test]
fn a_completion_with_a_record_larger_than_a_piece_of_the_reserve_is_answered() {
    let name = "a_completion_with_a_record_larger_than_a_piece_of_the_reserve_is_answered";
    if let Some(disk) = disk(name, TMPFS) {
        runtime().block_on(completes_many_parts(&disk));
    }
}

#[test]
fn a_file_of_few_parts_that_is_completed_on_a_full_disk_is_listed() {
    let name = "a_file_of_few_parts_that_is_completed_on_a_full_disk_is_listed";
    if let Some(disk) = disk(name, TMPFS) {
        runtime().block_on(lists_what_it_completed(&disk));
    }
}

#[test]
fn a_completion_without_room_for_the_folder_of_files_is_answered() {
    let name = "a_completion_without_room_for_the_folder_of_files_is_answered";
    if let Some(disk) = disk(name, TMPFS) {
        runtime().block_on(completes_without_a_folder(&disk));
    }
}

#[test]
fn a_store_whose_tenants_are_on_another_disk_than_the_reserve_is_emptied() {
    let name = "a_store_whose_tenants_are_on_another_disk_than_the_reserve_is_emptied";
    if let Some(disk) = disk(
        name,
        &format!("{TMPFS} && mkdir -p store/tenants && mount -t tmpfs -o size=1m none store/tenants"),
    ) {
        runtime().block_on(is_emptied_on_another_disk(&disk));
    }
}

#[test]
fn uploads_are_cancelled_without_a_reserve_while_others_take_all_blocks() {
    let name = "uploads_are_cancelled_without_a_reserve_while_others_take_all_blocks";
    if let Some(disk) = disk(name, TMPFS) {
        runtime().block_on(cancels_beside_others(&disk, Filler::Blocks));
    }
}

#[test]
fn uploads_are_cancelled_without_a_reserve_while_others_take_all_inodes() {
    let name = "uploads_are_cancelled_without_a_reserve_while_others_take_all_inodes";
    if let Some(disk) = disk(name, TMPFS) {
        runtime().block_on(cancels_beside_others(&disk, Filler::Inodes));
    }
}

#[test]
fn a_server_that_could_not_replace_a_torn_marker_knows_the_store_when_another_has() {
    let name = "a_server_that_could_not_replace_a_torn_marker_knows_the_store_when_another_has";
    if let Some(disk) = disk(name, TMPFS) {
        runtime().block_on(another_replaces_the_marker(&disk));
    }
}

#[test]
fn a_file_that_is_deleted_without_a_record_is_not_found_although_somebody_reads_it() {
    let name = "a_file_that_is_deleted_without_a_record_is_not_found_although_somebody_reads_it";
    if let Some(disk) = disk(name, TMPFS) {
        runtime().block_on(deletes_without_a_record(&disk));
    }
}

#[test]
fn what_was_deleted_before_the_disk_was_full_gives_its_room_back() {
    let name = "what_was_deleted_before_the_disk_was_full_gives_its_room_back";
    if let Some(disk) = disk(name, TMPFS) {
        runtime().block_on(frees_what_was_deleted(&disk));
    }
}
