//! What is spoken on a connection: MVT, or the protocol of a peer.

use std::io;

use super::{Arrival, Turn, login::ChannelBinding, outgoing::Outgoing, pipeline::Pipeline, seats::Seats};
use crate::{
    tally::Tally,
    target::{Protocol, Target},
    trouble::Trouble,
    workload::Workload,
};

/// One of both; every method is that of the one.
#[derive(Debug)]
pub(super) enum Speech {
    Mvt(Box<Seats>),
    Peer(Pipeline),
}

impl Speech {
    pub(super) fn new(target: &Target, workload: &Workload, of_all: usize) -> Self {
        match &target.protocol {
            Protocol::Mvt(parties) => {
                let loses = target.carrier.loses();
                Self::Mvt(Box::new(Seats::new(parties, workload, of_all, loses)))
            }
            Protocol::Peer(_) => Self::Peer(Pipeline::default()),
        }
    }

    pub(super) fn is_established(&self) -> bool {
        match self {
            Self::Mvt(seats) => seats.is_established(),
            Self::Peer(_) => true,
        }
    }

    /// Requests that wait.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        match self {
            Self::Mvt(seats) => seats.waiting(),
            Self::Peer(pipeline) => pipeline.waiting(),
        }
    }

    /// Whether a request can be made now.
    #[inline]
    pub(super) fn can_seal(&self) -> bool {
        match self {
            Self::Mvt(seats) => seats.can_seal(),
            Self::Peer(pipeline) => pipeline.can_seal(),
        }
    }

    /// Makes no request while `held`: the connection is about to be replaced.
    pub(super) fn hold(&mut self, held: bool) {
        match self {
            Self::Mvt(seats) => seats.hold(held),
            Self::Peer(pipeline) => pipeline.hold(held),
        }
    }

    /// Whether nothing but requests could be on its way.
    pub(super) fn is_quiet(&self) -> bool {
        match self {
            Self::Mvt(seats) => seats.is_quiet(),
            Self::Peer(_) => true,
        }
    }

    /// Whether the server would close the connection at one more forged frame.
    pub(super) fn has_forged_all(&self) -> bool {
        match self {
            Self::Mvt(seats) => seats.has_forged_all(),
            Self::Peer(_) => false,
        }
    }

    /// The connection was replaced.
    pub(super) fn begin_anew(&mut self) {
        self.hold(false);
        if let Self::Mvt(seats) = self {
            seats.begin_anew();
        }
    }

    /// Starts logins that are due; whether there are more.
    pub(super) fn renew(
        &mut self,
        turn: &Turn<'_>,
        binding: ChannelBinding,
        outbox: &mut Vec<u8>,
    ) -> Result<bool, Trouble> {
        match (self, &turn.target.protocol) {
            (Self::Mvt(seats), Protocol::Mvt(parties)) => seats.renew(parties, turn, binding, outbox),
            _ => Ok(false),
        }
    }

    /// Reads what is whole of `bytes`: how many they were.
    pub(super) fn read(
        &mut self,
        bytes: &mut [u8],
        arrival: Arrival,
        turn: &mut Turn<'_>,
        outbox: &mut Vec<u8>,
    ) -> Result<usize, Trouble> {
        match (self, &turn.target.protocol) {
            (Self::Mvt(seats), Protocol::Mvt(parties)) => seats.read(parties, bytes, arrival, turn, outbox),
            (Self::Peer(pipeline), Protocol::Peer(exchange)) => {
                pipeline.read(&**exchange, bytes, arrival, turn.tally)
            }
            _ => unreachable!("a connection speaks what its target speaks"),
        }
    }

    /// Appends what is due to `out`: how many requests.
    pub(super) fn seal(&mut self, outgoing: &mut Outgoing<'_>, target: &Target, out: &mut Vec<u8>) -> usize {
        match (self, &target.protocol) {
            (Self::Mvt(seats), _) => seats.seal(outgoing, out),
            (Self::Peer(pipeline), Protocol::Peer(exchange)) => pipeline.send(&**exchange, outgoing, out),
            _ => unreachable!("a connection speaks what its target speaks"),
        }
    }

    /// When requests may be due to be sent again; `None` where nothing is lost.
    #[inline]
    pub(super) fn repeat_ns(&self) -> Option<u64> {
        match self {
            Self::Mvt(seats) => seats.repeat_ns(),
            Self::Peer(_) => None,
        }
    }

    /// Appends again what may have been lost.
    pub(super) fn repeat(&mut self, now_ns: u64, rtt_ns: u64, tally: &mut Tally, outbox: &mut Vec<u8>) {
        if let Self::Mvt(seats) = self {
            seats.repeat(now_ns, rtt_ns, tally, outbox);
        }
    }

    /// Notes when what was sealed was written.
    pub(super) fn stamp(&mut self, now_ns: u64, tally: &mut Tally) {
        match self {
            Self::Mvt(seats) => seats.stamp(now_ns, tally),
            Self::Peer(pipeline) => pipeline.stamp(now_ns, tally),
        }
    }

    /// Deadlines of logins and of replaced sessions.
    pub(super) fn tick(
        &mut self,
        now_ns: u64,
        turn: &mut Turn<'_>,
        outbox: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        match (self, &turn.target.protocol) {
            (Self::Mvt(seats), Protocol::Mvt(parties)) => seats.tick(parties, now_ns, turn.tally, outbox),
            _ => Ok(()),
        }
    }

    /// Puts deadlines off.
    pub(super) fn put_off(&mut self, away_ns: u64) {
        match self {
            Self::Mvt(seats) => seats.put_off(away_ns),
            Self::Peer(_) => {}
        }
    }

    /// Gives up what still waits.
    pub(super) fn abandon(&mut self, tally: &mut Tally) {
        match self {
            Self::Mvt(seats) => seats.abandon(tally),
            Self::Peer(pipeline) => pipeline.abandon(tally),
        }
    }

    /// A refused login is answered by closing (SPEC §10.3.3).
    pub(super) fn meaning_of_close(&self) -> Trouble {
        if self.is_quiet() { Trouble::Closed } else { Trouble::LoginRefused }
    }

    /// What a failed socket means.
    pub(super) fn meaning_of(&self, error: &io::Error) -> Trouble {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        if let Some(trouble) = error.get_ref().and_then(|cause| cause.downcast_ref::<Trouble>()) {
            return *trouble;
        }
        match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset => self.meaning_of_close(),
            _ => Trouble::Io,
        }
    }
}
