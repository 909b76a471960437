//! A runtime for tests that are not async.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// Returns a runtime that runs beside the test, until its process ends.
pub fn background() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}
