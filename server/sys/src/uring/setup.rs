//! Makes a ring, registers what it uses, and locks it to the operations it needs.

use std::io;

use io_uring::{IoUring, opcode, register::Restriction, squeue};

use super::{
    buffers::{Buffers, LINES},
    token::PLACES_MAX,
};

/// Submission queue entries: small, for every one of them passes through the cache.
const SUBMISSIONS: u32 = 512;
/// Completion queue entries. A turn completes at most a receive per buffer and a send, a receive's end and a close for
/// each connection it served; what does not fit waits in the kernel.
const COMPLETIONS: u32 = 4096;
/// Threads the kernel may start for operations it cannot do at once: `shutdown` is one of those.
const KERNEL_THREADS: [u32; 2] = [1, 1];
/// The kernel's bound on direct descriptors.
const FILES_MAX: u32 = 1 << 20;

const _: () = assert!(FILES_MAX <= PLACES_MAX);

/// The operations every ring uses, with the name of each; what it does not use is refused by the kernel once it runs.
pub const OPERATIONS: [(&str, u8); 7] = [
    ("accept", opcode::Accept::CODE),
    ("recv", opcode::Recv::CODE),
    ("send", opcode::Send::CODE),
    ("shutdown", opcode::Shutdown::CODE),
    ("close", opcode::Close::CODE),
    ("async_cancel", opcode::AsyncCancel2::CODE),
    ("timeout", opcode::Timeout::CODE),
];

/// And that of a ring that watches descriptors.
pub const WATCH_OPERATIONS: [(&str, u8); 1] = [("poll_add", opcode::PollAdd::CODE)];

/// And those of a ring with a UDP socket.
pub const PACKET_OPERATIONS: [(&str, u8); 2] =
    [("recvmsg", opcode::RecvMsgMulti::CODE), ("sendmsg", opcode::SendMsg::CODE)];

/// What a ring is to hold.
#[derive(Debug, Clone, Copy)]
pub struct RingOptions {
    /// Connections at once; beyond them, or beyond RLIMIT_NOFILE, accept fails.
    pub lines_max: u32,
    /// Time between two ticks.
    pub tick: std::time::Duration,
    /// Submission queue entries.
    pub submissions: u32,
    /// Completion queue entries, at least as many.
    pub completions: u32,
    /// Whether [`super::Ring::await_readable`] is to be had.
    pub watches_descriptors: bool,
}

impl RingOptions {
    /// With the queues that serve a shard well.
    #[must_use]
    pub const fn new(lines_max: u32, tick: std::time::Duration) -> Self {
        Self {
            lines_max,
            tick,
            submissions: SUBMISSIONS,
            completions: COMPLETIONS,
            watches_descriptors: false,
        }
    }
}

/// A ring that runs, locked; `buffers`, and those of packets, are the kernel's from now on.
pub(super) fn build(
    options: RingOptions,
    buffers: &mut Buffers,
    packets: Option<&mut Buffers>,
) -> io::Result<IoUring> {
    let mut operations = OPERATIONS.to_vec();
    operations.extend(packets.iter().flat_map(|_| PACKET_OPERATIONS));
    operations.extend(options.watches_descriptors.then_some(WATCH_OPERATIONS).iter().flatten());
    let uring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_r_disabled()
        .setup_cqsize(options.completions)
        .dontfork()
        .build(options.submissions)?;
    check_operations(&uring, &operations)?;
    let submitter = uring.submitter();
    submitter.register_files_sparse(options.lines_max.clamp(1, FILES_MAX).min(descriptors_max()))?;
    buffers.register(&submitter)?;
    packets.map_or(Ok(()), |packets| packets.register(&submitter))?;
    submitter.register_iowq_max_workers(&mut KERNEL_THREADS.clone())?;
    let flags = squeue::Flags::FIXED_FILE | squeue::Flags::BUFFER_SELECT;
    let mut allowed: Vec<Restriction> =
        operations.iter().map(|(_, code)| Restriction::sqe_op(*code)).collect();
    allowed.push(Restriction::sqe_flags_allowed(flags.bits()));
    submitter.register_restrictions(&mut allowed)?;
    submitter.register_enable_rings()?;
    Ok(uring)
}

fn check_operations(uring: &IoUring, operations: &[(&str, u8)]) -> io::Result<()> {
    let mut probe = io_uring::Probe::new();
    uring.submitter().register_probe(&mut probe)?;
    match operations.iter().find(|(_, code)| !probe.is_supported(*code)) {
        Some(_) => Err(rustix::io::Errno::INVAL.into()),
        None => Ok(()),
    }
}

/// The kernel refuses a table of more direct descriptors than a process may have open files.
fn descriptors_max() -> u32 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(FILES_MAX).max(1)
}

/// Makes such a ring and gives it back.
///
/// # Errors
/// The kernel's refusal: ENOSYS (no io_uring), EPERM (seccomp or sysctl), ENOMEM (locked memory), EINVAL (too old).
pub fn probe() -> io::Result<()> {
    // Closed before its buffers: locals are dropped in the reverse order.
    let mut buffers = Buffers::new(LINES)?;
    let uring = build(RingOptions::new(8, std::time::Duration::ZERO), &mut buffers, None)?;
    // Of the three system calls the one that set-up does not need, and that may be forbidden alone.
    uring.submit().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: i32 = -rustix::io::Errno::ACCESS.raw_os_error();

    /// The result of an operation on a ring made by [`build`].
    fn result_of(entry: &squeue::Entry, watches_descriptors: bool, has_packets: bool) -> i32 {
        let mut buffers = Buffers::new(LINES).expect("memory");
        let mut packets = has_packets.then(|| Buffers::new(crate::uring::packets::SHAPE).expect("memory"));
        let options = RingOptions { watches_descriptors, ..RingOptions::new(8, std::time::Duration::ZERO) };
        let mut uring = build(options, &mut buffers, packets.as_mut()).expect("a ring");
        // SAFETY: the operations of these tests name no memory, or fail before it is looked at.
        unsafe { uring.submission().push(entry) }.expect("room");
        uring.submit_and_wait(1).expect("entered");
        uring.completion().next().expect("a completion").result()
    }

    #[test]
    fn an_operation_that_is_not_needed_is_refused() {
        let result_of = |entry| result_of(&entry, false, false);
        assert_eq!(result_of(opcode::Nop::new().build()), REFUSED);
        let drained = opcode::Close::new(io_uring::types::Fixed(1)).build().flags(squeue::Flags::ASYNC);
        assert_eq!(result_of(drained), REFUSED);
        // The canary: what is needed is let through, and fails for its own reason.
        let allowed = opcode::Close::new(io_uring::types::Fixed(1)).build();
        assert_ne!(result_of(allowed), REFUSED);
    }

    #[test]
    fn packets_and_watching_have_their_operations_where_they_are_used() {
        let nowhere = io_uring::types::Fixed(1);
        let watch = opcode::PollAdd::new(nowhere, 1).build();
        let receive = opcode::RecvMsgMulti::new(nowhere, std::ptr::null(), 1).build();
        let send = opcode::SendMsg::new(nowhere, std::ptr::null()).build();
        for (watches, has_packets) in [(false, false), (true, false), (false, true)] {
            assert_eq!(result_of(&watch, watches, has_packets) != REFUSED, watches);
            assert_eq!(result_of(&receive, watches, has_packets) != REFUSED, has_packets);
            assert_eq!(result_of(&send, watches, has_packets) != REFUSED, has_packets);
        }
    }
}
