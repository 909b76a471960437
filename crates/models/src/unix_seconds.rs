//! Points in time, as both APIs write them.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::lenient::{self, Lenient};

/// A point in time in whole seconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "a number with a meaning, complete as it is")]
pub struct UnixSeconds(pub u64);

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
