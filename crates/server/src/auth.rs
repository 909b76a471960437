//! The keys of callers, and the tenants that they stand for.

mod rejections;

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
};

use partwise_protocol::Credential;
use sha2::{Digest as _, Sha256};

pub(crate) use self::rejections::Rejections;
use crate::{refusal::Refusal, tenant::Tenant};

/// The keys that a server takes, and the tenant that each stands for.
///
/// Only digests of the keys are kept, and digests are what is compared: how long that takes says nothing about a key.
///
/// ```
/// use partwise_server::{Keys, Tenant};
///
/// let keys = Keys::of_lines("team-a:first-key\nteam-a:second-key\na-key-of-its-own\n")?;
/// let same = Keys::new([("first-key", Tenant::new("team-a")?)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keys(Accepted);

#[derive(Clone, Debug)]
enum Accepted {
    Any,
    Listed(HashMap<Digest, Tenant>),
}

type Digest = [u8; 32];

/// A list of keys cannot be read. No part of the list is in it: what stands in the wrong place may be a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// There is no key in the list, which would otherwise mean that none fits, or that any does.
    #[error("there is no key in the list")]
    Empty,
    /// A tenant without a key behind it.
    #[error("{place} has no key behind the colon")]
    NoKey {
        /// Where it stands.
        place: KeyPlace,
    },
    /// A key that cannot stand in a header.
    #[error("the key of {place} has other characters than visible ASCII")]
    Key {
        /// Where it stands.
        place: KeyPlace,
    },
    /// A tenant's name that is none.
    #[error(
        "{place} has no tenant name before its colon: take 1 to 64 lower-case letters, digits, `-` and `_`, \
         with the key behind the colon"
    )]
    Tenant {
        /// Where it stands.
        place: KeyPlace,
    },
    /// Two tenants with one key.
    #[error("the key of {place} is another tenant's already")]
    Shared {
        /// Where the second stands.
        place: KeyPlace,
    },
}

/// Where in a list of keys, counted from 1 and with what is skipped.
///
/// ```
/// use partwise_server::{KeyPlace, Keys, KeysError};
///
/// let error = Keys::of_lines("team-a:first-key\nteam-b:\n").unwrap_err();
/// assert_eq!(error, KeysError::NoKey { place: KeyPlace::Line(2) });
/// assert_eq!(error.to_string(), "line 2 has no key behind the colon");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyPlace {
    /// A line of [`Keys::of_lines`].
    Line(usize),
    /// An entry of [`Keys::of_entries`].
    Entry(usize),
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Entry(number) => write!(f, "entry {number}"),
        }
    }
}

impl Keys {
    /// Any key at all, and all callers are one tenant: for a server that only its own machine can reach.
    #[must_use]
    pub fn any() -> Self {
        Self(Accepted::Any)
    }

    /// These keys and no others; with none of them, nobody may call. Of a key that comes twice, the last tenant counts.
    #[must_use]
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, Tenant)>) -> Self {
        Self(Accepted::Listed(keys.into_iter().map(|(key, tenant)| (digest(key), tenant)).collect()))
    }

    /// Reads a file of keys, one `key` or `tenant:key` a line; blank lines, lines that begin with `#` and a byte
    /// order mark are skipped. A key without a tenant is a tenant of its own, named after its digest.
    ///
    /// # Errors
    /// [`KeysError`], which never shows a key.
    pub fn of_lines(text: &str) -> Result<Self, KeysError> {
        let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(str::trim);
        let lines = lines.zip(1..).filter(|(line, _)| !line.starts_with('#'));
        Self::read(lines.map(|(line, number)| (line, KeyPlace::Line(number))))
    }

    /// Reads entries separated by commas, as an environment variable holds them, each a `key` or a `tenant:key`;
    /// blank ones are skipped. A key without a tenant is a tenant of its own, named after its digest.
    ///
    /// # Errors
    /// [`KeysError`], which never shows a key.
    pub fn of_entries(text: &str) -> Result<Self, KeysError> {
        let entries = text.split(',').map(str::trim).zip(1..);
        Self::read(entries.map(|(entry, number)| (entry, KeyPlace::Entry(number))))
    }

    fn read<'a>(entries: impl Iterator<Item = (&'a str, KeyPlace)>) -> Result<Self, KeysError> {
        let mut keys = HashMap::new();
        for (text, place) in entries.filter(|(text, _)| !text.is_empty()) {
            let (key, tenant) = match text.split_once(':') {
                None => (text, own_tenant(text)),
                Some((_, "")) => return Err(KeysError::NoKey { place }),
                Some((tenant, key)) => {
                    let tenant = Tenant::new(tenant.trim_end()).map_err(|_| KeysError::Tenant { place })?;
                    (key.trim_start(), tenant)
                }
            };
            if Credential::key(key).is_err() {
                return Err(KeysError::Key { place });
            }
            if keys.insert(digest(key), tenant.clone()).is_some_and(|before| before != tenant) {
                return Err(KeysError::Shared { place });
            }
        }
        if keys.is_empty() { Err(KeysError::Empty) } else { Ok(Self(Accepted::Listed(keys))) }
    }

    pub(crate) fn is_any(&self) -> bool {
        matches!(self.0, Accepted::Any)
    }

    /// The tenant whose request this is.
    pub(crate) fn tenant(&self, credential: Option<&Credential>) -> Result<Tenant, Refusal> {
        let credential = credential.ok_or(Refusal::NoKey)?;
        match &self.0 {
            Accepted::Any => Ok(Tenant::everyone()),
            Accepted::Listed(keys) => {
                keys.get(&digest(credential.secret())).cloned().ok_or(Refusal::WrongKey)
            }
        }
    }
}

fn digest(key: &str) -> Digest {
    Sha256::digest(key).into()
}

/// A key's own tenant. Sixteen digits of its digest do not help to guess the key.
fn own_tenant(key: &str) -> Tenant {
    let mut name = String::from("key-");
    for byte in &digest(key)[..8] {
        let _ = write!(name, "{byte:02x}");
    }
    // Hex digits are what a tenant's name may have.
    Tenant::new(&name).unwrap_or_else(|_| Tenant::everyone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant_of(keys: &Keys, key: &str) -> Option<String> {
        let credential = Credential::key(key).unwrap();
        keys.tenant(Some(&credential)).ok().map(|tenant| tenant.to_string())
    }

    #[test]
    fn a_key_leads_to_its_tenant_and_to_no_other() {
        let keys = Keys::of_lines("\u{feff}# ours\nteam-a:one\nteam-b: two\n\n three\r\n").unwrap();
        assert_eq!(tenant_of(&keys, "one").as_deref(), Some("team-a"));
        assert_eq!(tenant_of(&keys, "two").as_deref(), Some("team-b"));
        assert_eq!(tenant_of(&keys, "three").as_deref(), Some("key-8b5b9db0c13db242"));
        assert_eq!(tenant_of(&keys, "team-a:one"), None);
        assert_eq!(tenant_of(&keys, "ONE"), None);
        assert!(keys.tenant(None).is_err());
    }

    #[test]
    fn any_key_will_do_when_none_is_set_but_not_no_key() {
        assert_eq!(tenant_of(&Keys::any(), "whatever").as_deref(), Some("everyone"));
        assert!(Keys::any().tenant(None).is_err());
    }

    #[test]
    fn commas_separate_in_a_variable_and_are_part_of_a_key_in_a_file() {
        let keys = Keys::of_entries("team-a:one, team-b:two,,#three").unwrap();
        assert_eq!(tenant_of(&keys, "one").as_deref(), Some("team-a"));
        assert_eq!(tenant_of(&keys, "two").as_deref(), Some("team-b"));
        assert!(tenant_of(&keys, "#three").is_some(), "there are no comments in a variable");
        let keys = Keys::of_lines("team-a:one,two").unwrap();
        assert_eq!(tenant_of(&keys, "one,two").as_deref(), Some("team-a"));
        assert_eq!(tenant_of(&keys, "two"), None);
    }

    #[test]
    fn a_list_that_cannot_be_meant_is_refused_without_showing_a_key() {
        let line = KeyPlace::Line;
        for (text, error) in [
            ("", KeysError::Empty),
            ("# zzcomment\n \n", KeysError::Empty),
            ("# zzcomment\n\nzzkey\nzzteam:", KeysError::NoKey { place: line(4) }),
            ("zzteam:zzkey\nzzother:zzkey", KeysError::Shared { place: line(2) }),
            ("zzteam:zzsécret", KeysError::Key { place: line(1) }),
            ("zzteam:zzone, zzother:zztwo", KeysError::Key { place: line(1) }),
            ("ZZteam zzb:zzkey", KeysError::Tenant { place: line(1) }),
            ("\nSk-ZZSECRETKEY123:zzteam", KeysError::Tenant { place: line(2) }),
        ] {
            assert_refusal(text, &Keys::of_lines(text).unwrap_err(), &error);
        }
        let entry = KeyPlace::Entry;
        for (text, error) in [
            (" ,", KeysError::Empty),
            ("zzkey,,zzteam:", KeysError::NoKey { place: entry(3) }),
            ("zzteam:zzkey,zzother:zzkey", KeysError::Shared { place: entry(2) }),
            ("zzteam:zzone\nzzother:zztwo", KeysError::Key { place: entry(1) }),
            ("zzkey, Sk-ZZSECRETKEY123:zzteam", KeysError::Tenant { place: entry(2) }),
        ] {
            assert_refusal(text, &Keys::of_entries(text).unwrap_err(), &error);
        }
    }

    /// Every word of the inputs has a `zz`, and no word of a message has.
    fn assert_refusal(text: &str, refused: &KeysError, expected: &KeysError) {
        assert_eq!(refused, expected, "{text:?}");
        let mut shown = format!("{refused:?}");
        let mut layer: Option<&dyn std::error::Error> = Some(refused);
        while let Some(error) = layer {
            let _ = write!(shown, " {error}");
            layer = error.source();
        }
        assert!(!shown.to_lowercase().contains("zz"), "{shown}");
    }

    #[test]
    fn no_key_is_in_the_debug_output() {
        assert!(!format!("{:?}", Keys::of_lines("team:hunter2").unwrap()).contains("hunter2"));
    }
}
