//! Whose files these are.

use std::{fmt, sync::Arc};

/// The owner of files and uploads: what one tenant stores does not exist for any other.
///
/// A name of 1 to 64 lower-case letters, digits, `-` and `_`: it is a folder of the store, so it must be safe there,
/// also where `A` and `a` are one file name.
///
/// ```
/// use partwise_server::Tenant;
///
/// assert_eq!(Tenant::new("team-1").unwrap().as_str(), "team-1");
/// assert!(Tenant::new("Team 1").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenant(Arc<str>);

/// A tenant's name has other characters than it may, or too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no tenant name: take 1 to 64 lower-case letters, digits, `-` and `_`")]
#[non_exhaustive]
pub struct TenantNameError {
    /// The name as given.
    pub name: String,
}

impl Tenant {
    /// The tenant of this name.
    ///
    /// # Errors
    /// [`TenantNameError`] when the name is empty, too long or has other characters.
    pub fn new(name: &str) -> Result<Self, TenantNameError> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
            return Err(TenantNameError { name: name.to_owned() });
        }
        Ok(Self(name.into()))
    }

    /// The tenant of every caller when no keys are set.
    pub(crate) fn everyone() -> Self {
        Self("everyone".into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_safe_folder_is_refused() {
        for name in ["", "A", "a/b", "..", "a b", "é", &"x".repeat(65)] {
            assert!(Tenant::new(name).is_err(), "{name}");
        }
        assert_eq!(Tenant::new("team-1_b").unwrap().as_str(), "team-1_b");
    }
}
