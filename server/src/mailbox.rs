//! Mail to a shard from other threads: bounded, and it wakes the shard's driver.

use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crossbeam::{channel::Sender, queue::ArrayQueue};
use mvt_proto::{Reject, constants::KEY_BYTES, login::Admitted};

use crate::{limits::MAILBOX_COUNT_MAX, owner::Owner, revocations::Revocations, shard::ConnectionId};

/// One packet of QUIC.
#[derive(Debug)]
pub struct Packet {
    /// Who sent it.
    pub remote: SocketAddr,
    /// The address it was sent to.
    pub local_ip: Option<IpAddr>,
    /// Its congestion mark, as in the IP header.
    pub ecn: Option<u8>,
    /// The whole packet.
    pub bytes: Box<[u8]>,
}

/// What other threads tell a shard.
#[derive(Debug)]
pub enum Mail {
    /// A login was granted.
    Admitted {
        /// Where the HELLO came from.
        connection: ConnectionId,
        /// The answer and the session to keep.
        newcomer: Box<Newcomer>,
    },
    /// A login was refused.
    LoginRefused {
        /// Where the HELLO came from.
        connection: ConnectionId,
        /// Why.
        reject: Reject,
    },
    /// A request whose key this shard owns arrived at another.
    Forwarded {
        /// The shard it arrived at.
        from_shard: usize,
        /// Its connection there.
        connection: ConnectionId,
        /// The whole frame.
        frame: Box<[u8]>,
    },
    /// The answer to a forwarded request.
    Answered {
        /// The connection it arrived on.
        connection: ConnectionId,
        /// The answer frame.
        frame: Box<[u8]>,
        /// Whether the request was verified.
        verified: bool,
    },
    /// A packet of a QUIC connection of this shard, which arrived at another.
    Packet(Packet),
    /// Erase every session these refuse, and say so: `confirm` takes our number when none is left (SPEC §12.2.1).
    Revoke {
        /// What was revoked just now. The node's snapshot refuses it already.
        revoked: Arc<Revocations>,
        /// Has room for every shard.
        confirm: Sender<usize>,
    },
    /// A recovery was recorded, or was not (SPEC §13.4).
    Recorded {
        /// The session it was claimed by.
        key_id: u64,
        /// The time of its authentication from now on; `None` when it is to be erased (§13.4.3).
        authenticated_ms: Option<u64>,
    },
    /// What was recorded is in force on every shard: the session of a recovery is one like others now.
    RecoveryComplete {
        /// The session.
        key_id: u64,
    },
    /// Stop accepting, answer what was received, and end.
    Shutdown,
}

/// A session the pool made, with what its shard keeps beside it.
#[derive(Debug)]
pub struct Newcomer {
    /// The answer and the session.
    pub admitted: Admitted,
    /// Whose session it is.
    pub owner: Owner,
    /// Whether its tickets allow RESUME without a Diffie-Hellman.
    pub psk_alone: bool,
    /// By which way it came.
    pub entrance: Entrance,
}

/// By which way a session came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// HELLO.
    Login,
    /// RESUME.
    Resume,
    /// RECOVER: not recorded yet.
    Recovery {
        /// What is to become the client's static public key.
        new_public: [u8; KEY_BYTES],
    },
}

impl Entrance {
    /// How one is counted whose client was revoked meanwhile.
    #[must_use]
    pub const fn refusal(self) -> Reject {
        match self {
            Self::Login => Reject::UnknownClient,
            Self::Resume | Self::Recovery { .. } => Reject::Revoked,
        }
    }
}

/// The queues and the waker of one shard. Frames have a queue of their own: however many there are, they keep no login and
/// no order to stop from arriving.
#[derive(Debug)]
pub struct Mailbox {
    orders: ArrayQueue<Mail>,
    frames: ArrayQueue<Mail>,
    /// A byte in this socket is a wake-up; at most one is under way.
    waker: UnixStream,
    woken: AtomicBool,
}

impl Mailbox {
    /// A mailbox, and the end of its socket on which the driver waits.
    ///
    /// # Errors
    /// The OS's.
    pub fn new() -> io::Result<(Self, UnixStream)> {
        let (waker, waiter) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        waiter.set_nonblocking(true)?;
        let queue = || ArrayQueue::new(MAILBOX_COUNT_MAX);
        Ok((Self { orders: queue(), frames: queue(), waker, woken: AtomicBool::new(false) }, waiter))
    }

    /// Puts `mail` into the box and wakes the shard.
    ///
    /// # Errors
    /// The mail, when the box is full of its like.
    pub fn post(&self, mail: Mail) -> Result<(), Mail> {
        match mail {
            Mail::Forwarded { .. } | Mail::Answered { .. } => self.frames.push(mail)?,
            mail => self.orders.push(mail)?,
        }
        self.wake();
        Ok(())
    }

    /// Wakes the shard: it looks for mail and goes on with what it had put off.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // A full socket means a wake-up is under way, which is all that is wanted.
            let _ = (&self.waker).write(&[1]);
        }
    }

    /// To be called after a wake-up and before [`Mailbox::take`], so that later mail wakes again.
    pub fn rearm(&self) {
        // An exchange, not a store: mail posted before it is then seen by the `take` after it.
        self.woken.swap(false, Ordering::AcqRel);
    }

    /// The oldest mail, that of other threads before that of shards.
    pub fn take(&self) -> Option<Mail> {
        self.orders.pop().or_else(|| self.frames.pop())
    }

    /// Letters a box holds at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.orders.capacity() + self.frames.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::ConnectionId;

    #[test]
    fn frames_fill_their_own_queue_only() {
        let (mailbox, _waiter) = Mailbox::new().expect("a socket pair");
        let frame =
            || Mail::Forwarded { from_shard: 1, connection: ConnectionId::default(), frame: Box::default() };
        for _ in 0..MAILBOX_COUNT_MAX {
            assert!(mailbox.post(frame()).is_ok());
        }
        assert!(mailbox.post(frame()).is_err());
        let refused = Mail::LoginRefused { connection: ConnectionId::default(), reject: Reject::Noise };
        assert!(mailbox.post(refused).is_ok() && mailbox.post(Mail::Shutdown).is_ok());
        assert!(matches!(mailbox.take(), Some(Mail::LoginRefused { .. })));
        assert!(matches!(mailbox.take(), Some(Mail::Shutdown)));
        assert!(matches!(mailbox.take(), Some(Mail::Forwarded { .. })));
        assert!(mailbox.post(frame()).is_ok());
    }
}
