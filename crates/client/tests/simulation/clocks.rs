//! Time in a story: tokio's, which only passes when everybody waits.

use std::time::Duration;

use partwise_models::UnixSeconds;
use tokio::time::Instant;

/// When every story begins, on the server's clock.
const EPOCH: u64 = 1_760_000_000;

/// The clocks of one story.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    began: Instant,
    skew: i64,
    /// When the client's wall clock is set, and by how much.
    set: Option<(Duration, i64)>,
}

impl Clocks {
    /// The client's clock goes `skew` seconds before the server's.
    pub(crate) fn start(skew: i64, set: Option<(Duration, i64)>) -> Self {
        Self { began: Instant::now(), skew, set }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn server(&self) -> UnixSeconds {
        UnixSeconds(EPOCH + self.elapsed().as_secs())
    }

    pub(crate) fn client(&self) -> UnixSeconds {
        let set = self.set.filter(|(at, _)| self.elapsed() >= *at).map_or(0, |(_, set)| set);
        UnixSeconds(self.server().0.checked_add_signed(self.skew + set).expect("both are small"))
    }

    /// A moment of the server's clock, as HTTP writes it.
    pub(crate) fn http_date(moment: UnixSeconds) -> String {
        httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(moment.0))
    }
}
