//! What the types promise to other code.

use partwise::{Client, Download, Error, FileDownload, FileTarget, Upload, stack::Stack};
use partwise_models::Purpose;
use partwise_protocol::{
    Api, Credential,
    operations::{DownloadFile, ListFiles},
    upload::Plan,
};

fn client() -> Client {
    Client::builder(Api::openai(), Credential::key("test").unwrap()).build()
}

#[test]
fn the_client_goes_between_threads_and_so_do_its_futures() {
    fn is_shared<T: Clone + Send + Sync + 'static>() {}
    fn is_sent<T: Send>(_: &T) {}

    is_shared::<Client>();
    is_shared::<Stack>();
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    error::<Error>();
    fn sent<T: Send + 'static>() {}
    sent::<Download>();
    sent::<Upload>();
    sent::<FileDownload>();

    let client = client();
    let (list, download) = (ListFiles::new(), DownloadFile::new("file-1"));
    is_sent(&client.call(&list));
    is_sent(&client.call_with(&list, bytes::Bytes::new()));
    is_sent(&client.download(&download));
    is_sent(&client.upload_as(Plan::new("a", "text/plain", Purpose::Assistants), bytes::Bytes::new()));
    let run = async move {
        client
            .upload_as(Plan::new("a", "text/plain", Purpose::Batch), bytes::Bytes::new())
            .prepare()
            .await?
            .run()
            .await
    };
    is_sent(&run);
    let run = async {
        let target = FileTarget::of(tempfile::tempfile()?);
        self::client().download_to("file-1", target).await.map_err(std::io::Error::other)
    };
    is_sent(&run);
}
