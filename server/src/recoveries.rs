//! Recoveries on their way from the shards, where they are proved, to the control thread, which records them (SPEC §13.4).

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
    sync::{Mutex, PoisonError},
};

use crossbeam::channel::{Receiver, Sender, bounded};
use hashbrown::HashMap;
use mvt_proto::{
    ClientId,
    constants::{KEY_BYTES, RECOVERIES_MAX, RECOVERY_INTERVAL_MS},
};

use crate::limits::RECOVERY_COUNT_MAX;

/// A recovery whose client proved its new key by a recorded request: to be made durable.
#[derive(Debug)]
pub struct Proved {
    /// The shard that waits to hear of it.
    pub shard: usize,
    /// Its session.
    pub key_id: u64,
    /// Whose identity is to be replaced.
    pub client: ClientId,
    /// By this static public key.
    pub new_public: [u8; KEY_BYTES],
}

/// The queue to the control thread: bounded, and it wakes.
#[derive(Debug)]
pub struct Recoveries {
    queue: Sender<Proved>,
    waker: UnixStream,
    inbox: Mutex<Option<Inbox>>,
}

/// The control thread's end.
#[derive(Debug)]
pub struct Inbox {
    /// What was proved.
    pub proved: Receiver<Proved>,
    /// Readable when there is something.
    pub waiter: UnixStream,
}

impl Recoveries {
    /// An empty queue.
    ///
    /// # Errors
    /// The OS's.
    pub fn new() -> io::Result<Self> {
        let (queue, proved) = bounded(RECOVERY_COUNT_MAX);
        let (waker, waiter) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        waiter.set_nonblocking(true)?;
        Ok(Self { queue, waker, inbox: Mutex::new(Some(Inbox { proved, waiter })) })
    }

    /// The other end, once.
    pub fn take_inbox(&self) -> Option<Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Hands a proved recovery to the control thread; false when the queue is full, and then the client's next request tries
    /// again.
    pub fn post(&self, proved: Proved) -> bool {
        let is_posted = self.queue.try_send(proved).is_ok();
        // A full socket means that the thread is awake.
        let _ = (&self.waker).write(&[1]);
        is_posted
    }
}

/// How often clients recovered of late: only what was recorded counts (SPEC §13.2.3).
#[derive(Debug, Default)]
pub struct Recorded {
    times: HashMap<ClientId, Vec<u64>>,
}

impl Recorded {
    /// Whether `client` may recover at `now_ms`.
    pub fn allows(&mut self, client: &ClientId, now_ms: u64) -> bool {
        self.times.retain(|_, times| {
            times.retain(|then| now_ms.saturating_sub(*then) < RECOVERY_INTERVAL_MS);
            !times.is_empty()
        });
        self.times.get(client).is_none_or(|times| times.len() < RECOVERIES_MAX as usize)
    }

    /// Counts a recovery that was recorded.
    pub fn note(&mut self, client: ClientId, now_ms: u64) {
        self.times.entry(client).or_default().push(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// §13.2.3
    #[test]
    fn five_recoveries_an_hour_are_allowed_to_each_client() {
        let (alice, bob) = (ClientId::of_name("alice"), ClientId::of_name("bob"));
        let mut recorded = Recorded::default();
        for number in 0..5 {
            assert!(recorded.allows(&alice, number * 1_000), "{number}");
            recorded.note(alice, number * 1_000);
        }
        assert!(!recorded.allows(&alice, 3_599_999));
        assert!(recorded.allows(&bob, 3_599_999));
        assert!(recorded.allows(&alice, 3_600_000), "the first is an hour old");
        recorded.note(alice, 3_600_000);
        assert!(!recorded.allows(&alice, 3_600_999));
    }

    #[test]
    fn a_full_queue_says_so_and_a_proof_wakes() {
        let recoveries = Recoveries::new().expect("a socket pair");
        let inbox = recoveries.take_inbox().expect("the first");
        assert!(recoveries.take_inbox().is_none());
        let proved =
            |key_id| Proved { shard: 0, key_id, client: ClientId::of_name("a"), new_public: [1; 32] };
        for number in 0..RECOVERY_COUNT_MAX as u64 {
            assert!(recoveries.post(proved(number)));
        }
        assert!(!recoveries.post(proved(9)));
        assert!(io::Read::read(&mut &inbox.waiter, &mut [0; 8]).expect("woken") > 0);
        assert_eq!(inbox.proved.try_recv().map(|proved| proved.key_id), Ok(0));
    }
}
