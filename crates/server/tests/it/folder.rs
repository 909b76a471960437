//! A folder on a local disk: whose it is, and whether it is there.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use partwise_models::{Purpose, Upload};
use partwise_protocol::operations::{CancelUpload, DeleteFile, DownloadFile, ListFiles, RetrieveFile};
use partwise_server::{Durability, Keys, OpenError, Server, Store};
use tower_service::Service as _;

use crate::{
    sweep::set_to_today,
    world::{HOUR, World, complete, new_file, new_upload, printed},
};

/// Everything below `folder`.
pub(crate) fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A world with a file, an upload and a large file in it.
async fn populated(folder: &Path) -> World {
    let world = World::in_folder(folder).await;
    let caller = world.caller();
    caller.create_file("a.txt", b"a").await;
    caller.create_file("large.bin", &vec![1; 3_000_000]).await;
    caller.create_file_of_parts("a.txt", &[b"a"]).await;
    world
}

#[tokio::test]
async fn what_the_server_makes_is_for_its_owner_alone() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("new/store");
    let world = populated(&root).await;
    let file = world.caller().create_file("b.txt", b"b").await;
    world.caller().call(&DeleteFile::new(&file.id)).await.unwrap();
    for path in below(&home.path().join("new")).into_iter().chain([home.path().join("new")]) {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

#[tokio::test]
async fn a_folder_that_was_there_keeps_its_mode() {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    populated(home.path()).await;
    assert_eq!(mode(home.path()), 0o755);
    assert_eq!(mode(&home.path().join("partwise.json")), 0o600);
    assert_eq!(mode(&home.path().join("tenants")), 0o700);
}

#[tokio::test]
async fn many_may_open_a_folder_at_the_same_time() {
    let home = tempfile::tempdir().unwrap();
    let openings: Vec<_> = (0..4)
        .map(|_| {
            let root = home.path().to_owned();
            std::thread::spawn(move || (0..200).try_for_each(|_| Store::local(&root).map(drop)))
        })
        .collect();
    for opening in openings {
        opening.join().unwrap().unwrap();
    }
    assert!(below(home.path()).is_empty());
}

#[tokio::test]
async fn a_probe_that_a_killed_process_left_is_no_problem_and_goes_after_a_day() {
    let home = tempfile::tempdir().unwrap();
    let [old, new] =
        ["partwise-probe-1", "partwise-probe-00000000000000ff"].map(|name| home.path().join(name));
    for path in [&old, &new] {
        fs::create_dir_all(home.path()).unwrap();
        fs::write(path, "").unwrap();
    }
    let day_ago = SystemTime::now() - Duration::from_secs(25 * HOUR);
    fs::File::open(&old).unwrap().set_modified(day_ago).unwrap();
    let world = World::in_folder(home.path()).await;
    set_to_today(&world);
    assert_eq!(world.server.sweep().await.unwrap().unfinished, 1);
    assert!(!old.exists() && new.exists());
}

#[tokio::test]
async fn only_a_folder_with_a_marker_is_an_existing_store() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("store");
    let open = |root: &Path| Store::local_existing(root, Durability::Strict);
    let missing = open(&root).unwrap_err();
    assert!(matches!(missing, OpenError::NoStore { .. }), "{missing}");
    assert!(!root.exists(), "nothing is made");
    fs::create_dir(&root).unwrap();
    let said = open(&root).unwrap_err().to_string().replace(&home.path().display().to_string(), "HOME");
    insta::assert_snapshot!(said, @"there is no store in `HOME/store`: it has no partwise.json; is its disk mounted?");
    assert!(below(&root).is_empty());
    populated(&root).await;
    let server = Server::builder(open(&root).unwrap()).keys(Keys::any());
    server.build().await.unwrap();
}

#[tokio::test]
async fn a_store_of_another_format_is_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    for marker in [r#"{"format":7}"#, r#"{"name":"site"}"#] {
        fs::write(home.path().join("partwise.json"), marker).unwrap();
        let said = Store::local(home.path()).unwrap_err().to_string();
        assert!(said.contains(&home.path().join("partwise.json").display().to_string()), "{said}");
        assert_eq!(below(home.path()).len(), 1);
    }
}

#[tokio::test]
async fn a_torn_marker_beside_what_is_nobodys_file_is_that_of_a_store() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("partwise.json"), "").unwrap();
    fs::write(home.path().join("partwise-probe-00000000000000ff"), "").unwrap();
    fs::create_dir(home.path().join("lost+found")).unwrap();
    World::in_folder(home.path()).await.caller().create_file("a.txt", b"a").await;
}

#[tokio::test]
async fn a_torn_marker_beside_other_files_is_no_store() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("partwise.json"), "").unwrap();
    fs::write(home.path().join("my notes.txt"), "").unwrap();
    let built = Server::builder(Store::local(home.path()).unwrap()).keys(Keys::any()).build().await;
    assert!(matches!(built.unwrap_err(), OpenError::NoMarker { .. }));
}

#[tokio::test]
async fn what_is_not_a_marker_is_left_as_it_is() {
    let is_text = |path: &Path| fs::write(path, "the site of my parts\n").unwrap();
    let is_folder = |path: &Path| fs::create_dir(path).unwrap();
    let makers: [&dyn Fn(&Path); 2] = [&is_text, &is_folder];
    for make in makers {
        let home = tempfile::tempdir().unwrap();
        make(&home.path().join("partwise.json"));
        let error = Store::local(home.path()).unwrap_err();
        assert!(matches!(error, OpenError::NoMarker { .. }), "{error}");
        assert_eq!(below(home.path()).len(), 1);
    }
}

#[tokio::test]
async fn a_marker_that_cannot_be_read_is_named_before_anything_is_written() {
    for target in ["partwise.json", "/nonexistent/marker"] {
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(target, home.path().join("partwise.json")).unwrap();
        let error = Store::local(home.path()).unwrap_err();
        let said = error.to_string().replace(&home.path().display().to_string(), "HOME");
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @"the marker of the store, `HOME/partwise.json`, cannot be read: run as the user who made the store, or mount its disk");
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}

/// The answers of a server whose store is not there.
async fn answers(world: &World, file: &str, upload: &Upload) -> Vec<Response<Bytes>> {
    let caller = world.caller();
    vec![
        caller.send_operation(&RetrieveFile::new(file)).await,
        caller.send_operation(&RetrieveFile::new("file-006553f100fffffffffffffff1000000")).await,
        caller.send_operation(&DownloadFile::new(file)).await,
        caller.send_operation(&ListFiles::new()).await,
        caller.send_operation(&DeleteFile::new(file)).await,
        caller.send_operation(&new_file(Purpose::Assistants, "a", b"a")).await,
        caller.send_operation(&new_file(Purpose::Assistants, "a", &vec![1; 3_000_000])).await,
        caller.send_operation(&new_upload("a", 1)).await,
        caller.send_operation(&CancelUpload::new(&upload.id)).await,
        caller.send_operation(&complete(upload, &[])).await,
    ]
}

/// Checks all operations while the store is away, and after it came back.
pub(crate) async fn is_missed(root: &Path, leave: impl Fn(), come_back: impl Fn()) {
    let world = World::in_folder(root).await;
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"a").await;
    let upload = caller.create_upload("a.txt", 1).await;
    leave();
    let before = if root.exists() { below(root) } else { Vec::new() };
    for answer in answers(&world, &file.id, &upload).await {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{}", printed(&answer));
        assert_eq!(answer.headers()["retry-after"], "5");
        let said = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(said.contains("the store is not there: try again when its disk is mounted"), "{said}");
    }
    assert!(world.server.sweep().await.is_err());
    assert_eq!(if root.exists() { below(root) } else { Vec::new() }, before, "nothing is written elsewhere");
    come_back();
    assert_eq!(caller.download(&file.id).await.unwrap(), "a");
    caller.create_file("b.txt", b"b").await;
    let part = caller.add_part(&upload, b"a").await;
    caller.complete(&upload, &[part]).await;
    assert_eq!(caller.call(&ListFiles::new()).await.unwrap().data.len(), 3);
}

#[tokio::test]
async fn while_the_store_is_away_everything_is_unavailable() {
    let home = tempfile::tempdir().unwrap();
    let [root, elsewhere] = ["store", "elsewhere"].map(|name| home.path().join(name));
    let leave = || {
        fs::rename(&root, &elsewhere).unwrap();
        fs::create_dir(&root).unwrap();
    };
    let come_back = || {
        fs::remove_dir(&root).unwrap();
        fs::rename(&elsewhere, &root).unwrap();
    };
    is_missed(&root, leave, come_back).await;
}

#[tokio::test]
async fn while_the_folder_of_the_store_is_gone_it_is_not_made_again() {
    let home = tempfile::tempdir().unwrap();
    let [root, elsewhere] = ["store", "elsewhere"].map(|name| home.path().join(name));
    is_missed(&root, || fs::rename(&root, &elsewhere).unwrap(), || fs::rename(&elsewhere, &root).unwrap())
        .await;
}

#[tokio::test]
async fn while_another_store_stands_in_its_place_everything_is_unavailable() {
    let home = tempfile::tempdir().unwrap();
    let [root, elsewhere, other] = ["store", "elsewhere", "other"].map(|name| home.path().join(name));
    // Made later, so that its marker is another.
    let other_world = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let other = other.clone();
        std::thread::spawn(move || drop(runtime.block_on(populated(&other)))).join().unwrap();
    };
    is_missed(
        &root,
        || {
            if !other.exists() {
                other_world();
            }
            fs::rename(&root, &elsewhere).unwrap();
            fs::rename(&other, &root).unwrap();
        },
        || {
            fs::rename(&root, &other).unwrap();
            fs::rename(&elsewhere, &root).unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn a_store_whose_marker_is_missing_is_not_there() {
    let home = tempfile::tempdir().unwrap();
    let marker = home.path().join("partwise.json");
    let aside = home.path().join("aside");
    is_missed(home.path(), || fs::rename(&marker, &aside).unwrap(), || fs::rename(&aside, &marker).unwrap())
        .await;
}

#[tokio::test]
async fn a_tenant_whose_folder_leads_nowhere_is_unavailable_and_others_are_not() {
    let home = tempfile::tempdir().unwrap();
    let world = World::in_folder(home.path()).await;
    world.stranger().create_file("b.txt", b"b").await;
    std::os::unix::fs::symlink("/nonexistent/disk", home.path().join("tenants/team-a")).unwrap();
    for answer in [
        world.caller().send_operation(&new_file(Purpose::Assistants, "a", b"a")).await,
        world.caller().send_operation(&new_file(Purpose::Assistants, "a", &vec![1; 3_000_000])).await,
        world.caller().send_operation(&new_upload("a", 1)).await,
    ] {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{}", printed(&answer));
    }
    world.stranger().create_file("c.txt", b"c").await;
}

/// As on a disk that the system gave the device number of one that is gone: the inode of a disk's root is always the same.
#[tokio::test]
async fn another_stores_marker_in_the_same_folder_is_another_store() {
    for (ours, others) in [
        (None, r#"{"format":1,"id":"another"}"#),
        (None, r#"{"format":1}"#),
        (Some(r#"{"format":1}"#), r#"{"format":1}"#),
    ] {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("store");
        let [marker, aside] = [root.join("partwise.json"), home.path().join("aside")];
        fs::create_dir(&root).unwrap();
        if let Some(ours) = ours {
            fs::write(&marker, ours).unwrap();
        }
        let leave = || {
            fs::rename(&marker, &aside).unwrap();
            fs::write(&marker, others).unwrap();
        };
        is_missed(&root, leave, || fs::rename(&aside, &marker).unwrap()).await;
    }
}

#[tokio::test]
async fn bytes_that_were_coming_when_the_store_went_are_not_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let [root, elsewhere] = ["store", "elsewhere"].map(|name| home.path().join(name));
    let world = World::in_folder(&root).await;
    let content = vec![1; 6_000_000];
    let (parts, body) = world.caller().request(&new_file(Purpose::Assistants, "a", &content)).into_parts();
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let frames = stream::unfold(receiver, |mut receiver| async {
        let bytes: Bytes = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(Frame::data(bytes)), receiver))
    });
    let request = http::Request::from_parts(parts, StreamBody::new(frames));
    let mut server = world.server.clone();
    let answer = tokio::spawn(async move { server.call(request).await.unwrap() });

    sender.send(body.slice(..5_000_000)).await.unwrap();
    while !below(&root).iter().any(|path| path.to_string_lossy().contains("/blobs/")) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fs::rename(&root, &elsewhere).unwrap();
    fs::create_dir(&root).unwrap();
    sender.send(body.slice(5_000_000..)).await.unwrap();
    drop(sender);
    assert_eq!(answer.await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(below(&root).is_empty());
}
