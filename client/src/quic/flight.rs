//! Requests on their way: when each is sent again, and when it is given up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use mvt_proto::session::{Outstanding, Pending, Waiting};
use tokio::{sync::oneshot, time::Instant};

use crate::{Error, Response, Unknown};

/// The first copy is waited for this long at least before the second is sent.
const PROBE_MIN: Duration = Duration::from_millis(10);
/// And no copy for longer than this.
const PROBE_MAX: Duration = Duration::from_secs(1);
/// Copies of one request at most (SPEC §17.2.7).
const COPIES_MAX: u32 = 64;

/// A request as it was ordered.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) op: u16,
    pub(super) payload: Vec<u8>,
    pub(super) answer: oneshot::Sender<Result<Response, Error>>,
    pub(super) deadline: Instant,
    /// It was refused as STALE once already.
    pub(super) again: bool,
}

/// What is known of a request on its way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) wanted: Wanted,
    /// The frame, to be sent again with the same bytes (SPEC §7.1.1); `None` where the transport loses nothing.
    frame: Option<Bytes>,
}

/// A request: its generation and counter.
type Name = (u16, u64);

/// When to look at a request, with its name and how often it was sent; `None` once the server has said REPLAY.
type Look = (Instant, Name, Option<u32>);

/// Everything on its way. A request is in `outstanding`, and has one look.
#[derive(Debug, Default)]
pub(super) struct Flight {
    outstanding: Outstanding<Sent>,
    looks: BTreeSet<Look>,
    by_name: BTreeMap<Name, Look>,
}

impl Flight {
    pub(super) fn is_empty(&self) -> bool {
        self.outstanding.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.outstanding.len()
    }

    /// The oldest counter of this generation still on its way.
    pub(super) fn oldest(&self, generation: u16) -> Option<u64> {
        self.by_name.range((generation, 0)..=(generation, u64::MAX)).next().map(|((_, counter), _)| *counter)
    }

    /// Adds a request just sent; `rtt` is given where it may be lost.
    pub(super) fn push(&mut self, pending: &Pending, wanted: Wanted, frame: Option<Bytes>, rtt: Duration) {
        let name = (pending.generation(), pending.counter());
        let at = match frame {
            Some(_) => (Instant::now() + pause(rtt, 1)).min(wanted.deadline),
            None => wanted.deadline,
        };
        self.outstanding.push(pending, Sent { wanted, frame });
        self.look(name, (at, name, Some(1)));
    }

    /// The request of this generation and counter, if it still waits.
    pub(super) fn get(&self, generation: u16, counter: u64) -> Option<Waiting<'_>> {
        self.outstanding.get(generation, counter).map(|(pending, _)| pending)
    }

    /// Removes a request whose end is known.
    pub(super) fn take(&mut self, name: Name) -> Option<Wanted> {
        if let Some(look) = self.by_name.remove(&name) {
            self.looks.remove(&look);
        }
        self.outstanding.remove(name.0, name.1).map(|sent| sent.wanted)
    }

    /// The server said REPLAY: an earlier copy stands, and its answer may still be on its way. True when there was no other
    /// copy, or it was said before: then that is the end.
    pub(super) fn note_replay(&mut self, name: Name, rtt: Duration) -> bool {
        match self.by_name.get(&name).copied() {
            Some((_, _, Some(copies @ 2..))) => {
                self.look(name, (Instant::now() + pause(rtt, copies), name, None));
                false
            }
            Some((_, _, None)) => false,
            _ => true,
        }
    }

    /// When something is to be done.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.looks.first().map(|(at, ..)| *at)
    }

    /// Ends what has waited long enough, and gives the frames to be sent again, `count` at most. While `is_congested`, what
    /// was sent may not have left yet: nothing is sent again, and no copy is counted.
    pub(super) fn overdue(&mut self, count: usize, rtt: Duration, is_congested: bool) -> Vec<Bytes> {
        let now = Instant::now();
        let mut again = Vec::new();
        while let Some(look) = self.looks.first().copied().filter(|(at, ..)| *at <= now) {
            let (_, name, copies) = look;
            let Some((_, sent)) = self.outstanding.get(name.0, name.1) else {
                self.take(name);
                continue;
            };
            let (frame, deadline) = (sent.frame.clone(), sent.wanted.deadline);
            match (copies, frame) {
                (None, _) => self.end(name, Unknown::Replayed),
                (Some(copies), Some(_)) if now < deadline && is_congested => {
                    let at = (now + pause(rtt, copies)).min(deadline);
                    self.look(name, (at, name, Some(copies)));
                }
                (Some(copies), Some(frame)) if now < deadline && copies < COPIES_MAX => {
                    if again.len() == count {
                        break;
                    }
                    again.push(frame);
                    let at = (now + pause(rtt, copies + 1)).min(deadline);
                    self.look(name, (at, name, Some(copies + 1)));
                }
                _ => self.end(name, Unknown::TimedOut),
            }
        }
        again
    }

    /// Ends one request without an answer.
    pub(super) fn end(&mut self, name: Name, cause: Unknown) {
        if let Some(wanted) = self.take(name) {
            let _ = wanted.answer.send(Err(Error::OutcomeUnknown(cause)));
        }
    }

    /// Ends them all.
    pub(super) fn end_all(&mut self, cause: Unknown) {
        self.looks.clear();
        self.by_name.clear();
        for sent in self.outstanding.drain() {
            let _ = sent.wanted.answer.send(Err(Error::OutcomeUnknown(cause)));
        }
    }

    fn look(&mut self, name: Name, look: Look) {
        if let Some(old) = self.by_name.insert(name, look) {
            self.looks.remove(&old);
        }
        self.looks.insert(look);
    }
}

/// How long to wait after copy number `copies`: twice as long each time.
fn pause(rtt: Duration, copies: u32) -> Duration {
    (2 * rtt).max(PROBE_MIN).saturating_mul(1 << copies.min(8).saturating_sub(1)).min(PROBE_MAX.max(4 * rtt))
}
