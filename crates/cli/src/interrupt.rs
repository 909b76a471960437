//! Ctrl-C, and the signals that ask a process to end.

use std::future::pending;

use tokio::sync::oneshot;

use crate::report::Report;

/// The requests to end that come from now on.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen: from now on a signal ends nothing by itself.
    pub(crate) fn listen() -> Result<Self, Report> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};

            let listen =
                |kind| signal(kind).map_err(|cause| Report::because("cannot listen for signals", &cause));
            Ok(Self {
                terminate: listen(SignalKind::terminate())?,
                interrupt: listen(SignalKind::interrupt())?,
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Two futures: one that is ready after the first signal, to end in good order, and one that is ready after
    /// the second, to end at once. The first waits for nothing unless the second is polled beside it.
    pub(crate) fn stages(mut self) -> (impl Future<Output = ()> + Send + 'static, impl Future<Output = ()>) {
        let (send, receive) = oneshot::channel();
        let first = async {
            if receive.await.is_err() {
                pending::<()>().await;
            }
        };
        let second = async move {
            self.next().await;
            // When nobody waits for the first any more, all is done.
            let _ = send.send(());
            self.next().await;
        };
        (first, second)
    }

    /// Waits for the next Ctrl-C alone.
    pub(crate) async fn interrupt(&mut self) {
        #[cfg(unix)]
        self.interrupt.recv().await;
        #[cfg(not(unix))]
        self.next().await;
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    }
}
