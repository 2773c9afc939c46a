//! The client over blocking sockets.

use std::{collections::VecDeque, io, net::ToSocketAddrs, time::Instant};

use mvt_proto::{
    constants::{FRAME_BYTES_MIN, KEY_BYTES, PAYLOAD_BYTES_MAX},
    login::Identity,
    reject::ErrReason,
    session::{Answer, ClientSession, Outstanding},
};

use crate::{
    Config, Error, LoginError, Response, Unknown, clock,
    connection::{Connection, Ended},
    login::log_in,
};

/// Requests on their way at one time, at most.
const IN_FLIGHT_COUNT_MAX: usize = 64;
/// Bytes of requests on their way at one time, at most: what a socket takes without being read at the other end, so
/// that the client never waits to write while the server waits to be read.
const IN_FLIGHT_BYTES_MAX: usize = 64 * 1024;
/// Connections made for one call, at most.
const CONNECTION_COUNT_MAX: u32 = 3;
/// Frames of one call that answer nothing, at most, before the connection is given up.
const STRAY_COUNT_MAX: u32 = 64;
/// After a renewal failed, the old session serves this long before the next try, ms.
const RENEWAL_PAUSE_MS: u64 = 1_000;

/// A request of a [`Client::pipeline`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The operation, the service's own number.
    pub op: u16,
    /// At most 16384 bytes.
    pub payload: &'a [u8],
}

/// A request on its way: its place in the pipeline.
#[derive(Debug, Clone, Copy)]
struct Sent {
    place: usize,
    frame_bytes: usize,
    /// It was refused as STALE once already.
    again: bool,
}

/// A client of one server, with one connection and one session at a time.
#[derive(Debug)]
pub struct Client {
    config: Config,
    /// `None` after it ended: the next request connects and logs in again.
    connection: Option<Connection>,
    /// Kept until a new one is established (SPEC 9.3).
    session: ClientSession,
    /// A renewal is not tried before, by the client's clock, ms.
    renew_not_before_ms: u64,
    login_count: u64,
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

    /// Connects and logs in.
    ///
    /// # Errors
    /// [`Error::Connect`] or [`Error::Login`].
    pub fn connect_with(config: Config) -> Result<Self, Error> {
        let (connection, session) = establish(&config, Instant::now() + config.connect_timeout)?;
        Ok(Self { config, connection: Some(connection), session, renew_not_before_ms: 0, login_count: 1 })
    }

    /// Logins so far: one, and one for each renewal and each reconnection.
    #[must_use]
    pub const fn login_count(&self) -> u64 {
        self.login_count
    }

    /// Names the present session.
    #[must_use]
    pub const fn key_id(&self) -> u64 {
        self.session.key_id()
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
        let mut run = Run {
            requests,
            results: vec![None; requests.len()],
            queue: (0..requests.len()).map(|place| (place, false)).collect(),
            outstanding: Outstanding::default(),
            in_flight_bytes: 0,
            stray_count: 0,
        };
        let mut connection_count = 0;
        self.connection = self.connection.take().filter(Connection::is_open);
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
        run.results.into_iter().map(|result| result.expect("every request ends")).collect()
    }

    fn reconnect(&mut self, deadline: Instant) -> Result<(), Error> {
        let by = deadline.min(Instant::now() + self.config.connect_timeout);
        let (connection, session) = establish(&self.config, by)?;
        self.connection = Some(connection);
        self.session = session;
        self.login_count += 1;
        Ok(())
    }

    /// One turn: sends what may be sent, then waits for one answer.
    fn send_and_collect(&mut self, run: &mut Run<'_>, deadline: Instant) -> Result<(), Unknown> {
        if run.outstanding.is_empty() {
            self.renew_if_due(deadline)?;
        }
        let connection = self.connection.as_mut().ok_or(Unknown::Closed)?;
        let out = run.fill(&mut self.session, self.renew_not_before_ms);
        connection.send(&out, deadline)?;
        if run.outstanding.is_empty() {
            return Ok(());
        }
        run.collect(connection, &mut self.session, deadline)
    }

    /// Replaces the session on the same connection when a limit is reached. Nothing is on its way, so nothing is lost;
    /// while the old session can still seal, a failure to renew is not an error.
    fn renew_if_due(&mut self, deadline: Instant) -> Result<(), Unknown> {
        let now_ms = clock::now_ms();
        let exhausted = self.session.is_exhausted(now_ms);
        let due = self.session.renewal_is_due(now_ms) && now_ms >= self.renew_not_before_ms;
        let Some(connection) = self.connection.as_mut().filter(|_| due || exhausted) else { return Ok(()) };
        let by = deadline.min(Instant::now() + self.config.connect_timeout);
        match log_in(connection, &self.config, by) {
            Ok(session) => {
                self.session = session;
                self.login_count += 1;
                Ok(())
            }
            Err(LoginError::Busy) if !exhausted => {
                self.renew_not_before_ms = now_ms + RENEWAL_PAUSE_MS;
                Ok(())
            }
            Err(_) => Err(Unknown::Closed),
        }
    }
}

fn establish(config: &Config, deadline: Instant) -> Result<(Connection, ClientSession), Error> {
    let mut connection = Connection::open(config, deadline).map_err(Error::Connect)?;
    let session = log_in(&mut connection, config, deadline)?;
    Ok((connection, session))
}

impl From<Ended> for Unknown {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::TimedOut => Self::TimedOut,
            Ended::Closed => Self::Closed,
            Ended::Io(kind) => Self::Io(kind),
            Ended::Protocol(reject) => Self::Protocol(reject),
        }
    }
}

/// One pipeline on its way. A place is in `queue`, in `outstanding`, or has its result.
struct Run<'a> {
    requests: &'a [Request<'a>],
    results: Vec<Option<Result<Response, Error>>>,
    /// Places not sent yet, and whether they were refused as STALE once.
    queue: VecDeque<(usize, bool)>,
    outstanding: Outstanding<Sent>,
    in_flight_bytes: usize,
    stray_count: u32,
}

impl Run<'_> {
    fn is_open(&self) -> bool {
        !self.queue.is_empty() || !self.outstanding.is_empty()
    }

    /// Seals what may be on its way; stops where a renewal is due, which waits for the answers first.
    fn fill(&mut self, session: &mut ClientSession, renew_not_before_ms: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some((place, again)) = self.queue.front().copied() {
            let request = &self.requests[place];
            if request.payload.len() > PAYLOAD_BYTES_MAX {
                self.queue.pop_front();
                self.results[place] = Some(Err(Error::PayloadTooLong));
                continue;
            }
            let now_ms = clock::now_ms();
            let frame_bytes = FRAME_BYTES_MIN + request.payload.len();
            let full = self.outstanding.len() >= IN_FLIGHT_COUNT_MAX
                || self.in_flight_bytes + frame_bytes > IN_FLIGHT_BYTES_MAX;
            let renewal = session.renewal_is_due(now_ms) && now_ms >= renew_not_before_ms;
            if !self.outstanding.is_empty() && (full || renewal) {
                break;
            }
            // Exhausted only with answers on their way: with none, the session was renewed just before.
            let Ok(pending) = session.seal_request(request.op, request.payload, now_ms, &mut out) else {
                break;
            };
            self.queue.pop_front();
            self.in_flight_bytes += frame_bytes;
            self.outstanding.push(pending, Sent { place, frame_bytes, again });
        }
        out
    }

    /// Waits for one frame and takes it as the answer to the request it names, if it is one.
    fn collect(
        &mut self,
        connection: &mut Connection,
        session: &mut ClientSession,
        deadline: Instant,
    ) -> Result<(), Unknown> {
        let (header, frame) = connection.receive(deadline)?;
        let answer = self.outstanding.get(header.counter).and_then(|(pending, sent)| {
            let answer = session.open_answer(pending, &header, frame, clock::now_ms()).ok()?;
            Some((*sent, answer))
        });
        let Some((sent, answer)) = answer else {
            // A decoy, a duplicate, or noise: the request goes on waiting (SPEC 7.1.2).
            self.stray_count += 1;
            return if self.stray_count > STRAY_COUNT_MAX { Err(Unknown::Closed) } else { Ok(()) };
        };
        let result = match answer {
            Answer::Lost => return Err(Unknown::KeyLost),
            Answer::Response { status, payload } => Some(Ok(Response { status, payload: payload.to_vec() })),
            Answer::Refused(ErrReason::Stale) if !sent.again => None,
            Answer::Refused(ErrReason::Replay) => Some(Err(Error::OutcomeUnknown(Unknown::Replayed))),
            Answer::Refused(reason) => Some(Err(Error::Refused(reason))),
        };
        self.outstanding.remove(header.counter);
        self.in_flight_bytes -= sent.frame_bytes;
        match result {
            // The clock is corrected by now (SPEC 6.4): once more, under a new counter. As long as a server judges time
            // before replay (SPEC 7.2), an attacker who holds a copy back can get both frames executed.
            None => self.queue.push_back((sent.place, true)),
            Some(result) => self.results[sent.place] = Some(result),
        }
        Ok(())
    }

    fn fail_outstanding(&mut self, cause: Unknown) {
        for (_, sent) in self.outstanding.drain() {
            self.results[sent.place] = Some(Err(Error::OutcomeUnknown(cause)));
        }
        self.in_flight_bytes = 0;
    }

    fn fail_queue(&mut self, error: Error) {
        for (place, _) in self.queue.drain(..) {
            self.results[place] = Some(Err(error));
        }
    }
}
