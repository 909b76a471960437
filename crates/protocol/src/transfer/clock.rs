//! The service's clock, and when an upload expires on it.

use std::time::Duration;

use http::HeaderMap;
use partwise_models::{UnixSeconds, Upload};
use serde::{Deserialize, Serialize};

use crate::{Now, retry::date_of};

/// How far the service's clock is ahead of ours, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ClockOffset(i64);

impl ClockOffset {
    /// The offset that an answer's `Date` shows.
    pub(super) fn of_answer(headers: &HeaderMap, now: Now) -> Option<Self> {
        date_of(headers).map(|date| Self::between(date, now))
    }

    /// The offset that a moment which the service calls now shows.
    pub(super) fn between(service: UnixSeconds, now: Now) -> Self {
        Self(signed(service).saturating_sub(signed(now.unix)))
    }

    /// What the service's clock reads now.
    pub(super) fn service_time(self, now: Now) -> UnixSeconds {
        self.apply(now.unix)
    }

    /// What the service's clock read when ours read this.
    pub(super) fn apply(self, ours: UnixSeconds) -> UnixSeconds {
        UnixSeconds(u64::try_from(signed(ours).saturating_add(self.0)).unwrap_or(0))
    }
}

fn signed(moment: UnixSeconds) -> i64 {
    i64::try_from(moment.0).unwrap_or(i64::MAX)
}

/// When an upload expires, if it does.
pub(super) enum Expiry {
    /// At this moment of the service's clock.
    At(UnixSeconds),
    /// The service named none.
    Never,
    /// The service named a moment before the upload began, which cannot be meant.
    Nonsense,
}

impl Expiry {
    pub(super) fn of(upload: &Upload) -> Self {
        match (upload.expires_at, upload.created_at) {
            (None, _) => Self::Never,
            (Some(expires), Some(created)) if expires <= created => Self::Nonsense,
            (Some(expires), _) => Self::At(expires),
        }
    }
}

/// How long until `moment` of the service's clock; zero when it is past.
pub(super) fn until(moment: UnixSeconds, offset: ClockOffset, now: Now) -> Duration {
    Duration::from_secs(moment.0.saturating_sub(offset.service_time(now).0))
}
