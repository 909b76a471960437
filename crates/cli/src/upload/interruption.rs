//! Ctrl-C, once and again.

use partwise::Upload;
use tokio::sync::oneshot;

use crate::{
    interrupt::{Signals, pressed_again},
    screen::say,
};

/// The upload, which stops and is cancelled when the other future has heard that it should; that one ends when nobody
/// wants to wait any more.
pub(super) fn heeded(upload: Upload, mut signals: Signals) -> (Upload, impl Future<Output = ()>) {
    let (stop, stopped) = heard();
    let (cancel, cancelled) = heard();
    let heed = async move {
        signals.next().await;
        say(
            "stopping: requests in flight have 5 s to be answered; Ctrl-C again cancels the upload on the service",
        );
        // When nobody listens any more, all is done.
        let _ = stop.send(());
        // A supervisor that asks twice wants an end, not the loss of what is there.
        pressed_again(async || signals.interrupt().await).await;
        say("cancelling on the service; Ctrl-C again does not wait for it");
        let _ = cancel.send(());
        pressed_again(async || signals.next().await).await;
    };
    (upload.stop_when(stopped).cancel_when(cancelled), heed)
}

fn heard() -> (oneshot::Sender<()>, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = oneshot::channel();
    let heard = async {
        if receiver.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    (sender, heard)
}
