//! Requests that are due in one turn.

use std::cell::Cell;

use crate::{
    pacing::{Due, Pacing},
    phase::{Phase, Phases},
    tally::Tally,
    workload::Bad,
};

/// What is kept beside a request that waits: small, for there are many.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// Where its latency begins: the intended instant, or in a closed loop just before the write that carries it, set
    /// when the kernel is given the write.
    pub(super) from_ns: Cell<u64>,
    /// It was meant to be sent at `from_ns`.
    is_intended: bool,
    /// See [`Due`].
    held_back: bool,
    /// Of the measured interval.
    pub(super) measured: bool,
    /// What it is, if it is no request to be executed.
    pub(super) bad: Option<Bad>,
    /// Its bytes were sent twice.
    pub(super) twice: Cell<Option<Twice>>,
}

const _: () = assert!(size_of::<Option<Sent>>() == 16, "it shares a cache line with what opens the answer");

/// What has come of a request whose bytes were sent twice; answers may come in any order (SPEC §7.2.6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Twice {
    pub(super) one_answered: bool,
    pub(super) one_refused: bool,
}

impl Sent {
    const fn new(due: Due, measured: bool, bad: Option<Bad>) -> Self {
        let (from_ns, is_intended) = match due.intended_ns {
            Some(intended_ns) => (intended_ns, true),
            None => (0, false),
        };
        let held_back = due.held_back;
        Self { from_ns: Cell::new(from_ns), is_intended, held_back, measured, bad, twice: Cell::new(None) }
    }

    /// A bad frame: never measured.
    pub(super) const fn bad(bad: Bad) -> Self {
        Self::new(Due { intended_ns: None, held_back: false }, false, Some(bad))
    }

    /// Whether it is a request, sent once.
    #[inline]
    pub(super) const fn is_plain(&self) -> bool {
        self.bad.is_none() && self.twice.get().is_none()
    }
}

/// Notes `now_ns` as the time of the write of all of `sents`.
pub(super) fn stamp<'a>(sents: impl Iterator<Item = &'a Sent>, now_ns: u64, tally: &mut Tally) {
    let mut unscheduled = 0;
    for sent in sents {
        if sent.is_intended {
            if sent.measured {
                let due = Due { intended_ns: Some(sent.from_ns.get()), held_back: sent.held_back };
                tally.send(due, now_ns);
            }
        } else {
            sent.from_ns.set(now_ns);
            unscheduled += u64::from(sent.measured);
        }
    }
    tally.send_unscheduled(unscheduled, now_ns);
}

/// What to seal in one turn.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) pacing: &'a mut Pacing,
    /// Nothing is begun when there are so many bytes.
    pub(super) bytes_max: usize,
    /// Requests that may still be sent on the connection before it is replaced.
    pub(super) left: u64,
    /// Requests that wait on the connection.
    pub(super) waiting: usize,
    pub(super) now_ns: u64,
    pub(super) boot_ms: u64,
    pub(super) phase: Phase,
    pub(super) phases: Option<Phases>,
    /// Measured requests that may still be sent.
    pub(super) budget: &'a mut u64,
    pub(super) tally: &'a mut Tally,
}

impl Outgoing<'_> {
    /// Requests that are due now and alike in what is kept of them, `most` at most: those of an open loop have an instant each.
    #[inline]
    pub(super) fn due_count(&self, most: usize) -> usize {
        let bound = self.left.min(*self.budget);
        if bound == 0 || !self.pacing.is_due(self.now_ns, self.waiting, self.phase.sends()) {
            return 0;
        }
        match self.pacing.room(self.waiting) {
            // A bound beyond `usize` is none.
            Some(room) => most.min(room).min(usize::try_from(bound).unwrap_or(usize::MAX)),
            None => 1,
        }
    }

    /// Takes `count` requests of [`Self::due_count`]; they wait from now on.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Sent {
        let due = self.pacing.take();
        let measured = match due.intended_ns {
            Some(intended_ns) => self.phases.is_some_and(|phases| phases.measures(intended_ns)),
            None => self.phase == Phase::Measure,
        };
        if measured && *self.budget != u64::MAX {
            *self.budget -= count as u64;
        }
        self.left -= count as u64;
        self.waiting += count;
        Sent::new(due, measured, None)
    }

    /// The next request that is due now; it waits from now on.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Sent> {
        (self.due_count(1) > 0).then(|| self.take(1))
    }
}
