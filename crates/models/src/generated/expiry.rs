// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! How long files live.

use serde::de::MapAccess;
use serde::{Deserialize, Deserializer, Serialize};

use crate::lenient::{self, Lenient};
use crate::open_enum::{Unrecognized, open_enum};
use crate::strict::{self, Strict};
use crate::text::Text;

/// How long a file is to live.
///
/// ```
/// use partwise_models::{ExpiresAfter, ExpiryAnchor};
/// use serde_json::json;
///
/// let expiry = ExpiresAfter::new(ExpiryAnchor::CreatedAt, 86_400);
/// let json = json!({"anchor": "created_at", "seconds": 86400});
/// assert_eq!(serde_json::to_value(&expiry)?, json);
/// assert_eq!(serde_json::from_value::<ExpiresAfter>(json)?, expiry);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExpiresAfter {
    /// The moment that the seconds are counted from.
    pub anchor: ExpiryAnchor,
    /// How many seconds; an hour to thirty days.
    pub seconds: u64,
}

impl ExpiresAfter {
    /// Creates one with `anchor` and `seconds`.
    pub fn new(anchor: ExpiryAnchor, seconds: u64) -> Self {
        Self { anchor, seconds }
    }
}

impl<'de> Deserialize<'de> for ExpiresAfter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::object(deserializer)
    }
}

impl Strict for ExpiresAfter {
    const DUE: &'static str = "an ExpiresAfter: an object with `anchor` and `seconds`";

    const MEMBERS: &'static [&'static str] = &["anchor", "seconds"];

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        let mut anchor = None;
        let mut seconds = None;
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "anchor" => strict::member(&mut members, "anchor", &mut anchor)?,
                "seconds" => strict::member(&mut members, "seconds", &mut seconds)?,
                _ => lenient::skip(&mut members)?,
            }
        }
        Ok(Self {
            anchor: strict::required(anchor, "anchor")?,
            seconds: strict::required(seconds, "seconds")?,
        })
    }
}

/// The moment that the life of a file is counted from.
///
/// ```
/// use partwise_models::ExpiryAnchor;
///
/// assert_eq!(ExpiryAnchor::from("created_at"), ExpiryAnchor::CreatedAt);
/// assert_eq!(ExpiryAnchor::CreatedAt.as_str(), "created_at");
///
/// let unknown = ExpiryAnchor::from("from_the_future");
/// assert!(matches!(unknown, ExpiryAnchor::Other(_)));
/// assert_eq!(unknown.as_str(), "from_the_future");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExpiryAnchor {
    /// `created_at`: The creation of the file.
    CreatedAt,
    /// A value that this release does not know, as it came.
    Other(Unrecognized),
}

impl ExpiryAnchor {
    /// All values that this release knows.
    pub const KNOWN: &'static [Self] = &[Self::CreatedAt];

    /// The value as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::CreatedAt => "created_at",
            Self::Other(value) => value.as_str(),
        }
    }

    fn known(text: &str) -> Option<Self> {
        Some(match text {
            "created_at" => Self::CreatedAt,
            _ => return None,
        })
    }
}

open_enum!(ExpiryAnchor, "a string");

impl Lenient for ExpiryAnchor {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}
