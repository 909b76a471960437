//! The key stays out of everything that is printed.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use partwise_models::Purpose;
use partwise_protocol::{operations::RetrieveFile, upload::Plan};
use partwise_testkit::http1::{answer, read_request};
use tracing::Level;

use crate::peer::{A_FILE, MIB, Peer, options, zeros};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn neither_logs_nor_debug_forms_show_the_key() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_ansi(false)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let peer = Peer::start(|mut stream, _| async move {
        while let Some((head, _)) = read_request(&mut stream).await {
            assert!(head.contains("Bearer a-secret-key"));
            answer(&mut stream, 200, "", A_FILE).await;
        }
    })
    .await;
    let client = peer.client(options());
    client.call(&RetrieveFile::new("file-1")).await.unwrap();
    let upload = client
        .upload_as(Plan::new("a.jsonl", "text/plain", Purpose::Batch), zeros(MIB))
        .prepare()
        .await
        .unwrap();
    let shown = format!("{client:?} {upload:?}");
    upload.run().await.unwrap();

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("bytes=1048576") && log.contains("status=200"), "{log}");
    assert!(!log.contains("secret"), "{log}");
    assert!(!shown.contains("secret"), "{shown}");
}
