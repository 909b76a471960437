//! The limit of descriptors that this process may have open.

/// Raises the limit as far as the system lets a process raise its own, and says what it is then. Where there is no such limit, that
/// is the largest number.
pub(crate) fn raise() -> u64 {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current != maximum {
            // When it cannot be raised, the limit that there is is kept to.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        }
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    }
    #[cfg(not(unix))]
    u64::MAX
}
