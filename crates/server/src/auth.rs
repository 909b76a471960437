//! Who may call, and as whom.

use std::{collections::HashMap, fmt::Write as _};

use partwise_protocol::Credential;
use sha2::{Digest as _, Sha256};

use crate::{
    refusal::Refusal,
    tenant::{Tenant, TenantNameError},
};

/// The keys that a server takes, and the tenant that each stands for.
///
/// Only digests of the keys are kept, and digests are what is compared: how long that takes says nothing about a key.
///
/// ```
/// use partwise_server::{Keys, Tenant};
///
/// let keys = Keys::parse("team-a:first-key\nteam-a:second-key\na-key-of-its-own\n")?;
/// let same = Keys::new([("first-key", Tenant::new("team-a")?)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keys(Taken);

#[derive(Clone, Debug)]
enum Taken {
    Any,
    Listed(HashMap<Digest, Tenant>),
}

type Digest = [u8; 32];

/// A list of keys cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// There is no key in the list, which would otherwise mean that none fits, or that any does.
    #[error("there is no key in the list")]
    Empty,
    /// A tenant without a key behind it.
    #[error("entry {entry} has no key behind the colon")]
    NoKey {
        /// Which entry of the list, from 1.
        entry: usize,
    },
    /// A key that cannot stand in a header.
    #[error("the key of entry {entry} has other characters than visible ASCII")]
    Key {
        /// Which entry of the list, from 1.
        entry: usize,
    },
    /// A tenant's name that is none.
    #[error("entry {entry} cannot be read as `key` or `tenant:key`")]
    Tenant {
        /// Which entry of the list, from 1.
        entry: usize,
        /// What is wrong with the name.
        source: TenantNameError,
    },
    /// Two tenants with one key.
    #[error("the key of entry {entry} is another tenant's already")]
    Shared {
        /// Which entry of the list, from 1.
        entry: usize,
    },
}

impl Keys {
    /// Any key at all, and all callers are one tenant: for a server that only its own machine can reach.
    #[must_use]
    pub fn any() -> Self {
        Self(Taken::Any)
    }

    /// These keys and no others; with none of them, nobody may call. Of a key that comes twice, the last tenant counts.
    #[must_use]
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, Tenant)>) -> Self {
        Self(Taken::Listed(keys.into_iter().map(|(key, tenant)| (digest(key), tenant)).collect()))
    }

    /// Reads entries separated by line ends or commas, each a `key` or a `tenant:key`; blank ones, and lines that
    /// begin with `#`, are skipped. A key without a tenant is a tenant of its own, named after its digest.
    ///
    /// # Errors
    /// [`KeysError`], which never shows a key.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let mut keys = HashMap::new();
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let entries = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|entry| !entry.is_empty());
        for (index, text) in entries.enumerate() {
            let entry = index + 1;
            let (key, tenant) = match text.split_once(':') {
                None => (text, own_tenant(text)),
                Some((_, "")) => return Err(KeysError::NoKey { entry }),
                Some((tenant, key)) => {
                    let tenant = Tenant::new(tenant).map_err(|source| KeysError::Tenant { entry, source })?;
                    (key, tenant)
                }
            };
            if Credential::key(key).is_err() {
                return Err(KeysError::Key { entry });
            }
            if keys.insert(digest(key), tenant.clone()).is_some_and(|before| before != tenant) {
                return Err(KeysError::Shared { entry });
            }
        }
        if keys.is_empty() { Err(KeysError::Empty) } else { Ok(Self(Taken::Listed(keys))) }
    }

    /// Whose request this is.
    pub(crate) fn tenant(&self, credential: Option<&Credential>) -> Result<Tenant, Refusal> {
        let credential = credential.ok_or(Refusal::NoKey)?;
        match &self.0 {
            Taken::Any => Ok(Tenant::everyone()),
            Taken::Listed(keys) => keys.get(&digest(credential.secret())).cloned().ok_or(Refusal::WrongKey),
        }
    }
}

fn digest(key: &str) -> Digest {
    Sha256::digest(key).into()
}

/// A key's own tenant. Sixteen digits of its digest are as good as none to whoever would guess the key.
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
        let keys = Keys::parse("# ours\nteam-a:one, team-b:two\n\nthree\n").unwrap();
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
    fn a_list_that_cannot_be_meant_is_refused_without_showing_a_key() {
        for (text, error) in [
            ("", KeysError::Empty),
            ("# none\n ,", KeysError::Empty),
            ("k\na:", KeysError::NoKey { entry: 2 }),
            ("a:k,b:k", KeysError::Shared { entry: 2 }),
            ("a:sécret", KeysError::Key { entry: 1 }),
        ] {
            assert_eq!(Keys::parse(text).unwrap_err(), error, "{text:?}");
        }
        assert!(matches!(Keys::parse("A B:k").unwrap_err(), KeysError::Tenant { entry: 1, .. }));
    }

    #[test]
    fn no_key_is_in_the_debug_output() {
        assert!(!format!("{:?}", Keys::parse("team:hunter2").unwrap()).contains("hunter2"));
    }
}
