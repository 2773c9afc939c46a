//! The asynchronous client: a handle to the task that holds the connection and the session.

use std::{io, net::UdpSocket};

use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use crate::{
    Config, Error, RecoveryKit, Response,
    quic::{Migration, Standing, engine::Engine, order::Order},
};

/// Orders that wait for the task; beyond them [`Client::request`] waits.
const ORDERS_MAX: usize = 1024;

/// How requests travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By one stream, in order: nothing is sent twice, and a lost packet delays those behind it.
    Stream,
    /// In datagrams, many requests in each: none waits for another. A lost one is sent again with the same bytes.
    Datagrams,
}

/// A client of one server, with one connection and one session at a time. Clones share them.
#[derive(Debug, Clone)]
pub struct Client {
    orders: mpsc::Sender<Order>,
}

impl Client {
    /// Connects, and resumes with the ticket of the settings or logs in; to be called inside a tokio runtime, on which the
    /// client lives. The settings must name QUIC ([`Config::quic`]).
    ///
    /// # Errors
    /// [`Error::Connect`] or [`Error::Login`].
    pub async fn connect(config: Config, way: Way) -> Result<Self, Error> {
        Ok(Self::of(Engine::start(config, way).await?))
    }

    /// Replaces a lost static key: proves the recovery secret of `kit`, makes the identity of `config` the client's, and waits
    /// until the server has recorded that; everything authenticated with the lost key has ended then (SPEC §13). The new key must
    /// be kept safe before this is called: when the outcome is unknown, it may be the one that counts.
    ///
    /// # Errors
    /// [`Error::Connect`] and [`Error::Login`]: nothing was changed. [`Error::OutcomeUnknown`]: the new key may be recorded; a
    /// login with it tells.
    pub async fn recover(config: Config, kit: &RecoveryKit, way: Way) -> Result<Self, Error> {
        Ok(Self::of(Engine::recover(config, kit, way).await?))
    }

    fn of(engine: Engine) -> Self {
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        tokio::spawn(engine.run(received));
        Self { orders }
    }

    /// Sends one request and waits for its response. Any number may be under way at once; the service may execute them in
    /// any order. Dropping the future does not take the request back.
    ///
    /// # Errors
    /// [`Error`]; only [`Error::OutcomeUnknown`] leaves open whether it was executed.
    pub async fn request(&self, op: u16, payload: &[u8]) -> Result<Response, Error> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Request { op, payload: payload.to_vec(), answer };
        self.orders.send(order).await.map_err(|_| Error::NotSent)?;
        // The task answers every order it takes; if its runtime ended first, nobody knows.
        answered.await.unwrap_or(Err(Error::OutcomeUnknown(crate::Unknown::Closed)))
    }

    /// Goes on from another local address: the connection and its session stay (SPEC §17.2.8).
    ///
    /// # Errors
    /// [`Error::Connect`] when there is no connection, or `socket` cannot be used.
    pub async fn migrate(&self, socket: UdpSocket) -> Result<Migration, Error> {
        let (answer, answered) = oneshot::channel();
        let gone = Error::Connect(io::ErrorKind::NotConnected);
        self.orders.send(Order::Migrate { socket, answer }).await.map_err(|_| gone)?;
        answered.await.unwrap_or(Err(gone))
    }

    /// The present session, and how the client came to it; `None` when its runtime has ended.
    pub async fn standing(&self) -> Option<Standing> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order::Stand { answer }).await.ok()?;
        answered.await.ok()
    }

    /// The ticket of the present session with its secret, for [`Config::ticket`] in a later run; `None` when the server gave
    /// none yet. **Seal it before it is written anywhere**: until it expires, whoever has these bytes is this client.
    pub async fn export_ticket(&self) -> Option<Zeroizing<Vec<u8>>> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order::ExportTicket { answer }).await.ok()?;
        answered.await.ok().flatten()
    }
}
