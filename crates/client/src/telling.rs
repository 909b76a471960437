//! Progress for the caller's function.

use tokio::sync::watch;

/// Runs to the end, and calls `told` with the progress now and at every change. The channel has to close with what runs.
pub(crate) async fn run_telling<P, R>(
    mut progress: watch::Receiver<P>,
    mut told: impl FnMut(&P),
    running: impl Future<Output = R>,
) -> R {
    let telling = async {
        told(&progress.borrow_and_update());
        while progress.changed().await.is_ok() {
            told(&progress.borrow_and_update());
        }
    };
    let ((), result) = tokio::join!(telling, running);
    result
}
