//! Points in time, as both APIs write them.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::lenient::{self, Lenient};

/// A point in time in whole seconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// ```
/// use partwise_models::UnixSeconds;
///
/// let created_at: UnixSeconds = serde_json::from_str("1719185911")?;
/// assert_eq!(created_at, UnixSeconds(1_719_185_911));
/// assert!(created_at < UnixSeconds::from(1_719_188_511));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "a number with a meaning, complete as it is")]
pub struct UnixSeconds(pub u64);

#[cfg(feature = "std")]
impl UnixSeconds {
    /// The same moment as the standard library has it; `None` when that cannot represent it.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use partwise_models::UnixSeconds;
    ///
    /// let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
    /// let seconds = UnixSeconds::of_system_time(moment);
    /// assert_eq!(seconds, Some(UnixSeconds(1_700_000_000)));
    /// ```
    #[must_use]
    pub fn to_system_time(self) -> Option<std::time::SystemTime> {
        std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(self.0))
    }

    /// The second in which a moment of the standard library lies; `None` before 1970.
    #[must_use]
    pub fn of_system_time(moment: std::time::SystemTime) -> Option<Self> {
        let since = moment.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(Self(since.as_secs()))
    }
}

impl From<u64> for UnixSeconds {
    fn from(seconds: u64) -> Self {
        Self(seconds)
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<'de> Deserialize<'de> for UnixSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::required(deserializer, "a time in whole seconds since 1970")
    }
}

impl Lenient for UnixSeconds {
    fn from_integer(value: i128) -> Option<Self> {
        u64::from_integer(value).map(Self)
    }
}
