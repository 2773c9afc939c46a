//! Mail to a shard from other threads: bounded, and it wakes the shard's driver.

use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, Ordering},
};

use crossbeam::queue::ArrayQueue;
use mvt_proto::{Reject, login::Admitted};

use crate::{limits::MAILBOX_COUNT_MAX, shard::ConnectionId};

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
        admitted: Box<Admitted>,
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
    /// Stop accepting, answer what was received, and end.
    Shutdown,
}

/// The queue and the waker of one shard.
#[derive(Debug)]
pub struct Mailbox {
    queue: ArrayQueue<Mail>,
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
        let queue = ArrayQueue::new(MAILBOX_COUNT_MAX);
        Ok((Self { queue, waker, woken: AtomicBool::new(false) }, waiter))
    }

    /// Puts `mail` into the box and wakes the shard.
    ///
    /// # Errors
    /// The mail, when the box is full.
    pub fn post(&self, mail: Mail) -> Result<(), Mail> {
        self.queue.push(mail)?;
        if !self.woken.swap(true, Ordering::AcqRel) {
            // A full socket means a wake-up is under way, which is all that is wanted.
            let _ = (&self.waker).write(&[1]);
        }
        Ok(())
    }

    /// To be called after a wake-up and before [`Mailbox::take`], so that later mail wakes again.
    pub fn rearm(&self) {
        // An exchange, not a store: mail posted before it is then seen by the `take` after it.
        self.woken.swap(false, Ordering::AcqRel);
    }

    /// The oldest mail.
    pub fn take(&self) -> Option<Mail> {
        self.queue.pop()
    }
}
