//! Executes HTTP requests: a tower service on hyper's HTTP/1.1 connections, made for large bodies in both directions.
//!
//! It knows nothing of uploads. What a caller may want to know of a request on its way (how much of its body has departed, how to
//! stop it) is told through a [`SendState`](partwise_protocol::transport::SendState) in the request's extensions, and what its errors
//! mean for a retry is what [`failure_kind`] says. A `POST` that can be sent again without harm says so with a
//! [`Repeat`](partwise_protocol::transport::Repeat) there: the answer to any other is waited for as long as one can that may have made
//! something, since it cannot be asked for again.
//!
//! ```no_run
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use partwise_transport_hyper::stack::Stack;
//! use tower_service::Service as _;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let request = http::Request::get("https://api.openai.com/v1/files").body(Full::new(Bytes::new()))?;
//! let answer = Stack::default().call(request).await?;
//! println!("{}", answer.status());
//! # Ok(())
//! # }
//! ```
//!
//! - [`stack`]: the service, its settings and its errors.
//!
//! Everything here runs inside a tokio runtime with time and I/O enabled.
//!
//! # More
//! `partwise` is a client over it, which the project's `docs/guides/library.md` explains; its section on transports says what another
//! service has to do in place of this one, and `crates/client/examples/custom_transport.rs` is a program that uses one.

mod failure;
pub mod stack;

pub use self::failure::failure_kind;
