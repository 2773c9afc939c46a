//! A session and its requests that wait.

use std::cell::Cell;

use mvt_proto::{
    Header,
    session::{Answer, ClientSession, Outstanding},
};

use crate::{
    phase::Phase,
    tally::{Refusal, Tally},
    workload::OP,
};

/// What is kept beside a request that waits.
#[derive(Debug)]
struct Sent {
    /// Just before the write that carries it; set for the whole batch once it is sealed.
    at_ns: Cell<u64>,
    /// Sent in the measured interval.
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
}

impl Established {
    pub(super) fn new(session: ClientSession) -> Self {
        Self { session, outstanding: Outstanding::default(), spent: false }
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

    pub(super) fn renewal_is_due(&self, now_ms: u64) -> bool {
        self.spent || self.session.renewal_is_due(now_ms)
    }

    /// Seals up to `count` requests into `out` until it holds `bytes_max`; how many were sealed.
    pub(super) fn seal(&mut self, batch: &Batch<'_>, out: &mut Vec<u8>) -> usize {
        for index in 0..batch.count {
            if out.len() >= batch.bytes_max {
                return index;
            }
            let Ok(pending) = self.session.seal_request(OP, batch.payload, batch.boot_ms, out) else {
                self.spent = true;
                return index;
            };
            self.outstanding.push(pending, Sent { at_ns: Cell::new(0), measured: batch.measured });
        }
        batch.count
    }

    /// Notes `now_ns` as the send time of the last `count` requests sealed.
    pub(super) fn stamp(&self, count: usize, now_ns: u64) {
        let end = self.session.counter();
        for counter in end - count as u64..end {
            if let Some((_, sent)) = self.outstanding.get(counter) {
                sent.at_ns.set(now_ns);
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
        let Some((pending, sent)) = self.outstanding.get(header.counter) else { return false };
        let (at_ns, measured) = (sent.at_ns.get(), sent.measured);
        let refusal = match self.session.open_answer(pending, header, frame, arrival.boot_ms) {
            // The request goes on waiting for an answer that verifies (SPEC §7.1.2).
            Err(_) => {
                tally.failed_verifications += 1;
                return true;
            }
            Ok(Answer::Response { .. }) => None,
            Ok(Answer::Refused(reason)) => Some(Refusal::Err(reason)),
            Ok(Answer::Lost) => Some(Refusal::Lost),
        };
        self.outstanding.remove(header.counter);
        match refusal {
            None => {
                tally.verified_in_interval += u64::from(arrival.phase == Phase::Measure);
                if measured {
                    tally.verified += 1;
                    tally.latencies.record(arrival.at_ns.saturating_sub(at_ns));
                }
            }
            Some(refusal) => {
                self.spent |= ends_the_session(refusal);
                if measured {
                    tally.refuse(refusal);
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
    pub(super) count: usize,
    pub(super) payload: &'a [u8],
    pub(super) boot_ms: u64,
    pub(super) measured: bool,
    pub(super) bytes_max: usize,
}

/// Whether no request of the session can succeed after this refusal.
fn ends_the_session(refusal: Refusal) -> bool {
    use mvt_proto::reject::ErrReason::{Expired, Limit, Revoked};
    matches!(refusal, Refusal::Lost | Refusal::Err(Limit | Expired | Revoked))
}
