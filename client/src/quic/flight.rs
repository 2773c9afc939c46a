//! Requests on their way: when each is sent again, and when it is given up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use mvt_proto::{
    constants::REPEAT_MS_MAX,
    session::{Outstanding, Pending, Waiting},
};
use tokio::{sync::oneshot, time::Instant};

use crate::{Error, Response, Unknown, clock};

/// The first copy is waited for this long at least before the second is sent.
const PROBE_MIN: Duration = Duration::from_millis(10);
/// And no copy for longer than this.
const PROBE_MAX: Duration = Duration::from_secs(1);
/// Copies of one request at most (SPEC §17.2.7); the last of them is still waited for until the request's deadline.
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
    /// By the client's clock, ms.
    sealed_ms: u64,
}

impl Sent {
    /// Whether one more copy may follow the `copies` sent (SPEC §17.2.7).
    fn may_be_repeated(&self, copies: u32, now_ms: u64) -> bool {
        self.frame.is_some() && copies < COPIES_MAX && now_ms.saturating_sub(self.sealed_ms) < REPEAT_MS_MAX
    }
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
        self.outstanding.push(pending, Sent { wanted, frame, sealed_ms: clock::now_ms() });
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
        let (now, now_ms) = (Instant::now(), clock::now_ms());
        let mut again = Vec::new();
        while let Some(look) = self.looks.first().copied().filter(|(at, ..)| *at <= now) {
            let (_, name, copies) = look;
            let Some((_, sent)) = self.outstanding.get(name.0, name.1) else {
                self.take(name);
                continue;
            };
            let deadline = sent.wanted.deadline;
            let Some(copies) = copies else {
                self.end(name, Unknown::Replayed);
                continue;
            };
            if now >= deadline {
                self.end(name, Unknown::TimedOut);
            } else if !sent.may_be_repeated(copies, now_ms) {
                self.look(name, (deadline, name, Some(copies)));
            } else if is_congested {
                self.look(name, ((now + pause(rtt, copies)).min(deadline), name, Some(copies)));
            } else if again.len() == count {
                break;
            } else {
                again.extend(sent.frame.clone());
                self.look(name, ((now + pause(rtt, copies + 1)).min(deadline), name, Some(copies + 1)));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC §17.2.7: a bounded number of times, and not for longer than the slot key is surely held.
    #[test]
    fn repeating_has_an_end() {
        let sent = |frame| Sent {
            wanted: Wanted {
                op: 1,
                payload: Vec::new(),
                answer: oneshot::channel().0,
                deadline: Instant::now(),
                again: false,
            },
            frame,
            sealed_ms: 1_000,
        };
        let datagram = sent(Some(Bytes::from_static(b"frame")));
        assert!(datagram.may_be_repeated(1, 1_000));
        assert!(datagram.may_be_repeated(COPIES_MAX - 1, 1_000 + REPEAT_MS_MAX - 1));
        assert!(!datagram.may_be_repeated(COPIES_MAX, 1_000));
        assert!(!datagram.may_be_repeated(1, 1_000 + REPEAT_MS_MAX));
        assert!(!sent(None).may_be_repeated(1, 1_000), "a stream loses nothing");
    }

    /// Each copy is waited for twice as long as the one before, between bounds that follow the round trip.
    #[test]
    fn pauses_double() {
        assert_eq!(pause(Duration::ZERO, 1), PROBE_MIN);
        assert_eq!(pause(Duration::from_millis(40), 1), Duration::from_millis(80));
        assert_eq!(pause(Duration::from_millis(40), 3), Duration::from_millis(320));
        assert_eq!(pause(Duration::from_millis(40), 60), PROBE_MAX);
        assert_eq!(pause(Duration::from_millis(400), 60), Duration::from_millis(1_600));
    }
}
