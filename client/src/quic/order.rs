//! What a client's face says to its task, and what it is answered.

use std::net::{SocketAddr, UdpSocket};

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::{Error, Response};

/// What the task is told to do.
#[derive(Debug)]
pub(super) enum Order {
    Request { op: u16, payload: Vec<u8>, answer: oneshot::Sender<Result<Response, Error>> },
    Migrate { socket: UdpSocket, answer: oneshot::Sender<Result<Migration, Error>> },
    Stand { answer: oneshot::Sender<Standing> },
    ExportTicket { answer: oneshot::Sender<Option<Zeroizing<Vec<u8>>>> },
}

/// The client's address before and after [`Client::migrate`](crate::quic::Client::migrate).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The socket used until now.
    pub from: SocketAddr,
    /// The socket used from now on.
    pub to: SocketAddr,
    /// Names the session, which stays.
    pub key_id: u64,
}

/// Which session a client has, and how it came to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Names the present session.
    pub key_id: u64,
    /// Renewals of the present session so far.
    pub generation: u16,
    /// Logins so far: one, and one for each session that no ticket or renewal gave.
    pub login_count: u64,
    /// Sessions so far that a ticket gave.
    pub resume_count: u64,
}
