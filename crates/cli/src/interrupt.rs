//! Ctrl-C, and the signals that ask a process to end.

use std::{future::pending, process, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use crate::{report::Report, screen};

/// The exit status that shells give to a command that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;
/// Signals that come within this time are one press of the keys.
const ONE_PRESS: Duration = Duration::from_millis(500);

/// Waits for a signal that is no echo of the one that came just now: wrappers of commands pass on what the terminal has
/// sent to everybody already.
pub(crate) async fn pressed_again(mut signal: impl AsyncFnMut()) {
    let since = Instant::now();
    while {
        signal().await;
        since.elapsed() < ONE_PRESS
    } {}
}

/// Ends the process at the first Ctrl-C, after the line that changes was removed.
pub(crate) async fn end_cleared() {
    if tokio::signal::ctrl_c().await.is_ok() {
        screen::finish();
        process::exit(INTERRUPTED);
    }
}

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
            pressed_again(async || self.next().await).await;
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

/// The signals that ask a server to read its keys again.
#[derive(Debug)]
pub(crate) struct Hangups {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Hangups {
    /// Begins to listen: from now on the signal ends nothing.
    pub(crate) fn listen() -> Result<Self, Report> {
        #[cfg(unix)]
        {
            let hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
            Ok(Self { hangup: hangup.map_err(|cause| Report::because("cannot listen for signals", &cause))? })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next one; for ever where there are none.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if self.hangup.recv().await.is_some() {
            return;
        }
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_within_half_a_second_is_the_same_press() {
        let mut waits = [0, 1, 498, 100].into_iter();
        pressed_again(async || sleep(Duration::from_millis(waits.next().expect("no more"))).await).await;
        assert_eq!(waits.next(), None);
    }
}
