//! Group widths of an engine, widest first, with the rule for choosing one.

use crate::{HmacKey, MAC_BYTES, group, group::GROUPS_MAX, job::Block, job::Job, portable::Portable};
#[cfg(target_arch = "x86_64")]
use crate::{avx2::Avx2, avx512::Avx512, shani::ShaNi};

/// One kernel at one width.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rung {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    ShaNi1(ShaNi),
    #[cfg(target_arch = "x86_64")]
    ShaNi2(ShaNi),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Rung {
    const fn lanes(self) -> usize {
        match self {
            Self::Portable(_) => 1,
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi1(_) => 1,
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi2(_) => 2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => 8,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => 16,
        }
    }

    /// HMAC of `count <= lanes()` jobs.
    #[inline]
    pub(crate) fn mac<'a>(
        self,
        count: usize,
        job_of: impl Fn(usize) -> Job<'a>,
        sink: impl FnMut(usize, &[u8; MAC_BYTES]),
    ) {
        match self {
            Self::Portable(kernel) => group::mac::<1, _>(kernel, count, job_of, sink),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi1(kernel) => group::mac::<1, _>(kernel, count, job_of, sink),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi2(kernel) => group::mac::<2, _>(kernel, count, job_of, sink),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel) => group::mac::<8, _>(kernel, count, job_of, sink),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(kernel) => group::mac::<16, _>(kernel, count, job_of, sink),
        }
    }

    /// HMAC of `count <= lanes() * GROUPS_MAX` messages of one block, which `prepare` writes into zeros, giving the key.
    #[inline]
    pub(crate) fn mac_short<'a>(
        self,
        count: usize,
        prepare: impl Fn(usize, &mut Block) -> &'a HmacKey,
        sink: impl FnMut(usize, &[u8; MAC_BYTES]),
    ) {
        match self {
            Self::Portable(kernel) => group::mac_short::<1, _>(kernel, count, prepare, sink),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi1(kernel) => group::mac_short::<1, _>(kernel, count, prepare, sink),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi2(kernel) => group::mac_short::<2, _>(kernel, count, prepare, sink),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel) => group::mac_short::<8, _>(kernel, count, prepare, sink),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(kernel) => group::mac_short::<16, _>(kernel, count, prepare, sink),
        }
    }

    /// The same for `out.len()` messages, each output made a key.
    #[inline]
    pub(crate) fn derive<'a>(self, prepare: impl Fn(usize, &mut Block) -> &'a HmacKey, out: &mut [HmacKey]) {
        match self {
            Self::Portable(kernel) => group::derive::<1, _>(kernel, prepare, out),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi1(kernel) => group::derive::<1, _>(kernel, prepare, out),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi2(kernel) => group::derive::<2, _>(kernel, prepare, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel) => group::derive::<8, _>(kernel, prepare, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(kernel) => group::derive::<16, _>(kernel, prepare, out),
        }
    }
}

/// A rung with the lanes that must be busy before its group beats the rungs below it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) rung: Rung,
    /// A group whose busy lane-steps are fewer than this times its steps goes to a narrower rung.
    pub(crate) lanes_min: u64,
}

/// Widths of an engine, widest first; the last one takes a single lane and always pays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ladder {
    steps: [Step; Self::STEPS_MAX],
}

impl Ladder {
    const STEPS_MAX: usize = 3;

    /// A ladder of `steps`; the last is repeated to fill the places.
    pub(crate) const fn new(steps: &[Step]) -> Self {
        let last = steps[steps.len() - 1];
        assert!(last.rung.lanes() == 1, "a single job must find a rung");
        let mut filled = [last; Self::STEPS_MAX];
        let mut at = 0;
        while at < steps.len() {
            filled[at] = steps[at];
            at += 1;
        }
        Self { steps: filled }
    }

    /// The rung for the next of `remaining` jobs of one block, with how many it takes: several full groups, or one.
    pub(crate) fn pick_short(&self, remaining: usize) -> (Rung, usize) {
        let (rung, take) = self.pick(remaining, |_| 1);
        let groups = (remaining / rung.lanes()).min(GROUPS_MAX);
        (rung, take.max(groups * rung.lanes()))
    }

    /// The rung for the next of `remaining` jobs, whose block counts fall with their position.
    pub(crate) fn pick(&self, remaining: usize, blocks_of: impl Fn(usize) -> u64) -> (Rung, usize) {
        // One more step than blocks: the outer hash.
        let steps = blocks_of(0) + 1;
        for step in &self.steps {
            let take = step.rung.lanes().min(remaining);
            let busy: u64 = (0..take).map(|lane| blocks_of(lane) + 1).sum();
            if busy >= step.lanes_min * steps {
                return (step.rung, take);
            }
        }
        (self.steps[Self::STEPS_MAX - 1].rung, 1)
    }
}
