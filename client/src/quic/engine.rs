//! The task behind a client: seals, sends, verifies, sends again what was lost, renews, reconnects.

use std::{io, net::UdpSocket, time::Duration};

use bytes::{Bytes, BytesMut};
use mvt_proto::{
    Header, Kind, Role,
    constants::{LENGTH_FIELD_BYTES, PAYLOAD_BYTES_MAX},
    frame::control::Control,
    reject::ErrReason,
    secret::Secret,
    session::{Answer, ClientSession, Told},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    Config, Error, Response, Unknown, clock,
    quic::{
        Migration, Way,
        dial::dial,
        flight::{Flight, Wanted},
        link::Link,
        login::{log_in, random},
    },
};

/// Requests on their way at one time, at most.
const IN_FLIGHT_COUNT_MAX: usize = 1024;
/// Orders taken, or frames sent again, at once.
const ROUND_COUNT_MAX: usize = 256;
/// A day: for ever, as far as a timer is concerned.
const NEVER: Duration = Duration::from_secs(86_400);

/// What the task is told to do.
#[derive(Debug)]
pub(super) enum Order {
    Request { op: u16, payload: Vec<u8>, answer: oneshot::Sender<Result<Response, Error>> },
    Migrate { socket: UdpSocket, answer: oneshot::Sender<Result<Migration, Error>> },
}

/// The state of one client.
#[derive(Debug)]
pub(super) struct Engine {
    config: Config,
    way: Way,
    /// `None` after it ended: the next request connects and logs in again.
    link: Option<Link>,
    session: ClientSession,
    flight: Flight,
    /// An OFFER, until everything on its way is answered: then no request of one generation is sent again among those of the
    /// next.
    offer: Option<BytesMut>,
    /// Refused as STALE: to be sealed again.
    stale: Vec<Wanted>,
}

impl Engine {
    pub(super) async fn start(config: Config, way: Way) -> Result<Self, Error> {
        let (link, session) = establish(&config).await?;
        Ok(Self {
            config,
            way,
            link: Some(link),
            session,
            flight: Flight::default(),
            offer: None,
            stale: Vec::new(),
        })
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
        let is_due = self.offer.is_some() || self.session.replacement_is_due(clock::now_ms());
        !self.flight.is_empty() && is_due
    }

    /// Takes the OFFER, if there is one and nothing is on its way. What it asks for goes out with the next request (SPEC §11.2.6).
    fn renew(&mut self) {
        if !self.flight.is_empty() {
            return;
        }
        let Some(mut offer) = self.offer.take() else { return };
        if let Ok(header) = Header::parse(&offer, Role::Client) {
            self.control(&header, &mut offer);
        }
    }

    /// One that does not open changes nothing (SPEC §11.1.1). Tickets are not kept.
    fn control(&mut self, header: &Header, frame: &mut [u8]) {
        let Ok(random) = random().map(Secret::new) else { return };
        // The reply stays in the session until an answer has proved that it arrived.
        let told = self.session.control(header, frame, random, clock::now_ms(), &mut Vec::new());
        if matches!(told, Ok(Told::Broken)) {
            self.lose(Unknown::KeyLost);
        }
    }

    /// How many more requests may be on their way. The counters of all of them stay within the server's replay window: one
    /// that is sent again must not be too old by then (SPEC §8.3, §17.2.7).
    fn room(&self) -> usize {
        let window = u64::from(self.session.limits().replay_window_bits);
        let oldest = self.flight.oldest(self.session.generation()).unwrap_or(self.session.counter());
        let span = self.session.counter().saturating_sub(oldest);
        let in_window = usize::try_from(window.saturating_sub(span)).unwrap_or(usize::MAX);
        // The first requests after an OFFER travel one by one, behind the SHARE, until the server has it.
        let count_max = if self.session.share().is_empty() { IN_FLIGHT_COUNT_MAX } else { 1 };
        in_window.min(count_max.saturating_sub(self.flight.len()))
    }

    fn rtt(&self) -> Duration {
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
        Ok(Migration { from, to, key_id: self.session.key_id() })
    }

    /// Connects, or renews, if that is due; then seals and sends.
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
        for wanted in wanted {
            let mut frame = Vec::new();
            let sealed = self.session.seal_request(wanted.op, &wanted.payload, clock::now_ms(), &mut frame);
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
        let share = self.session.share();
        let with_share;
        let frames = match frames.first() {
            Some(first) if !share.is_empty() => {
                let both = Bytes::from([share, &first[..]].concat());
                with_share = [&[both], &frames[1..]].concat();
                &with_share[..]
            }
            _ => frames,
        };
        let sent = match self.way {
            Way::Datagrams => link.send_by_datagrams(frames).await.is_ok(),
            Way::Stream => link.send_by_stream(&frames.concat()).await.is_ok(),
        };
        if !sent {
            self.lose(Unknown::Closed);
        }
    }

    async fn be_ready(&mut self) -> Result<(), Error> {
        let now_ms = clock::now_ms();
        let is_due = self.session.replacement_is_due(now_ms) && self.flight.is_empty();
        if let Some(link) = self.link.as_mut().filter(|_| is_due) {
            match log_in(link, &self.config, Instant::now() + self.config.connect_timeout).await {
                Ok(session) => (self.session, self.offer) = (session, None),
                // While the old session can still seal, a server that is busy is no error.
                Err(crate::LoginError::Busy) if !self.session.is_exhausted(now_ms) => {}
                Err(_) => self.link = None,
            }
        }
        if self.link.is_none() {
            let (link, session) = establish(&self.config).await?;
            self.link = Some(link);
            self.session = session;
        }
        Ok(())
    }

    /// The connection is over: what comes late would find no request.
    fn lose(&mut self, cause: Unknown) {
        (self.link, self.offer) = (None, None);
        self.flight.end_all(cause);
    }

    /// Takes what arrived, one frame after the other.
    fn take(&mut self, mut frames: BytesMut) {
        while let Some(length) = frames.first_chunk::<LENGTH_FIELD_BYTES>() {
            let length = LENGTH_FIELD_BYTES + usize::from(u16::from_be_bytes(*length));
            if length > frames.len() {
                break;
            }
            let mut frame = frames.split_to(length);
            // What is no frame answers nothing: the request goes on waiting (SPEC §7.1.2).
            let Ok(header) = Header::parse(&frame, Role::Client) else { continue };
            if header.kind == Kind::Ctl {
                match Control::from_op(header.op) {
                    Ok(Control::Offer) => self.offer = Some(frame),
                    _ => self.control(&header, &mut frame),
                }
            } else if self.take_answer(&header, &mut frame) {
                return self.lose(Unknown::KeyLost);
            }
        }
    }

    /// True when the server has lost the key.
    fn take_answer(&mut self, header: &Header, frame: &mut [u8]) -> bool {
        let Some(pending) = self.flight.get(header.generation, header.counter) else { return false };
        let Ok(answer) = self.session.open_answer(pending, header, frame, clock::now_ms()) else {
            return false;
        };
        let result = match answer {
            // A SHARE travels with its request: where one is, so is the other.
            Answer::Lost | Answer::Unready => return true,
            Answer::Ended => Err(Error::OutcomeUnknown(Unknown::KeyLost)),
            Answer::Response { status, payload } => Ok(Response { status, payload: payload.to_vec() }),
            Answer::Refused(ErrReason::Replay) => {
                // SPEC §17.2.7: an earlier copy stands.
                if !self.flight.note_replay((header.generation, header.counter), self.rtt()) {
                    return false;
                }
                Err(Error::OutcomeUnknown(Unknown::Replayed))
            }
            Answer::Refused(reason) => Err(Error::Refused(reason)),
        };
        let Some(wanted) = self.flight.take((header.generation, header.counter)) else { return false };
        if result == Err(Error::Refused(ErrReason::Stale)) && !wanted.again {
            // The clock is corrected by now (SPEC §6.4): once more, under a new counter.
            self.stale.push(Wanted { again: true, ..wanted });
        } else {
            let _ = wanted.answer.send(result);
        }
        false
    }

    /// Looks at what has waited for long.
    async fn look(&mut self) {
        let rtt = self.rtt();
        let is_congested = self.link.as_ref().is_some_and(Link::is_congested);
        let frames = self.flight.overdue(ROUND_COUNT_MAX, rtt, is_congested);
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

async fn establish(config: &Config) -> Result<(Link, ClientSession), Error> {
    let certificate = config.quic.as_ref().ok_or(Error::Connect(io::ErrorKind::InvalidInput))?;
    let deadline = Instant::now() + config.connect_timeout;
    let mut last = io::ErrorKind::TimedOut;
    for address in &config.addresses {
        match timeout_at(deadline, dial(*address, certificate)).await {
            Ok(Ok(dialed)) => {
                let mut link = Link::new(dialed);
                let session = log_in(&mut link, config, deadline).await?;
                return Ok((link, session));
            }
            Ok(Err(error)) => last = error.kind(),
            Err(_) => last = io::ErrorKind::TimedOut,
        }
    }
    Err(Error::Connect(last))
}
