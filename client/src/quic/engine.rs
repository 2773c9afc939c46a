//! The task behind a client: seals, sends, verifies, sends again what was lost, renews, reconnects.

use std::{io, net::UdpSocket, time::Duration};

use bytes::{Bytes, BytesMut};
use mvt_proto::{constants::PAYLOAD_BYTES_MAX, recovery::RecoveryKit};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    Config, Error, LoginError, Unknown,
    bond::Bond,
    clock,
    entrance::Way as Entry,
    quic::{
        Migration, Standing, Way,
        establish::{connect, enter, establish},
        flight::{Flight, Wanted},
        link::Link,
        order::Order,
        recover::recover,
    },
    ticket::Ticket,
};

/// Requests on their way at one time, at most.
const IN_FLIGHT_COUNT_MAX: usize = 1024;
/// Orders taken, or frames sent again, at once.
const ROUND_COUNT_MAX: usize = 256;
/// A day: for ever, as far as a timer is concerned.
const NEVER: Duration = Duration::from_secs(86_400);

/// The state of one client.
#[derive(Debug)]
pub(super) struct Engine {
    config: Config,
    way: Way,
    /// `None` after it ended: the next request connects and, unless the session is kept, resumes or logs in again.
    link: Option<Link>,
    /// Kept until a new one is established (SPEC §9.3).
    pub(super) bond: Bond,
    pub(super) flight: Flight,
    /// An OFFER, until everything on its way is answered: then no request of one generation is sent again among those of the
    /// next.
    pub(super) offer: Option<BytesMut>,
    /// Refused as STALE: to be sealed again.
    pub(super) stale: Vec<Wanted>,
    /// Whether the session may be used on another connection: it was answered on this one.
    pub(super) is_proven: bool,
    /// When the server was last heard on this connection.
    pub(super) heard_at: Instant,
    login_count: u64,
    resume_count: u64,
}

impl Engine {
    pub(super) async fn start(mut config: Config, way: Way) -> Result<Self, Error> {
        let ticket = config.ticket.take();
        let established = establish(&config, ticket.as_ref()).await?;
        let ticket = ticket.filter(|_| established.is_resumed);
        let bond = Bond::new(established.session, ticket, config.is_quic());
        let mut engine = Self::new(config, way, established.link, bond);
        engine.count(established.is_resumed);
        Ok(engine)
    }

    pub(super) async fn recover(config: Config, kit: &RecoveryKit, way: Way) -> Result<Self, Error> {
        let (link, bond) = recover(&config, kit).await?;
        Ok(Self::new(config, way, link, bond))
    }

    fn new(config: Config, way: Way, link: Link, bond: Bond) -> Self {
        Self {
            way,
            link: Some(link),
            bond,
            config,
            flight: Flight::default(),
            offer: None,
            stale: Vec::new(),
            is_proven: false,
            heard_at: Instant::now(),
            login_count: 0,
            resume_count: 0,
        }
    }

    fn count(&mut self, is_resumed: bool) {
        self.login_count += u64::from(!is_resumed);
        self.resume_count += u64::from(is_resumed);
    }

    /// Until every client is dropped and every request has ended.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut round = Vec::new();
        let mut is_open = true;
        while is_open || !self.flight.is_empty() || !self.stale.is_empty() {
            self.renew();
            let room = self.room();
            if !self.stale.is_empty() && room > 0 && !self.awaits_renewal() {
                let count = room.min(self.stale.len());
                let stale = self.stale.drain(..count).collect();
                self.send(stale).await;
                continue;
            }
            let takes = is_open && room > 0 && self.stale.is_empty() && !self.awaits_renewal();
            let look = self.flight.next_look().unwrap_or_else(|| Instant::now() + NEVER);
            tokio::select! {
                count = orders.recv_many(&mut round, room.min(ROUND_COUNT_MAX)), if takes => {
                    is_open = count > 0;
                    self.execute(&mut round).await;
                }
                frames = next_frames(&mut self.link) => match frames {
                    Some(frames) => self.take(frames),
                    None => self.lose(Unknown::Closed),
                },
                () = sleep_until(look) => self.look().await,
            }
        }
        if let Some(link) = &self.link {
            link.dialed.connection.close(0u8.into(), &[]);
            link.dialed.endpoint.wait_idle().await;
        }
    }

    /// Once the server offered to renew the session, or when a login is to replace it, nothing more is sealed until every
    /// answer is there.
    fn awaits_renewal(&self) -> bool {
        let is_due = self.offer.is_some() || self.bond.session.replacement_is_due(clock::now_ms());
        !self.flight.is_empty() && is_due
    }

    /// How many more requests may be on their way. The counters of all of them stay within the server's replay window: one
    /// that is sent again must not be too old by then (SPEC §8.3, §17.2.7).
    fn room(&self) -> usize {
        let window = u64::from(self.bond.session.limits().replay_window_bits);
        let oldest =
            self.flight.oldest(self.bond.session.generation()).unwrap_or(self.bond.session.counter());
        let span = self.bond.session.counter().saturating_sub(oldest);
        let in_window = usize::try_from(window.saturating_sub(span)).unwrap_or(usize::MAX);
        // The first requests after an OFFER travel one by one, behind the SHARE, until the server has it.
        let count_max = if self.bond.session.share().is_empty() { IN_FLIGHT_COUNT_MAX } else { 1 };
        in_window.min(count_max.saturating_sub(self.flight.len()))
    }

    pub(super) fn rtt(&self) -> Duration {
        self.link.as_ref().map_or(Duration::ZERO, |link| link.dialed.connection.rtt())
    }

    async fn execute(&mut self, round: &mut Vec<Order>) {
        let mut wanted = Vec::new();
        for order in round.drain(..) {
            match order {
                Order::Request { payload, answer, .. } if payload.len() > PAYLOAD_BYTES_MAX => {
                    let _ = answer.send(Err(Error::PayloadTooLong));
                }
                Order::Request { op, payload, answer } => {
                    let deadline = Instant::now() + self.config.request_timeout;
                    wanted.push(Wanted { op, payload, answer, deadline, again: false });
                }
                Order::Migrate { socket, answer } => {
                    let _ = answer.send(self.migrate(socket));
                }
                Order::Stand { answer } => {
                    let _ = answer.send(self.standing());
                }
                Order::ExportTicket { answer } => {
                    let _ = answer.send(self.bond.ticket().map(Ticket::to_bytes));
                }
            }
        }
        self.send(wanted).await;
    }

    fn migrate(&mut self, socket: UdpSocket) -> Result<Migration, Error> {
        let failed = |error: io::Error| Error::Connect(error.kind());
        let link = self.link.as_ref().ok_or(Error::Connect(io::ErrorKind::NotConnected))?;
        let from = link.dialed.endpoint.local_addr().map_err(failed)?;
        let to = socket.local_addr().map_err(failed)?;
        link.dialed.endpoint.rebind(socket).map_err(failed)?;
        Ok(Migration { from, to, key_id: self.bond.session.key_id() })
    }

    const fn standing(&self) -> Standing {
        let (key_id, generation) = (self.bond.session.key_id(), self.bond.session.generation());
        Standing { key_id, generation, login_count: self.login_count, resume_count: self.resume_count }
    }

    /// Connects, or replaces the session, if that is due; then seals and sends.
    async fn send(&mut self, wanted: Vec<Wanted>) {
        if wanted.is_empty() {
            return;
        }
        if let Err(error) = self.be_ready().await {
            for wanted in wanted {
                let _ = wanted.answer.send(Err(error));
            }
            return;
        }
        let rtt = self.rtt();
        let mut frames = Vec::with_capacity(wanted.len());
        let now = Instant::now();
        for wanted in wanted {
            // Connecting took its time.
            if now >= wanted.deadline {
                let _ = wanted.answer.send(Err(Error::NotSent));
                continue;
            }
            let mut frame = Vec::new();
            let sealed =
                self.bond.session.seal_request(wanted.op, &wanted.payload, clock::now_ms(), &mut frame);
            let Ok(pending) = sealed else {
                // The hard limit lies so close behind the soft one that this round has passed it.
                let _ = wanted.answer.send(Err(Error::NotSent));
                continue;
            };
            let frame = Bytes::from(frame);
            let copy = (self.way == Way::Datagrams).then(|| frame.clone());
            self.flight.push(&pending, wanted, copy, rtt);
            frames.push(frame);
        }
        self.transmit(&frames).await;
    }

    /// Sends `frames`, behind the SHARE as long as no answer has shown that the server has it: one datagram holds both.
    async fn transmit(&mut self, frames: &[Bytes]) {
        let Some(link) = &mut self.link else { return };
        let share = self.bond.session.share();
        let with_share;
        let frames = match frames.first() {
            Some(first) if !share.is_empty() => {
                let both = Bytes::from([share, &first[..]].concat());
                with_share = [&[both], &frames[1..]].concat();
                &with_share[..]
            }
            _ => frames,
        };
        let sending = async {
            match self.way {
                Way::Datagrams => link.send_by_datagrams(frames).await.map_err(|_| Unknown::Closed),
                Way::Stream => link.send_by_stream(&frames.concat()).await.map_err(|_| Unknown::Closed),
            }
        };
        // A path that takes nothing for so long is none.
        let sent = timeout(self.config.request_timeout, sending).await;
        if let Err(cause) = sent.unwrap_or(Err(Unknown::TimedOut)) {
            self.lose(cause);
        }
    }

    /// Replaces the session on its connection when a limit is near and the server did not offer to renew it; connects when there
    /// is no connection.
    async fn be_ready(&mut self) -> Result<(), Error> {
        let now_ms = clock::now_ms();
        let is_due = self.bond.session.replacement_is_due(now_ms) && self.flight.is_empty();
        if let Some(link) = self.link.as_mut().filter(|_| is_due) {
            let deadline = Instant::now() + self.config.connect_timeout;
            match enter(link, &self.config, Entry::Login, deadline).await {
                Ok(session) => {
                    self.bond.replace(session);
                    self.offer = None;
                    self.count(false);
                }
                // While the old session can still seal, a server that is busy is no error.
                Err(LoginError::Busy) if !self.bond.session.is_exhausted(now_ms) => {}
                Err(_) => self.link = None,
            }
        }
        if self.link.is_none() { self.reconnect().await } else { Ok(()) }
    }

    async fn reconnect(&mut self) -> Result<(), Error> {
        let session = &self.bond.session;
        // A SHARE goes the way its OFFER came (SPEC §11.2.6): a session that owes one is not taken along.
        let is_kept = std::mem::replace(&mut self.is_proven, false)
            && self.config.keeps_session
            && session.share().is_empty()
            && !session.is_exhausted(clock::now_ms());
        if is_kept {
            self.link = Some(connect(&self.config).await?);
        } else {
            let established = establish(&self.config, self.bond.ticket()).await?;
            self.link = Some(established.link);
            self.bond.replace(established.session);
            if !established.is_resumed {
                self.bond.forget_ticket();
            }
            self.count(established.is_resumed);
        }
        self.heard_at = Instant::now();
        Ok(())
    }

    /// The connection is over: what comes late would find no request.
    pub(super) fn lose(&mut self, cause: Unknown) {
        (self.link, self.offer) = (None, None);
        self.flight.end_all(cause);
    }

    /// Looks at what has waited for long: sends it again, or ends it. A connection on which nothing was heard for as long as a
    /// request may take is given up.
    async fn look(&mut self) {
        let rtt = self.rtt();
        let is_congested = self.link.as_ref().is_some_and(Link::is_congested);
        let waiting_count = self.flight.len();
        let frames = self.flight.overdue(ROUND_COUNT_MAX, rtt, is_congested);
        if self.flight.len() < waiting_count && self.heard_at.elapsed() >= self.config.request_timeout {
            return self.lose(Unknown::TimedOut);
        }
        if !frames.is_empty() {
            self.transmit(&frames).await;
        }
    }
}

async fn next_frames(link: &mut Option<Link>) -> Option<BytesMut> {
    match link {
        Some(link) => link.next_frames().await,
        None => std::future::pending().await,
    }
}
