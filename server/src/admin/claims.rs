//! What the shards ask of the control thread: to record recoveries. Bounded, and a shard never waits.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
};

use crossbeam::queue::ArrayQueue;
use mvt_proto::constants::KEY_BYTES;

use crate::{limits::CLAIMS_COUNT_MAX, owner::Owner};

/// A client that lost its key has proved a new one (SPEC §13.4.1): the answer is [`crate::mailbox::Mail::Recorded`].
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// The shard of the session, to which the answer goes.
    pub shard: usize,
    /// The session by which it was proved.
    pub key_id: u64,
    /// Whose session it is; its time is that of the RECOVER, read before the client was looked up.
    pub owner: Owner,
    /// The key that takes the place of the client's.
    pub new_public: [u8; KEY_BYTES],
}

/// The queue, and what wakes the control thread.
#[derive(Debug)]
pub struct Claims {
    queue: ArrayQueue<Claim>,
    waker: UnixStream,
    waiter: UnixStream,
}

impl Claims {
    /// An empty queue.
    ///
    /// # Errors
    /// The OS's.
    pub fn new() -> io::Result<Self> {
        let (waker, waiter) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        waiter.set_nonblocking(true)?;
        Ok(Self { queue: ArrayQueue::new(CLAIMS_COUNT_MAX), waker, waiter })
    }

    /// Asks for a recovery to be recorded.
    ///
    /// # Errors
    /// The claim, when the queue is full: the next request of the session tries again.
    pub fn post(&self, claim: Claim) -> Result<(), Claim> {
        self.queue.push(claim)?;
        self.wake();
        Ok(())
    }

    /// Wakes the control thread.
    pub fn wake(&self) {
        // A full socket means a wake-up is under way, which is all that is wanted.
        let _ = (&self.waker).write(&[1]);
    }

    /// To be called after a wake-up and before [`Claims::take`].
    pub(super) fn rearm(&self) {
        let mut buffer = [0; 256];
        while (&self.waiter).read(&mut buffer).is_ok_and(|length| length == buffer.len()) {}
    }

    pub(super) fn take(&self) -> Option<Claim> {
        self.queue.pop()
    }

    /// To wait on.
    pub(super) const fn waiter(&self) -> &UnixStream {
        &self.waiter
    }
}
