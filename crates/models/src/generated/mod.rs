// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! The types of the contract, one file for each subject.

#[cfg(feature = "proptest")]
mod arbitrary;
#[cfg(any(feature = "schemars", feature = "utoipa"))]
mod descriptions;
mod errors;
mod expiry;
mod files;
mod objects;
mod purposes;
mod uploads;

pub use errors::*;
pub use expiry::*;
pub use files::*;
pub use objects::*;
pub use purposes::*;
pub use uploads::*;
