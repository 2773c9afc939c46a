//! Mail to a shard from other threads: bounded, and it wakes the shard's driver.

mod passage;

use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crossbeam::{channel::Sender, queue::ArrayQueue};
use mvt_proto::{Reject, constants::KEY_BYTES, login::Admitted, session::Agreed};

use crate::{
    limits::{ANSWER_BYTES_MAX, MAILBOX_BYTES_MAX, MAILBOX_COUNT_MAX, PASSAGE_BYTES_MIN, PASSAGE_COUNT_MIN},
    owner::Owner,
    revocations::Revoked,
    shard::ConnectionId,
};
use passage::{Letter, Passage};

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

impl Letter for Forwarded {
    fn byte_count(&self) -> usize {
        self.frame.len()
    }
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
    /// Nothing more is said of the frame, unless a recovery is recorded later: no letter but one for each frame has it.
    pub is_last: bool,
}

impl Letter for Answered {
    fn byte_count(&self) -> usize {
        self.frames.len()
    }
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
    /// The key agreement of a renewal is computed (SPEC §11.2.7).
    Agreed {
        /// The session.
        key_id: u64,
        /// What came of it.
        agreed: Box<Agreed>,
    },
    /// A packet of a QUIC connection of this shard, which arrived at another.
    Packet(Packet),
    /// Erase every session these refuse, and say so: `confirm` takes our number when none is left (SPEC §12.2.1).
    Revoke {
        /// What was revoked just now. The node's snapshot refuses it already.
        revoked: Arc<Revoked>,
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

impl Mail {
    /// What others can make large.
    fn byte_count(&self) -> usize {
        if let Self::Packet(packet) = self { packet.bytes.len() } else { 0 }
    }
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
    /// Bytes of the packets among them, and of those just being put in.
    packet_bytes: AtomicUsize,
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
            packet_bytes: AtomicUsize::new(0),
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
    /// The mail, when the box is full; a packet also when those in it have too many bytes.
    pub fn post(&self, mail: Mail) -> Result<(), Mail> {
        let byte_count = mail.byte_count();
        let before = self.packet_bytes.fetch_add(byte_count, Ordering::Relaxed);
        let posted = match before + byte_count <= MAILBOX_BYTES_MAX || byte_count == 0 {
            true => self.orders.push(mail),
            false => Err(mail),
        };
        posted.inspect_err(|_| self.forget_bytes(byte_count))?;
        self.wake();
        Ok(())
    }

    /// The same for a frame that arrived at shard `from`.
    ///
    /// # Errors
    /// The frame, when too many of that shard's wait, or too many bytes of them; it is woken when there is room.
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

    /// Frames of `frame_bytes` that shard `from` may forward to us now; it is woken when there is room, if there is none.
    pub fn forward_room(&self, from: usize, frame_bytes: usize) -> usize {
        self.forwarded[from].room_for(1, frame_bytes)
    }

    /// Frames of ours that shard `from` may judge now, each with [`ANSWERS_PER_FRAME_MAX`] answers of [`ANSWER_BYTES_MAX`]
    /// together; it is woken when there is room, if there is none.
    pub fn answer_room(&self, from: usize) -> usize {
        self.answered[from].room_for(ANSWERS_PER_FRAME_MAX, ANSWER_BYTES_MAX)
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
        self.orders.pop().inspect(|mail| self.forget_bytes(mail.byte_count()))
    }

    fn forget_bytes(&self, byte_count: usize) {
        self.packet_bytes.fetch_sub(byte_count, Ordering::Relaxed);
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

/// The letters of all shards together are about as many as there may be orders, and no more bytes than of packets.
fn passages<T: Letter>(shard_count: usize) -> Box<[Passage<T>]> {
    let senders = shard_count.saturating_sub(1).max(1);
    let capacity = (MAILBOX_COUNT_MAX / senders).max(PASSAGE_COUNT_MIN);
    let bytes_max = (MAILBOX_BYTES_MAX / senders).max(PASSAGE_BYTES_MIN);
    (0..shard_count).map(|_| Passage::new(capacity, bytes_max)).collect()
}

#[cfg(test)]
mod tests {
    use mvt_proto::constants::FRAME_BYTES_MAX;

    use super::*;
    use crate::shard::ConnectionId;

    fn frame() -> Forwarded {
        Forwarded { connection: ConnectionId::default(), frame: Box::default() }
    }

    #[test]
    fn frames_fill_their_own_passage_only() {
        let (mailbox, _waiter) = Mailbox::new(3).expect("a socket pair");
        let room = mailbox.forward_room(1, 0);
        assert_eq!(room, MAILBOX_COUNT_MAX / 2);
        for _ in 0..room {
            assert!(mailbox.forward(1, frame()).is_ok());
        }
        assert!(mailbox.forward(1, frame()).is_err() && mailbox.forward_room(1, 0) == 0);
        let refused = Mail::LoginRefused { connection: ConnectionId::default(), reject: Reject::Noise };
        assert!(mailbox.post(refused).is_ok() && mailbox.post(Mail::Shutdown).is_ok());
        assert!(matches!(mailbox.take(), Some(Mail::LoginRefused { .. })));
        assert!(matches!(mailbox.take(), Some(Mail::Shutdown)));
        assert!(mailbox.forward(2, frame()).is_ok(), "another shard's have room");
        let answers = (room / ANSWERS_PER_FRAME_MAX).min(MAILBOX_BYTES_MAX / 2 / ANSWER_BYTES_MAX);
        assert_eq!(mailbox.answer_room(1), answers, "and so have its answers");
        assert!(mailbox.take_forwarded(1).is_some() && mailbox.is_awaited_by(1) && !mailbox.is_awaited_by(2));
        assert!(mailbox.forward(1, frame()).is_ok());
    }

    #[test]
    fn however_many_shards_there_are_a_frame_and_its_answers_have_room() {
        for shard_count in [1, 2, 3, 64, 256] {
            let (mailbox, _waiter) = Mailbox::new(shard_count).expect("a socket pair");
            let room = mailbox.forward_room(0, FRAME_BYTES_MAX);
            assert!(mailbox.answer_room(0) >= 1 && room >= 1, "{shard_count}");
        }
    }

    /// CASES D-11: 4096 packets of 64 KiB, which anybody may send, would be 256 MiB.
    #[test]
    fn packets_are_bounded_in_bytes_and_keep_no_order_out() {
        let (mailbox, _waiter) = Mailbox::new(2).expect("a socket pair");
        let packet = |bytes: usize| {
            let remote = ([127, 0, 0, 1], 1).into();
            Mail::Packet(Packet { remote, local_ip: None, ecn: None, bytes: vec![0; bytes].into() })
        };
        for _ in 0..MAILBOX_BYTES_MAX >> 16 {
            assert!(mailbox.post(packet(1 << 16)).is_ok());
        }
        assert!(mailbox.post(packet(1)).is_err() && mailbox.post(Mail::Shutdown).is_ok());
        assert!(mailbox.take().is_some() && mailbox.post(packet(1 << 16)).is_ok());
        assert!(mailbox.post(packet(1)).is_err());
        while mailbox.take().is_some() {}
        assert_eq!(mailbox.packet_bytes.into_inner(), 0);
    }
}
