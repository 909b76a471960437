//! Where chance comes from.

use std::hash::{BuildHasher as _, RandomState};

/// Another one every time, unless the environment names one; a test that fails shows it.
pub(crate) fn random() -> fastrand::Rng {
    let seed = match std::env::var("PARTWISE_KILL_SEED") {
        Ok(seed) => seed.parse().expect("PARTWISE_KILL_SEED is a number"),
        Err(_) => RandomState::new().hash_one(()),
    };
    println!("PARTWISE_KILL_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}
