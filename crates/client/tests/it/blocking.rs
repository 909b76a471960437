//! The client for programs without async, against the server in process.

use std::io::Read as _;

use partwise::{
    Api, Credential, ErrorKind, FileTarget, Purpose,
    blocking::Client,
    models::File,
    protocol::{Dialect, operations::ByteRange},
};
use partwise_server::{Keys, Server, Store};
use partwise_testkit::content::noise;
use tokio::runtime::Runtime;

fn client() -> Client {
    let server = Server::builder(Store::memory()).keys(Keys::any()).build();
    let server = Runtime::new().unwrap().block_on(server).unwrap();
    let api = Api::with_base("http://localhost/v1", Dialect::OpenAi).unwrap();
    Client::builder(api, Credential::key("key").unwrap()).transport(server).build_blocking().unwrap()
}

#[test]
fn a_program_without_async_uploads_lists_waits_and_deletes() {
    let (client, folder) = (client(), tempfile::tempdir().unwrap());
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, noise(3 << 20)).unwrap();
    let upload = client.upload_file(&path, Purpose::Batch).with(|upload| upload.part_size(1 << 20));
    let file = upload.run().unwrap();
    assert_eq!(file.bytes, Some(3 << 20));
    let second = client.upload("b.txt", "text", Purpose::Assistants).run().unwrap();

    let of_batches: Vec<File> =
        client.files(|files| files.purpose(Purpose::Batch)).map(Result::unwrap).collect();
    assert_eq!(of_batches.iter().map(|file| &file.id).collect::<Vec<_>>(), [&file.id]);
    assert_eq!(client.files(|files| files).count(), 2);
    assert_eq!(client.wait_until_processed(&file.id).unwrap().id, file.id);
    assert!(client.delete_file(&second.id).unwrap());
    assert_eq!(client.file(&second.id).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_program_without_async_downloads_to_memory_a_reader_a_path_and_a_target() {
    let (client, folder) = (client(), tempfile::tempdir().unwrap());
    let content = noise(2 << 20);
    let id = client.upload("a.bin", content.clone(), Purpose::UserData).run().unwrap().id;

    assert_eq!(client.download(&id).bytes(2 << 20).unwrap(), content);
    let mut read = Vec::new();
    client.download(&id).into_read().read_to_end(&mut read).unwrap();
    assert!(read == content);

    let mut download = client.download(&id).run().unwrap();
    assert_eq!(download.head().length, Some(2 << 20));
    let mut start = [0; 10];
    download.read_exact(&mut start).unwrap();
    assert_eq!(start, content[..10]);
    // What was not read of a chunk comes first.
    let mut rest = download.chunk().unwrap().unwrap().to_vec();
    download.read_to_end(&mut rest).unwrap();
    assert!(rest == content[10..]);
    assert_eq!((download.chunk().unwrap(), download.warning()), (None, None));

    let (path, target) = (folder.path().join("path"), folder.path().join("target"));
    assert_eq!(client.download_file(&id, &path).run().unwrap(), 2 << 20);
    let download = client.download_to(&id, FileTarget::open(&target).unwrap());
    assert_eq!(download.with(|download| download.range_size(1 << 20)).run().unwrap(), 2 << 20);
    for path in [path, target] {
        assert!(std::fs::read(&path).unwrap() == content, "{}", path.display());
    }
}

#[test]
fn an_error_of_a_download_is_one_of_its_request_or_of_its_reader() {
    let client = client();
    let error = client.download("file-missing").run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let id = client.upload("a.bin", noise(100), Purpose::UserData).run().unwrap().id;
    let first = ByteRange::From { first: 10, last: Some(19) };
    let mut read = Vec::new();
    client
        .download(&id)
        .with(|download| download.range(first))
        .run()
        .unwrap()
        .read_to_end(&mut read)
        .unwrap();
    assert_eq!(read, noise(100)[10..20]);
}

#[test]
fn a_client_with_other_settings_shares_the_service_and_the_thread() {
    let client = client();
    let other = client.with(|client| client.header("x-team", "search").unwrap());
    assert_eq!(other.api(), client.api());
    assert_eq!(other.api().base(), "http://localhost/v1");
    let id = other.upload("b.txt", "text", Purpose::Assistants).run().unwrap().id;
    drop(other);
    assert_eq!(client.file(&id).unwrap().bytes, Some(4));
}
