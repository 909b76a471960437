//! What all enums of the wire have in common: a value that this release does not know is kept.

use alloc::boxed::Box;
use core::fmt;

/// A value of an enum that this release has no variant for, as it came.
///
/// Only the conversions of the enums build one, from text that is none of their known values: a known value
/// never hides in it, and `==` on the enum compares what stands on the wire.
///
/// ```
/// use partwise_models::FileState;
///
/// let state = FileState::from("quarantined");
/// let FileState::Other(unrecognized) = &state else { panic!("this release knows {state}") };
/// assert_eq!(unrecognized.as_str(), "quarantined");
/// assert_eq!(unrecognized.to_string(), "quarantined");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unrecognized(Box<str>);

impl Unrecognized {
    pub(crate) fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The value as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Unrecognized {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Gives an enum with `as_str`, `known` and the variant `Other(Unrecognized)` its conversions, `Display`, and
/// serde's two traits.
///
/// `$due` says what a reader expects in its place.
macro_rules! open_enum {
    ($name:ident, $due:literal) => {
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::known(text).unwrap_or_else(|| Self::Other($crate::open_enum::Unrecognized::new(text)))
            }
        }

        impl From<alloc::string::String> for $name {
            fn from(text: alloc::string::String) -> Self {
                Self::known(&text).unwrap_or_else(|| Self::Other($crate::open_enum::Unrecognized::new(text)))
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(self.as_str(), formatter)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::lenient::required(deserializer, $due)
            }
        }
    };
}

pub(crate) use open_enum;
