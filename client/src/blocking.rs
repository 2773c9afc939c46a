//! The client over blocking sockets.

use std::{io, net::ToSocketAddrs, time::Instant};

use mvt_proto::{constants::KEY_BYTES, header::shard_of, login::Identity, recovery::RecoveryKit};
use zeroize::Zeroizing;

use crate::{
    Config, Error, LoginError, Response, Unknown,
    bond::Bond,
    clock,
    connection::Connection,
    entrance::Way,
    establish::{Established, enter, establish},
    pipeline::Run,
    recover::recover,
    ticket::Ticket,
};

/// Connections made for one call, at most.
const CONNECTION_COUNT_MAX: u32 = 3;
/// After a replacement of the session failed, the old one serves this long before the next try, ms.
const REPLACEMENT_PAUSE_MS: u64 = 1_000;

/// A request of a [`Client::pipeline`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The operation, the service's own number.
    pub op: u16,
    /// At most 16384 bytes.
    pub payload: &'a [u8],
}

/// A client of one server, or of several that are one to it, with one connection and one session at a time.
#[derive(Debug)]
pub struct Client {
    config: Config,
    /// `None` after it ended: the next request connects and, unless the session is kept, resumes or logs in again.
    connection: Option<Connection>,
    /// Kept until a new one is established (SPEC 9.3).
    bond: Bond,
    /// A replacement of the session is not tried before, by the client's clock, ms.
    replace_not_before_ms: u64,
    login_count: u64,
    resume_count: u64,
    /// Whether the session may be used on another connection: it was answered on this one.
    is_proven: bool,
}

impl Client {
    /// Connects and logs in with the default settings.
    ///
    /// # Errors
    /// [`Error::Connect`] or [`Error::Login`].
    pub fn connect(
        address: impl ToSocketAddrs,
        server_public: &[u8; KEY_BYTES],
        identity: Identity,
    ) -> Result<Self, Error> {
        Self::connect_with(Config::new(address, server_public, identity)?)
    }

    /// Connects, and resumes with the ticket of the settings or logs in.
    ///
    /// # Errors
    /// [`Error::Connect`] or [`Error::Login`].
    pub fn connect_with(mut config: Config) -> Result<Self, Error> {
        let ticket = config.ticket.take();
        let deadline = Instant::now() + config.connect_timeout;
        let established = establish(&config, ticket.as_ref(), deadline)?;
        let bond =
            Bond::new(established.session, ticket.filter(|_| established.is_resumed), config.is_quic());
        let mut client = Self::new(config, established.connection, bond);
        client.count(established.is_resumed);
        Ok(client)
    }

    /// Replaces a lost static key: proves the recovery secret of `kit`, makes the identity of `config` the client's, and waits
    /// until the server has recorded that; everything authenticated with the lost key has ended then (SPEC 13). The new key must
    /// be kept safe before this is called: when the outcome is unknown, it may be the one that counts.
    ///
    /// # Errors
    /// [`Error::Connect`] and [`Error::Login`]: nothing was changed. [`Error::OutcomeUnknown`]: the new key may be recorded; a
    /// login with it tells.
    pub fn recover(config: Config, kit: &RecoveryKit) -> Result<Self, Error> {
        let (connection, bond) = recover(&config, kit)?;
        Ok(Self::new(config, connection, bond))
    }

    const fn new(config: Config, connection: Connection, bond: Bond) -> Self {
        Self {
            config,
            connection: Some(connection),
            bond,
            replace_not_before_ms: 0,
            login_count: 0,
            resume_count: 0,
            is_proven: false,
        }
    }

    fn count(&mut self, is_resumed: bool) {
        self.login_count += u64::from(!is_resumed);
        self.resume_count += u64::from(is_resumed);
    }

    /// Logins so far: one, and one for each session that no ticket or renewal gave.
    #[must_use]
    pub const fn login_count(&self) -> u64 {
        self.login_count
    }

    /// Sessions so far that a ticket gave.
    #[must_use]
    pub const fn resume_count(&self) -> u64 {
        self.resume_count
    }

    /// Renewals of the present session so far.
    #[must_use]
    pub const fn generation(&self) -> u16 {
        self.bond.session.generation()
    }

    /// Names the present session.
    #[must_use]
    pub const fn key_id(&self) -> u64 {
        self.bond.session.key_id()
    }

    /// The ticket of the present session with its secret, for [`Config::ticket`] in a later run; `None` when the server gave
    /// none yet. **Seal it before it is written anywhere**: until it expires, whoever has these bytes is this client.
    #[must_use]
    pub fn export_ticket(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.bond.ticket().map(Ticket::to_bytes)
    }

    /// Closes the connection; the next request makes another one.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Sends one request and waits for its response.
    ///
    /// # Errors
    /// [`Error`]; only [`Error::OutcomeUnknown`] leaves open whether it was executed.
    pub fn request(&mut self, op: u16, payload: &[u8]) -> Result<Response, Error> {
        self.pipeline(&[Request { op, payload }]).remove(0)
    }

    /// Sends the requests without waiting in between and collects one result for each, in their order. The service may
    /// execute them in any order.
    pub fn pipeline(&mut self, requests: &[Request<'_>]) -> Vec<Result<Response, Error>> {
        let deadline = Instant::now() + self.config.request_timeout;
        let mut run = Run::new(requests);
        let mut connection_count = 0;
        self.listen();
        while run.is_open() {
            if self.connection.is_none() {
                connection_count += 1;
                let ready = if connection_count > CONNECTION_COUNT_MAX {
                    Err(Error::Connect(io::ErrorKind::ConnectionAborted))
                } else {
                    self.reconnect(deadline)
                };
                if let Err(error) = ready {
                    run.fail_queue(error);
                    break;
                }
            }
            if let Err(cause) = self.send_and_collect(&mut run, deadline) {
                // What comes late would find no request: this connection has no further use.
                self.connection = None;
                run.fail_outstanding(cause);
                if Instant::now() >= deadline {
                    run.fail_queue(Error::NotSent);
                }
            }
        }
        // What came with the last answer: the first ticket does.
        self.listen();
        run.into_results()
    }

    /// Takes in what the server said meanwhile; forgets a connection that it has closed.
    fn listen(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let (bond, mut reply) = (&mut self.bond, Vec::new());
        let ended = loop {
            match connection.receive_ready() {
                Ok(Some((header, frame))) => match bond.control(&header, frame, &mut reply) {
                    Ok(_) => {}
                    Err(_) => break true,
                },
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        let deadline = Instant::now() + self.config.request_timeout;
        if ended || connection.send(&reply, deadline).is_err() {
            self.connection = None;
        }
    }

    fn reconnect(&mut self, deadline: Instant) -> Result<(), Error> {
        let by = deadline.min(Instant::now() + self.config.connect_timeout);
        let is_kept = std::mem::replace(&mut self.is_proven, false)
            && self.config.keeps_session
            && !self.bond.session.is_exhausted(clock::now_ms());
        if is_kept {
            let shard = Some(shard_of(self.key_id()));
            let connection =
                Connection::open(&self.config, &self.config.addresses, by, shard).map_err(Error::Connect)?;
            self.connection = Some(connection);
            return Ok(());
        }
        let Established { connection, session, is_resumed } =
            establish(&self.config, self.bond.ticket(), by)?;
        self.connection = Some(connection);
        self.bond.replace(session);
        if !is_resumed {
            self.bond.forget_ticket();
        }
        self.count(is_resumed);
        Ok(())
    }

    /// One turn: sends what may be sent, then waits for one answer.
    fn send_and_collect(&mut self, run: &mut Run<'_>, deadline: Instant) -> Result<(), Unknown> {
        if run.is_quiet() {
            self.replace_if_due(deadline)?;
        }
        let connection = self.connection.as_mut().ok_or(Unknown::Closed)?;
        let out = run.fill(&mut self.bond, self.replace_not_before_ms);
        connection.send(&out, deadline)?;
        if run.is_quiet() {
            return Ok(());
        }
        let collected = run.collect(connection, &mut self.bond, deadline);
        self.is_proven = match collected {
            Ok(is_answer) => is_answer || self.is_proven,
            Err(Unknown::KeyLost) => false,
            Err(_) => self.is_proven,
        };
        collected.map(drop)
    }

    /// Replaces the session on the same connection when a limit is near and the server did not offer to renew it. Nothing is on
    /// its way, so nothing is lost; while the old session can still seal, a failure is not an error.
    fn replace_if_due(&mut self, deadline: Instant) -> Result<(), Unknown> {
        let now_ms = clock::now_ms();
        let exhausted = self.bond.session.is_exhausted(now_ms);
        let due = self.bond.session.replacement_is_due(now_ms) && now_ms >= self.replace_not_before_ms;
        let Some(connection) = self.connection.as_mut().filter(|_| due || exhausted) else { return Ok(()) };
        let by = deadline.min(Instant::now() + self.config.connect_timeout);
        match enter(connection, &self.config, Way::Login, by) {
            Ok(session) => {
                self.bond.replace(session);
                self.count(false);
                Ok(())
            }
            Err(LoginError::Busy) if !exhausted => {
                self.replace_not_before_ms = now_ms + REPLACEMENT_PAUSE_MS;
                Ok(())
            }
            Err(_) => Err(Unknown::Closed),
        }
    }
}
