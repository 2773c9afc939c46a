//! Mail to a shard from other threads: bounded, and it wakes the shard's driver.

mod passage;

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

use crate::{
    limits::{MAILBOX_COUNT_MAX, PASSAGE_COUNT_MIN},
    owner::Owner,
    revocations::Revocations,
    shard::ConnectionId,
};
use passage::Passage;

/// Letters with which a shard answers one forwarded frame: what it was asked, and the frames of a renewal or a ticket beside it.
pub const ANSWERS_PER_FRAME_MAX: usize = 4;

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

/// A frame whose key the receiver owns, and which arrived at the sender.
#[derive(Debug)]
pub struct Forwarded {
    /// The sender's connection.
    pub connection: ConnectionId,
    /// The whole frame.
    pub frame: Box<[u8]>,
}

/// What the receiver's connection gets for a forwarded frame.
#[derive(Debug)]
pub struct Answered {
    /// The connection the frame arrived on.
    pub connection: ConnectionId,
    /// Whole frames, or none.
    pub frames: Box<[u8]>,
    /// Whether the frame was verified.
    pub is_verified: bool,
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
    /// A packet of a QUIC connection of this shard, which arrived at another.
    Packet(Packet),
    /// Erase every session these refuse, and say so: `confirm` takes our number when none is left (SPEC §12.2.1).
    Revoke {
        /// What was revoked just now. The node's snapshot refuses it already.
        revoked: Arc<Revocations>,
        /// Has room for every shard.
        confirm: Sender<usize>,
    },
    /// Have every session renew its keys, within about so many ms (SPEC §11.2.1).
    Renew {
        /// How long that may take.
        within_ms: u64,
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

/// The queues and the waker of one shard. Frames have queues of their own, two for each other shard: however many there are, they
/// keep no login and no order to stop from arriving, and what one shard leaves lying is in no other's way. Answers are not
/// behind requests, so two shards that are full of each other's requests still hear each other's answers.
#[derive(Debug)]
pub struct Mailbox {
    orders: ArrayQueue<Mail>,
    /// By sender.
    forwarded: Box<[Passage<Forwarded>]>,
    /// By sender.
    answered: Box<[Passage<Answered>]>,
    /// A byte in this socket is a wake-up; at most one is under way.
    waker: UnixStream,
    woken: AtomicBool,
}

impl Mailbox {
    /// The mailbox of one of `shard_count` shards, and the end of its socket on which the driver waits.
    ///
    /// # Errors
    /// The OS's.
    pub fn new(shard_count: usize) -> io::Result<(Self, UnixStream)> {
        let (waker, waiter) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        waiter.set_nonblocking(true)?;
        let mailbox = Self {
            orders: ArrayQueue::new(MAILBOX_COUNT_MAX),
            forwarded: passages(shard_count),
            answered: passages(shard_count),
            waker,
            woken: AtomicBool::new(false),
        };
        Ok((mailbox, waiter))
    }

    /// Puts `mail` into the box and wakes the shard.
    ///
    /// # Errors
    /// The mail, when the box is full.
    pub fn post(&self, mail: Mail) -> Result<(), Mail> {
        self.orders.push(mail)?;
        self.wake();
        Ok(())
    }

    /// The same for a frame that arrived at shard `from`.
    ///
    /// # Errors
    /// The frame, when too many of that shard's wait; it is woken when there is room.
    pub fn forward(&self, from: usize, frame: Forwarded) -> Result<(), Forwarded> {
        self.forwarded[from].put(frame)?;
        self.wake();
        Ok(())
    }

    /// The same for what shard `from` answers to a frame of ours.
    ///
    /// # Errors
    /// The answer, when too many of that shard's wait. [`Mailbox::answer_room`] told.
    pub fn answer(&self, from: usize, answer: Answered) -> Result<(), Answered> {
        self.answered[from].put(answer)?;
        self.wake();
        Ok(())
    }

    /// Frames that shard `from` may forward to us now; it is woken when there is room, if there is none.
    pub fn forward_room(&self, from: usize) -> usize {
        room_of(&self.forwarded[from], 1)
    }

    /// Frames of ours that shard `from` may judge now, each with [`ANSWERS_PER_FRAME_MAX`] answers; it is woken when there is
    /// room, if there is none.
    pub fn answer_room(&self, from: usize) -> usize {
        room_of(&self.answered[from], ANSWERS_PER_FRAME_MAX)
    }

    /// Wakes the shard: it looks for mail and goes on with what it had put off.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // A full socket means a wake-up is under way, which is all that is wanted.
            let _ = (&self.waker).write(&[1]);
        }
    }

    /// To be called after a wake-up and before anything is taken, so that later mail wakes again.
    pub fn rearm(&self) {
        // An exchange, not a store: mail posted before it is then seen by what is taken after it.
        self.woken.swap(false, Ordering::AcqRel);
    }

    /// The oldest mail of other threads.
    pub fn take(&self) -> Option<Mail> {
        self.orders.pop()
    }

    /// The oldest frame from shard `from`.
    pub fn take_forwarded(&self, from: usize) -> Option<Forwarded> {
        self.forwarded[from].take()
    }

    /// The oldest answer of shard `from`.
    pub fn take_answered(&self, from: usize) -> Option<Answered> {
        self.answered[from].take()
    }

    /// Whether frames of shard `from` wait.
    pub fn has_forwarded(&self, from: usize) -> bool {
        !self.forwarded[from].is_empty()
    }

    /// Whether shard `from` is to be woken, because what was taken has made the room it waits for.
    pub fn is_awaited_by(&self, from: usize) -> bool {
        // Both are asked, and each only once.
        self.forwarded[from].is_awaited() | self.answered[from].is_awaited()
    }

    /// Letters of other threads that the box holds at most, and of each shard.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.orders.capacity()
    }
}

/// The letters of all shards together are about as many as there may be orders.
fn passages<T>(shard_count: usize) -> Box<[Passage<T>]> {
    let capacity = (MAILBOX_COUNT_MAX / shard_count.saturating_sub(1).max(1)).max(PASSAGE_COUNT_MIN);
    (0..shard_count).map(|_| Passage::new(capacity)).collect()
}

/// How many times `letters` go into `passage`; if not once, the sender is woken when something was taken.
fn room_of<T>(passage: &Passage<T>, letters: usize) -> usize {
    if passage.room() < letters {
        passage.await_room();
    }
    passage.room() / letters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::ConnectionId;

    fn frame() -> Forwarded {
        Forwarded { connection: ConnectionId::default(), frame: Box::default() }
    }

    #[test]
    fn frames_fill_their_own_passage_only() {
        let (mailbox, _waiter) = Mailbox::new(3).expect("a socket pair");
        let room = mailbox.forward_room(1);
        assert_eq!(room, MAILBOX_COUNT_MAX / 2);
        for _ in 0..room {
            assert!(mailbox.forward(1, frame()).is_ok());
        }
        assert!(mailbox.forward(1, frame()).is_err() && mailbox.forward_room(1) == 0);
        let refused = Mail::LoginRefused { connection: ConnectionId::default(), reject: Reject::Noise };
        assert!(mailbox.post(refused).is_ok() && mailbox.post(Mail::Shutdown).is_ok());
        assert!(matches!(mailbox.take(), Some(Mail::LoginRefused { .. })));
        assert!(matches!(mailbox.take(), Some(Mail::Shutdown)));
        assert!(mailbox.forward(2, frame()).is_ok(), "another shard's have room");
        assert_eq!(mailbox.answer_room(1), room / ANSWERS_PER_FRAME_MAX, "and so have its answers");
        assert!(mailbox.take_forwarded(1).is_some() && mailbox.is_awaited_by(1) && !mailbox.is_awaited_by(2));
        assert!(mailbox.forward(1, frame()).is_ok());
    }

    #[test]
    fn however_many_shards_there_are_a_frame_and_its_answers_have_room() {
        for shard_count in [1, 2, 3, 64, 256] {
            let (mailbox, _waiter) = Mailbox::new(shard_count).expect("a socket pair");
            assert!(mailbox.answer_room(0) >= 1 && mailbox.forward_room(0) >= 1, "{shard_count}");
        }
    }
}
