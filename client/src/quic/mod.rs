//! QUIC (SPEC §17.2): an asynchronous client on tokio, whose requests travel in datagrams or by a stream.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mvt_client::{Config, identity, quic::{Client, ServerCertificate, Way}, server_key};
//!
//! let server = server_key("3rLzVx8s0sI7y5Hc3cCwS8Yw9mJk2pGf0aTq1uRb6nE=").expect("a public key");
//! let config = Config::new("127.0.0.1:7440", &server, identity::load("client.key")?)?;
//! let client = Client::connect(config.quic(ServerCertificate::CheckedByLogin), Way::Datagrams).await?;
//! let (one, two) = tokio::join!(client.request(1, b"transfer 42"), client.request(1, b"transfer 43"));
//! # let _ = (one?, two?);
//! # Ok(())
//! # }
//! ```
//!
//! When the server lost the key, or the connection broke, what was on its way has an unknown outcome, and the next request
//! resumes with the ticket, on another server if there is one, or logs in where no ticket is taken.
//!
//! Modules: `client` the face; `engine` the task behind it, what is said to it (`order`) and what `arrival`s mean, with its
//! `flight` of unanswered requests and its `link` to the server; `establish` and `recover` the ways to a session; `dial` and `certificate`
//! what makes a connection; `stream` the blocking client's way.

mod arrival;
mod certificate;
mod client;
mod dial;
mod engine;
mod establish;
mod flight;
mod link;
mod order;
mod recover;
#[cfg(feature = "blocking")]
mod stream;

pub use certificate::ServerCertificate;
pub use client::{Client, Way};
pub use order::{Migration, Standing};
#[cfg(feature = "blocking")]
pub(crate) use stream::QuicStream;
