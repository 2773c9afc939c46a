//! The MVT client: login, verified requests and fresh keys behind one call.
//!
//! ```no_run
//! # #[cfg(feature = "blocking")]
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mvt_client::{Client, Error, identity, server_key};
//!
//! let server = server_key("3rLzVx8s0sI7y5Hc3cCwS8Yw9mJk2pGf0aTq1uRb6nE=").expect("a public key");
//! let identity = identity::load("client.key")?;
//! let mut client = Client::connect("127.0.0.1:7440", &server, identity)?;
//! match client.request(1, b"transfer 42") {
//!     Ok(response) => println!("status {}, {} bytes", response.status, response.payload.len()),
//!     Err(Error::OutcomeUnknown(cause)) => println!("may have been executed: {cause}"),
//!     Err(error) => println!("was not executed: {error}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Every request carries its own key and counter; its answer is verified before it is returned. The client follows the
//! server's renewals of its keys. When the connection or the server's key is gone, it resumes with its ticket, on another
//! server if there is one, and logs in where no ticket is taken. It never sends a request twice by itself, except after an
//! authenticated STALE or PENDING, which mean "not executed". What it cannot know it says: [`Error::OutcomeUnknown`] is kept
//! apart from every error that means "not executed".
//!
//! A client that lost its key and has its recovery kit calls `Client::recover` with a new one.
//!
//! Modules: [`config`] what a client is told; [`identity`] its secrets; [`error`] what can go wrong; `blocking` the client;
//! `pipeline` requests on their way, `bond` the session with its `ticket`, `establish`, `entrance`, `recover` and `record` the ways to one,
//! `connection` and `clock` what they stand on. With the feature `quic`: `quic` an asynchronous client, and
//! `Config::quic` for the blocking one.

pub mod config;
pub mod error;
pub mod identity;
mod response;
mod ticket;

#[cfg(feature = "quic")]
pub mod quic;

#[cfg(feature = "blocking")]
mod blocking;
#[cfg(any(feature = "blocking", feature = "quic"))]
mod bond;
#[cfg(any(feature = "blocking", feature = "quic"))]
mod clock;
#[cfg(feature = "blocking")]
mod connection;
#[cfg(any(feature = "blocking", feature = "quic"))]
mod entrance;
#[cfg(feature = "blocking")]
mod establish;
#[cfg(feature = "blocking")]
mod pipeline;
#[cfg(any(feature = "blocking", feature = "quic"))]
mod record;
#[cfg(feature = "blocking")]
mod recover;

#[cfg(feature = "blocking")]
pub use blocking::{Client, Request};
pub use config::Config;
pub use error::{Error, LoginError, Unknown};
pub use mvt_proto::{Suite, login::Identity, recovery::RecoveryKit, reject::ErrReason};
pub use response::Response;

/// A server's public key from its base64 text; `None` for anything that is not 32 bytes.
#[must_use]
pub fn server_key(text: &str) -> Option<[u8; 32]> {
    mvt_proto::keyfile::key_from_text(text.trim())
}
