//! The directory that a platform has for the state of applications.

use std::{env, path::PathBuf};

/// The name of our directory there.
const NAME: &str = "partwise";

/// `$XDG_STATE_HOME` (which must be absolute) or `~/.local/state`, as the XDG Base Directory Specification says.
#[cfg(not(any(windows, target_os = "macos")))]
pub(super) fn state_directory() -> Option<PathBuf> {
    let named = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    Some(named.or_else(|| Some(home()?.join(".local/state")))?.join(NAME))
}

/// `~/Library/Application Support`.
#[cfg(target_os = "macos")]
pub(super) fn state_directory() -> Option<PathBuf> {
    Some(home()?.join("Library/Application Support").join(NAME))
}

/// `%LOCALAPPDATA%`.
#[cfg(windows)]
pub(super) fn state_directory() -> Option<PathBuf> {
    Some(PathBuf::from(env::var_os("LOCALAPPDATA")?).join(NAME).join("data"))
}

#[cfg(not(windows))]
#[allow(deprecated, reason = "it is right again in all releases that compile this")]
fn home() -> Option<PathBuf> {
    env::home_dir().filter(|home| !home.as_os_str().is_empty())
}
