//! Packets on a ring: those of one UDP socket, received by one multishot operation into buffers of their own and sent from
//! places of their own, many at once each way (GRO, GSO).
//!
//! - `inbox` holds the buffers and reads what the kernel wrote; `outbox` holds what is on its way out; `control` is the
//!   data beside packets.

mod control;
mod inbox;
mod outbox;

use std::{
    io,
    net::UdpSocket,
    os::{fd::AsRawFd, unix::net::UnixStream},
    time::Duration,
};

use io_uring::{cqueue, opcode, types::Fd};
use rustix::{io::Errno, net::SendFlags};

use super::{
    Completion, Ring, RingOptions,
    buffers::Buffers,
    reap::error_of,
    token::{Purpose, Token},
};
pub use inbox::Inbound;
use inbox::Inbox;
pub(super) use inbox::SHAPE;
pub use outbox::Outbound;
use outbox::Outbox;

/// What the kernel may touch while packets are received and sent; the socket is closed after the ring.
pub(super) struct Packets {
    socket: UdpSocket,
    inbox: Inbox,
    outbox: Outbox,
    /// Of the receive last asked for.
    generation: u32,
    is_receiving: bool,
}

impl Packets {
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        // The ring waits for it, which it does not for one that does not block.
        socket.set_nonblocking(false)?;
        Ok(Self { socket, inbox: Inbox::new()?, outbox: Outbox::new(), generation: 0, is_receiving: false })
    }

    pub(super) const fn buffers(&mut self) -> &mut Buffers {
        &mut self.inbox.buffers
    }

    fn descriptor(&self) -> Fd {
        Fd(self.socket.as_raw_fd())
    }
}

impl Ring {
    fn udp(&self) -> &Packets {
        self.lent.packets.as_ref().expect("a ring with a UDP socket")
    }

    fn udp_mut(&mut self) -> &mut Packets {
        self.lent.packets.as_mut().expect("a ring with a UDP socket")
    }

    /// Receives packets until the receive ends, which it does when no buffer is free; to be asked for once a turn, when all
    /// are back. Nothing is done while it is under way.
    ///
    /// # Panics
    /// On a ring without a UDP socket, as do the others here.
    pub fn receive_packets(&mut self) {
        let packets = self.udp_mut();
        if std::mem::replace(&mut packets.is_receiving, true) {
            return;
        }
        packets.generation = packets.generation.wrapping_add(1);
        let token = Token::new(Purpose::ReceivePackets, 0, packets.generation);
        let receive =
            opcode::RecvMsgMulti::new(packets.descriptor(), packets.inbox.form(), SHAPE.group).build();
        self.push(receive, token);
    }

    /// The packets behind each other.
    #[must_use]
    pub fn packets(&self, inbound: &Inbound) -> &[u8] {
        self.udp().inbox.packets(inbound)
    }

    /// Gives the buffer back to the kernel, with the next [`Ring::enter`].
    pub fn recycle_packets(&mut self, inbound: Inbound) {
        self.udp_mut().inbox.buffers.recycle(inbound.filled);
    }

    /// An empty buffer, to be filled for [`Ring::send_packets`]; its memory is used again. `None` while as many transmissions
    /// as there may be are in flight, or the socket is full: then [`Ring::is_full`] says so.
    pub fn packet_buffer(&mut self) -> Option<&mut Vec<u8>> {
        self.udp_mut().outbox.buffer()
    }

    /// Whether transmissions wait because the socket is full; something completes when it is not any more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.udp().outbox.is_full()
    }

    /// Sends what was written to [`Ring::packet_buffer`].
    ///
    /// # Panics
    /// When nothing was.
    pub fn send_packets(&mut self, outbound: &Outbound) {
        let (index, _) = self.udp_mut().outbox.take(outbound);
        // As for lines: tried while it is submitted.
        self.transmit(index, SendFlags::DONTWAIT);
        self.note_at_once();
    }

    fn transmit(&mut self, index: u32, flags: SendFlags) {
        let packets = self.udp();
        let send = opcode::SendMsg::new(packets.descriptor(), packets.outbox.message(index));
        self.push(send.flags(flags.bits()).build(), Token::new(Purpose::SendPackets, index, 0));
    }

    pub(super) fn complete_packets(&mut self, generation: u32, entry: &cqueue::Entry) -> Option<Completion> {
        let packets = self.lent.packets.as_mut().expect("whose receive it was");
        assert_eq!(generation, packets.generation, "one receive at a time");
        if !cqueue::more(entry.flags()) {
            packets.is_receiving = false;
        }
        if let Some(id) = cqueue::buffer_select(entry.flags()) {
            let filled = packets.inbox.buffers.fill(id, u32::try_from(entry.result()).unwrap_or(0));
            match packets.inbox.read(filled) {
                Ok(inbound) => return Some(Completion::Packets(inbound)),
                Err(filled) => packets.inbox.buffers.recycle(filled),
            }
        }
        match entry.result() {
            0.. => self.shortages.packets_unusable += 1,
            result => match error_of(result) {
                Errno::NOBUFS => self.shortages.packet_buffers_exhausted += 1,
                Errno::CANCELED | Errno::INTR | Errno::AGAIN => {}
                errno => return Some(Completion::PacketsFailed(errno.into())),
            },
        }
        None
    }

    pub(super) fn complete_transmission(&mut self, index: u32, result: i32) -> Option<Completion> {
        let error = (result < 0).then(|| error_of(result));
        let packets = self.lent.packets.as_mut().expect("whose transmission it was");
        if error == Some(Errno::AGAIN) {
            packets.outbox.wait(index);
            self.shortages.sends_waited += 1;
            self.transmit(index, SendFlags::empty());
            return None;
        }
        let is_segmented = packets.outbox.put_back(index);
        error.map(|errno| Completion::PacketsUnsent { error: errno.into(), is_segmented })
    }
}

/// Makes a ring with a UDP socket that receives, and gives it back.
///
/// # Errors
/// The kernel's refusal: as of [`super::probe`], or EINVAL where it cannot receive packets into a ring's buffers.
pub fn probe_packets() -> io::Result<()> {
    let (_bell, waiter) = UnixStream::pair()?;
    let socket = UdpSocket::bind("127.0.0.1:0").or_else(|_| UdpSocket::bind("[::1]:0"))?;
    let options = RingOptions::new(8, Duration::from_secs(1));
    let mut ring = Ring::build(Vec::new(), waiter, Some(socket), options)?;
    ring.receive_packets();
    ring.enter(super::Wait::Poll)?;
    while let Some(completion) = ring.next_completion() {
        if let Completion::PacketsFailed(error) = completion {
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CASES Q-04: where the kernel had no room to say how to cut them, packets are dropped and counted.
    #[test]
    fn packets_with_cut_control_data_are_dropped() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let address = socket.local_addr().expect("bound");
        // More of what a kernel can say of a packet than there is room for.
        for (level, name) in [
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL),
            (libc::IPPROTO_IP, libc::IP_PKTINFO),
            (libc::IPPROTO_IP, libc::IP_RECVTOS),
            (libc::IPPROTO_IP, libc::IP_RECVTTL),
            (libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR),
        ] {
            let on: libc::c_int = 1;
            let size = size_of::<libc::c_int>() as libc::socklen_t;
            // SAFETY: an open socket, and an int that the kernel copies during the call.
            let set =
                unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const on).cast(), size) };
            assert_eq!(set, 0, "{level} {name}");
        }
        let (_bell, waiter) = UnixStream::pair().expect("a pair");
        let options = RingOptions::new(8, Duration::from_millis(20));
        let mut ring = Ring::build(Vec::new(), waiter, Some(socket), options).expect("a ring");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("bound");
        for _ in 0..40 {
            sender.send_to(b"?", address).expect("sent");
        }
        for _ in 0..10 {
            ring.receive_packets();
            ring.enter(crate::uring::Wait::Sleep).expect("entered");
            while let Some(completion) = ring.next_completion() {
                assert!(matches!(completion, Completion::Ticked), "misread: {completion:?}");
            }
        }
        assert_eq!(ring.take_shortages().packets_unusable, 40);
    }
}
