//! What can go wrong, by what it means for the request.

use std::io;

use mvt_proto::{Reject, reject::ErrReason};

/// Why a request has no response. Only [`Error::OutcomeUnknown`] leaves open whether it was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The payload is longer than 16384 bytes; nothing was sent.
    #[error("payload is longer than 16384 bytes")]
    PayloadTooLong,
    /// No connection; the request was not sent.
    #[error("cannot connect: {0}")]
    Connect(io::ErrorKind),
    /// No session; the request was not sent.
    #[error("cannot log in: {0}")]
    Login(#[from] LoginError),
    /// The time was over before the request was sent.
    #[error("timed out before the request was sent")]
    NotSent,
    /// The server verified the request and refused it.
    #[error("refused by the server: {0:?}")]
    Refused(ErrReason),
    /// The request was sent and may have been executed, once.
    #[error("the outcome is unknown: {0}")]
    OutcomeUnknown(Unknown),
}

/// Why the outcome of a request is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No verified answer came in time.
    #[error("no answer in time")]
    TimedOut,
    /// The connection ended first.
    #[error("the connection was closed")]
    Closed,
    /// The connection failed first.
    #[error("the connection failed: {0}")]
    Io(io::ErrorKind),
    /// The server has lost the key of the session, authentically.
    #[error("the server lost the session's key")]
    KeyLost,
    /// The server had accepted the same frame before: the outcome of that one stands (SPEC 7.3).
    #[error("the server had accepted the same frame before")]
    Replayed,
    /// The server sent what is no answer.
    #[error("the server broke the protocol: {0}")]
    Protocol(Reject),
}

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The server closed the connection: it knows neither this client nor another reason to say (SPEC 10.3.3).
    #[error("the server refused the login")]
    Refused,
    /// The server stayed busy.
    #[error("the server is busy")]
    Busy,
    /// The server asked for a second cookie (SPEC 14.3).
    #[error("the server asked for a second cookie")]
    SecondCookie,
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(io::ErrorKind),
    /// The answer is not the server's, or breaks the protocol.
    #[error("the answer is refused: {0}")]
    Answer(Reject),
    /// The system gives no random bytes.
    #[error("no random bytes from the system")]
    Random,
}
