//! Which of the three flavours of the API is spoken, and the sizes that each allows.

use std::fmt;

/// The flavour of the API: what differs is data (prefix, query, header, limits), not code.
///
/// Two dialects are equal when requests built for one are right for the other.
///
/// ```
/// use partwise_protocol::Dialect;
///
/// let dated = Dialect::AzureDated { api_version: "2024-10-21".to_owned() };
/// assert_eq!((dated.api_version(), Dialect::OpenAi.api_version()), (Some("2024-10-21"), None));
/// assert_eq!(dated.to_string(), "Azure OpenAI 2024-10-21");
/// assert!(Dialect::is_dated_version("2025-04-01-preview"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI: `https://api.openai.com/v1`, and the many services that copy it.
    OpenAi,
    /// Azure OpenAI with a dated `api-version` query parameter on every request.
    AzureDated {
        /// The version as it goes on the wire, such as `2024-10-21` or `2025-04-01-preview`.
        api_version: String,
    },
    /// Azure OpenAI's `/openai/v1` surface, where `api-version` is optional.
    AzureV1 {
        /// `Some("preview")` or the like; `None` leaves the parameter out.
        api_version: Option<String>,
    },
}

impl Dialect {
    /// The `api-version` that goes on the wire, if this dialect sends one.
    #[must_use]
    pub fn api_version(&self) -> Option<&str> {
        match self {
            Self::OpenAi => None,
            Self::AzureDated { api_version } => Some(api_version),
            Self::AzureV1 { api_version } => api_version.as_deref(),
        }
    }

    /// Whether a dated `api-version` has the wire's form: `YYYY-MM-DD`, perhaps with `-preview` behind it.
    #[must_use]
    pub fn is_dated_version(version: &str) -> bool {
        let (date, rest) = version.split_at_checked(10).unwrap_or((version, ""));
        let digits = |at: std::ops::Range<usize>| date.as_bytes()[at].iter().all(u8::is_ascii_digit);
        date.len() == 10
            && digits(0..4)
            && digits(5..7)
            && digits(8..10)
            && date.as_bytes()[4] == b'-'
            && date.as_bytes()[7] == b'-'
            && matches!(rest, "" | "-preview")
    }
}

/// Speaks to people: `OpenAI`, `Azure OpenAI 2024-10-21`, `Azure OpenAI v1`.
impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenAi => f.write_str("OpenAI"),
            Self::AzureDated { api_version } => write!(f, "Azure OpenAI {api_version}"),
            Self::AzureV1 { api_version: None } => f.write_str("Azure OpenAI v1"),
            Self::AzureV1 { api_version: Some(version) } => write!(f, "Azure OpenAI v1 ({version})"),
        }
    }
}

/// The largest sizes, in bytes, that the documents of a dialect allow.
///
/// The documents say GB and MB and no source says which reading is meant, so there are two: a client keeps to
/// the smaller, a service allows the larger. Parts are the exception: 64 MB is 64 MiB in practice on both sides.
///
/// ```
/// use partwise_protocol::{Api, Dialect, Limits};
///
/// let mut limits = Limits::for_client(&Dialect::OpenAi);
/// assert_eq!(limits.part, 64 << 20);
/// // A gateway in between takes less.
/// limits.part = 16 << 20;
/// let api = Api::openai().with_limits(limits);
/// assert_eq!(api.limits().part, 16 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// One part of an upload.
    pub part: u64,
    /// A whole upload.
    pub upload: u64,
    /// A file sent in one `POST /files`.
    pub file: u64,
    /// How many parts an upload has at most where their sizes follow from the line. No document states a number; this is what
    /// object stores take.
    pub parts: u64,
}

const MB: u64 = 1_000_000;
const MIB: u64 = 1 << 20;
const OPENAI_PART: u64 = 64 * MIB;
const PARTS: u64 = 10_000;

impl Limits {
    /// What a client should keep to: the smaller reading of the documents.
    ///
    /// Azure states no number for a part, only "the file limit of the purpose".
    #[must_use]
    pub const fn for_client(dialect: &Dialect) -> Self {
        match dialect {
            Dialect::OpenAi => Self { part: OPENAI_PART, upload: 8_000 * MB, file: 512 * MB, parts: PARTS },
            Dialect::AzureDated { .. } | Dialect::AzureV1 { .. } => {
                Self { part: 512 * MB, upload: 9_000 * MB, file: 512 * MB, parts: PARTS }
            }
        }
    }

    /// What a service should allow: the larger reading of the documents.
    #[must_use]
    pub const fn for_service(dialect: &Dialect) -> Self {
        match dialect {
            Dialect::OpenAi => {
                Self { part: OPENAI_PART, upload: 8 * 1024 * MIB, file: 512 * MIB, parts: PARTS }
            }
            Dialect::AzureDated { .. } | Dialect::AzureV1 { .. } => {
                Self { part: 512 * MIB, upload: 9 * 1024 * MIB, file: 512 * MIB, parts: PARTS }
            }
        }
    }

    /// Sets [`part`](#structfield.part), in bytes.
    #[must_use]
    pub fn part(mut self, part: u64) -> Self {
        self.part = part;
        self
    }

    /// Sets [`upload`](#structfield.upload), in bytes.
    #[must_use]
    pub fn upload(mut self, upload: u64) -> Self {
        self.upload = upload;
        self
    }

    /// Sets [`file`](#structfield.file), in bytes.
    #[must_use]
    pub fn file(mut self, file: u64) -> Self {
        self.file = file;
        self
    }

    /// Sets [`parts`](#structfield.parts).
    #[must_use]
    pub fn parts(mut self, parts: u64) -> Self {
        self.parts = parts;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dated_version_is_a_date_perhaps_with_preview_behind_it() {
        for good in ["2024-06-01", "2024-10-21", "2025-04-01-preview"] {
            assert!(Dialect::is_dated_version(good), "{good}");
        }
        for bad in ["", "v1", "preview", "2024-6-1", "2024-10-21-beta", "2024/10/21", "20２4-10-21"] {
            assert!(!Dialect::is_dated_version(bad), "{bad}");
        }
    }

    #[test]
    fn a_service_allows_whatever_a_client_may_send() {
        let dated = Dialect::AzureDated { api_version: "2024-10-21".into() };
        for dialect in [Dialect::OpenAi, dated, Dialect::AzureV1 { api_version: None }] {
            let (client, service) = (Limits::for_client(&dialect), Limits::for_service(&dialect));
            assert!(
                client.part <= service.part && client.upload <= service.upload && client.file <= service.file
            );
        }
    }
}
