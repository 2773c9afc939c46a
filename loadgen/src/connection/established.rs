//! A session and its requests that wait.

use std::cell::Cell;

use mvt_lanes::Engine;
use mvt_proto::{
    Header,
    constants::{FRAME_BYTES_MIN, KEY_BYTES},
    secret::Secret,
    session::{Answer, ClientSession, Outstanding, Pending, Request, Told},
};
use zeroize::Zeroizing;

use crate::{
    pacing::{Due, Pacing},
    phase::{Phase, Phases},
    tally::{Refusal, Tally},
    trouble::Trouble,
    workload::OP,
};

/// Requests sealed together.
const SOME: usize = 32;

/// What is kept beside a request that waits.
#[derive(Debug)]
struct Sent {
    /// Where its latency begins: the intended instant, or in a closed loop just before the write that carries it,
    /// set for the whole batch once it is sealed.
    from_ns: Cell<u64>,
    due: Due,
    /// Of the measured interval.
    measured: bool,
}

/// When bytes arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) at_ns: u64,
    pub(super) boot_ms: u64,
    pub(super) phase: Phase,
}

/// One session of a connection.
#[derive(Debug)]
pub(super) struct Established {
    session: ClientSession,
    outstanding: Outstanding<Sent>,
    /// Nothing more can be sealed: the key is used up, or the server lost it.
    spent: bool,
    /// Signs.
    engine: Engine,
    /// Requests about to be sealed, and just sealed; empty between two calls.
    due: Vec<Sent>,
    pending: Vec<Pending>,
}

impl Established {
    pub(super) fn new(session: ClientSession) -> Self {
        Self {
            session,
            outstanding: Outstanding::default(),
            spent: false,
            engine: Engine::detect(),
            due: Vec::with_capacity(SOME),
            pending: Vec::with_capacity(SOME),
        }
    }

    pub(super) const fn key_id(&self) -> u64 {
        self.session.key_id()
    }

    pub(super) const fn waiting(&self) -> usize {
        self.outstanding.len()
    }

    pub(super) const fn is_spent(&self) -> bool {
        self.spent
    }

    /// Whether a new session has to take its place: it is used up, or its server did not offer to renew it.
    pub(super) fn replacement_is_due(&self, now_ms: u64) -> bool {
        self.spent || self.session.replacement_is_due(now_ms)
    }

    /// Takes in a CTL; a reply goes out before any request that follows. `false`: it is not for this session.
    pub(super) fn control(
        &mut self,
        header: &Header,
        frame: &mut [u8],
        arrival: Arrival,
        tally: &mut Tally,
        out: &mut Vec<u8>,
    ) -> Result<bool, Trouble> {
        let mut random = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *random).map_err(|_| Trouble::Io)?;
        let told = self.session.control(header, frame, Secret::new(*random), arrival.boot_ms, out);
        match told {
            Ok(Told::Renewed) => tally.renewals += 1,
            Ok(Told::Broken) => self.spent = true,
            Ok(Told::Nothing | Told::Ticket(_)) => {}
            Err(_) => return Ok(false),
        }
        Ok(true)
    }

    /// Seals what `batch` says is due into `out` until it holds `bytes_max`, in lanes; how many were sealed.
    pub(super) fn seal(&mut self, batch: &mut Batch<'_>, out: &mut Vec<u8>) -> usize {
        let mut sealed = 0;
        loop {
            let room = self.room(batch.boot_ms);
            self.spent |= room == 0;
            let bytes_left = batch.bytes_max.saturating_sub(out.len());
            let count_max = room.min(bytes_left.div_ceil(FRAME_BYTES_MIN + batch.payload.len())).min(SOME);
            let count = self.take_due(batch, count_max, batch.waiting + sealed);
            if count == 0 {
                return sealed;
            }
            let request = Request { op: OP, payload: batch.payload };
            let requests = &[request; SOME][..count];
            let made = self.session.seal_batch(self.engine, requests, batch.boot_ms, out, &mut self.pending);
            made.expect("there is room under the limits, and the payload is within bounds");
            for (pending, sent) in self.pending.drain(..).zip(self.due.drain(..)) {
                self.outstanding.push(pending, sent);
            }
            sealed += count;
        }
    }

    /// Requests the session can still seal.
    fn room(&self, boot_ms: u64) -> usize {
        usize::try_from(self.session.sealable_count(boot_ms)).unwrap_or(usize::MAX)
    }

    /// Takes up to `count_max` requests that are due, `waiting` being on their way already.
    fn take_due(&mut self, batch: &mut Batch<'_>, count_max: usize, waiting: usize) -> usize {
        while self.due.len() < count_max
            && *batch.budget > 0
            && batch.pacing.is_due(batch.now_ns, waiting + self.due.len(), batch.phase.sends())
        {
            let due = batch.pacing.take();
            let measured = match due.intended_ns {
                Some(intended_ns) => batch.phases.is_some_and(|phases| phases.measures(intended_ns)),
                None => batch.phase == Phase::Measure,
            };
            *batch.budget -= u64::from(measured && *batch.budget != u64::MAX);
            self.due.push(Sent { from_ns: Cell::new(0), due, measured });
        }
        self.due.len()
    }

    /// Notes `now_ns` as the time of the write of the last `count` requests sealed.
    pub(super) fn stamp(&self, count: usize, now_ns: u64, tally: &mut Tally) {
        for sent in self.outstanding.newest(count) {
            sent.from_ns.set(sent.due.intended_ns.unwrap_or(now_ns));
            if sent.measured {
                tally.send(sent.due, now_ns);
            }
        }
    }

    /// Verifies `frame` as the answer to a request that waits. `false`: no such request.
    #[inline]
    pub(super) fn accept(
        &mut self,
        header: &Header,
        frame: &mut [u8],
        arrival: Arrival,
        tally: &mut Tally,
    ) -> bool {
        let waiting = self.outstanding.get(header.generation, header.counter);
        let Some((pending, sent)) = waiting else { return false };
        let (from_ns, measured) = (sent.from_ns.get(), sent.measured);
        let refusal = match self.session.open_answer(pending, header, frame, arrival.boot_ms) {
            // The request goes on waiting for an answer that verifies (SPEC §7.1.2).
            Err(_) => {
                tally.failed_verifications += 1;
                return true;
            }
            Ok(Answer::Response { .. }) => None,
            Ok(Answer::Refused(reason)) => Some(Refusal::Err(reason)),
            Ok(Answer::Lost | Answer::Unready | Answer::Ended) => Some(Refusal::Lost),
        };
        self.outstanding.remove(header.generation, header.counter);
        match refusal {
            None => {
                if arrival.phase == Phase::Measure {
                    tally.answer(arrival.at_ns);
                }
                if measured {
                    tally.verify(from_ns, arrival.at_ns);
                }
            }
            Some(refusal) => {
                self.spent |= ends_the_session(refusal);
                if measured {
                    tally.refuse(refusal, from_ns);
                }
            }
        }
        true
    }

    /// Gives up what still waits.
    pub(super) fn abandon(&mut self, tally: &mut Tally) {
        tally.unanswered += self.outstanding.drain().filter(|(_, sent)| sent.measured).count() as u64;
    }
}

/// What to seal in one turn.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) pacing: &'a mut Pacing,
    /// Requests that wait on all sessions of the connection.
    pub(super) waiting: usize,
    pub(super) now_ns: u64,
    pub(super) boot_ms: u64,
    pub(super) phase: Phase,
    pub(super) phases: Option<Phases>,
    /// Measured requests that may still be sent.
    pub(super) budget: &'a mut u64,
    pub(super) payload: &'a [u8],
    pub(super) bytes_max: usize,
}

/// Whether no request of the session can succeed after this refusal.
fn ends_the_session(refusal: Refusal) -> bool {
    use mvt_proto::reject::ErrReason::{Expired, Limit, Revoked};
    matches!(refusal, Refusal::Lost | Refusal::Err(Limit | Expired | Revoked))
}
