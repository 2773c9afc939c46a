//! How many packets at once the kernel is given to cut apart.

use rustix::io::Errno;

/// How long packets go one by one after some could not be cut apart; twice as long each time.
const PAUSE_MS: u64 = 1_000;
/// No longer than this: trying again costs one transmission.
const PAUSE_MS_MAX: u64 = 600_000;

/// Why packets were not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Each is larger than the network takes.
    TooLarge,
    /// The network does not cut them apart.
    NotCut,
    /// Anything else: they are as if they were lost.
    Other,
}

impl Refusal {
    /// Of packets that were to be cut apart, or of one.
    pub(super) const fn of(errno: Option<Errno>, is_segmented: bool) -> Self {
        match errno {
            Some(Errno::MSGSIZE) => Self::TooLarge,
            // On older kernels this is what is said of the size of such packets; they have a checksum and are few, which are its other
            // reasons.
            Some(Errno::INVAL) if is_segmented => Self::TooLarge,
            Some(Errno::IO) if is_segmented => Self::NotCut,
            _ => Self::Other,
        }
    }
}

/// What a socket may be given at once: many packets, but after a refusal one, for a while. A refusal is of one network, and packets of
/// the next client may take another.
#[derive(Debug)]
pub(super) struct Segments {
    count_max: usize,
    pause_ms: u64,
    alone_until_ms: Option<u64>,
}

impl Segments {
    pub(super) const fn new(count_max: usize) -> Self {
        Self { count_max, pause_ms: PAUSE_MS, alone_until_ms: None }
    }

    /// Packets of one transmission.
    pub(super) const fn count_max(&self) -> usize {
        if self.alone_until_ms.is_some() { 1 } else { self.count_max }
    }

    /// Packets could not be cut apart. For how long, in ms, none is to be from now on; `None` where that was known: they were
    /// queued before.
    pub(super) fn note_refused(&mut self, now_ms: u64) -> Option<u64> {
        if self.count_max() == 1 {
            return None;
        }
        let pause_ms = self.pause_ms;
        self.alone_until_ms = Some(now_ms + pause_ms);
        self.pause_ms = (2 * pause_ms).min(PAUSE_MS_MAX);
        Some(pause_ms)
    }

    /// Takes note that it is `now_ms`.
    pub(super) fn pass(&mut self, now_ms: u64) {
        self.alone_until_ms.take_if(|then| *then <= now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_not_for_ever_and_the_next_lasts_longer() {
        let mut segments = Segments::new(32);
        let mut now_ms = 5_000;
        for pause_ms in [1_000, 2_000, 4_000, 8_000] {
            assert_eq!(segments.count_max(), 32);
            assert_eq!(segments.note_refused(now_ms), Some(pause_ms));
            assert_eq!(segments.note_refused(now_ms + 1), None, "one that was queued before");
            segments.pass(now_ms + pause_ms - 1);
            assert_eq!(segments.count_max(), 1);
            now_ms += pause_ms;
            segments.pass(now_ms);
        }
        for _ in 0..20 {
            let pause_ms = segments.note_refused(now_ms).expect("tried again");
            assert!(pause_ms <= PAUSE_MS_MAX);
            now_ms += pause_ms;
            segments.pass(now_ms);
        }
    }

    /// One odd packet says nothing of all others.
    #[test]
    fn a_refusal_of_the_size_is_not_one_of_the_kind() {
        let of = |errno, is_segmented| Refusal::of(Some(errno), is_segmented);
        assert_eq!(of(Errno::INVAL, true), Refusal::TooLarge);
        assert_eq!(
            (of(Errno::MSGSIZE, true), of(Errno::MSGSIZE, false)),
            (Refusal::TooLarge, Refusal::TooLarge)
        );
        assert_eq!(of(Errno::IO, true), Refusal::NotCut);
        for (errno, is_segmented) in [(Errno::IO, false), (Errno::INVAL, false), (Errno::PERM, true)] {
            assert_eq!(of(errno, is_segmented), Refusal::Other, "{errno:?}");
        }
        assert_eq!(Refusal::of(None, true), Refusal::Other);
    }

    #[test]
    fn where_the_kernel_cuts_nothing_there_is_nothing_to_pause() {
        let mut segments = Segments::new(1);
        assert_eq!((segments.note_refused(7), segments.count_max()), (None, 1));
    }
}
