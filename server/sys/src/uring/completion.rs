//! What a ring reports.

use std::{io, net::SocketAddr};

use super::{Filled, Inbound, LineId};

/// Why a multishot receive has ended; nothing more comes before it is asked for again.
#[derive(Debug)]
pub enum ReceiveEnd {
    /// The peer sent its last byte.
    EndOfStream,
    /// Nothing is wrong: no buffer was free, it was cancelled, or the kernel had enough of it.
    Stopped,
    /// The connection is broken.
    Broken(io::Error),
}

/// One thing that happened.
#[derive(Debug)]
pub enum Completion {
    /// A connection, with the address of its peer.
    Accepted {
        /// Its name.
        line: LineId,
        /// Its peer.
        peer: SocketAddr,
        /// The accept queue it came by, of which the next is accepted by [`super::Ring::accept`].
        queue: usize,
    },
    /// An accept failed and is not repeated before [`super::Ring::accept`].
    AcceptFailed(io::Error),
    /// Bytes arrived.
    Received {
        /// On this line.
        line: LineId,
        /// They are read by [`super::Ring::bytes`] and given back by [`super::Ring::recycle`].
        filled: Filled,
        /// Whether more comes without being asked for.
        is_armed: bool,
    },
    /// The receive of a line ended.
    ReceiveEnded {
        /// The line.
        line: LineId,
        /// Why.
        end: ReceiveEnd,
    },
    /// The send of a line ended.
    Sent {
        /// The line.
        line: LineId,
        /// Its buffer, empty.
        buffer: Vec<u8>,
        /// Whether all of it was sent.
        result: io::Result<()>,
    },
    /// The peer was told that nothing more comes from us.
    ShutDown {
        /// The line.
        line: LineId,
    },
    /// Somebody rang the bell.
    Rung,
    /// A tick has passed.
    Ticked,
    /// The descriptor of [`super::Ring::await_readable`] has something to read, or is broken.
    Readable,
    /// Packets arrived; they are read by [`super::Ring::packets`] and given back by [`super::Ring::recycle_packets`].
    Packets(Inbound),
    /// The receive of packets ended with an error; it may be asked for again.
    PacketsFailed(io::Error),
    /// A transmission was not sent: as if it were lost on the way.
    PacketsUnsent {
        /// Why.
        error: io::Error,
        /// Whether the kernel was to cut it apart, which not every network card can.
        is_segmented: bool,
    },
}
