//! The service side of the OpenAI and Azure OpenAI Files and Uploads APIs: all operations of `partwise-protocol`, in
//! the other direction, over one object store.
//!
//! It never holds a long list, or more than 8 MiB of a file or a part, in memory, never changes a record that it has written, takes no lock and
//! needs no database: any number of servers may work on one [`Store`].
//!
//! - [`Server`] is a service to mount over hyper or behind any `tower` stack; [`Server::serve`] runs it on a socket,
//!   [`Server::serve_on_threads`] with threads of its own.
//! - [`Store`] is where it keeps everything: [a folder](Store::local), [memory](Store::memory), S3, Azure Blob Storage or Google Cloud
//!   Storage (`Store::cloud`, features `ring` or `aws-lc-rs`), or any `ObjectStore`.
//! - [`Keys`] says who may call, and as which [`Tenant`]; they can be replaced while it runs.
//! - [`testing`] has faults on demand, for tests of clients.
//! - [`Limits`] bounds what callers can hold: connections, heads, silence, rates.
//!
//! ```no_run
//! use partwise_server::{Keys, Server, Store};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder(Store::local("/var/lib/partwise")?).keys(Keys::any()).build().await?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! server.serve(listener, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is durable
//! On a local disk every success is answered after the file, and the folders above it, are synced. A crash leaves
//! either all of what a request did or nothing that a later request could see; what it leaves on the disk is removed
//! by [`Server::sweep`]. With [`Durability::None`] that holds for crashes of the process alone, not of the system.
//!
//! A full disk is read, emptied and swept like any other; only what would make something new fails. The first such failure
//! starts a sweep where the server sweeps by itself ([`Server::sweep_regularly`]); later ones at most one a minute.
//!
//! # More
//! - `partwise serve` is this server as a command: the project's `docs/guides/command.md` says how it is run.
//! - `partwise` is a client for it: `docs/guides/library.md` shows both in one test.
//! - `docs/contract/choices.md` says what it does where no document of the services says anything.

mod auth;
mod backend;
mod blob;
#[cfg(feature = "__cloud")]
mod cloud;
mod content;
mod damage;
mod files;
mod full_disk;
mod id;
mod large_record;
mod layout;
mod limits;
mod listing;
mod local;
mod marker;
mod memory;
mod moment;
mod notice;
mod open;
mod pace;
mod peer;
mod probe;
mod reading;
mod record;
mod refusal;
mod removal;
mod rules;
mod serve;
mod server;
mod service;
mod settle;
mod socket;
mod store;
mod summary;
mod sweeper;
mod tenant;
pub mod testing;
mod uploads;

pub use auth::{KeyPlace, Keys, KeysError};
pub use limits::Limits;
pub use open::{Durability, OpenError};
pub use peer::Peer;
pub use serve::Stopped;
pub use server::{Builder, Server, SweepError};
pub use service::{BrokenContent, ResponseBody};
pub use store::Store;
pub use sweeper::Swept;
pub use tenant::{Tenant, TenantNameError};
