// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! The operations of the contract, as tables that clients and servers read.

mod fields;
mod operations;
mod purposes;

pub use operations::{OperationId, PathPart};

/// The date of an api-version, by which versions compare: `2024-08-01-preview` is `2024-08-01`.
fn date(api_version: &str) -> &str {
    api_version.get(..10).unwrap_or(api_version)
}

/// Tells whether an api-version is from `stable` on, or a preview from `previews` on.
fn is_from(api_version: &str, stable: &str, previews: &str) -> bool {
    date(api_version) >= if api_version.ends_with("-preview") { previews } else { stable }
}
