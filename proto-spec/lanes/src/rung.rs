//! Group widths of an engine, widest first, with the rule for choosing one.

use crate::{HmacKey, MAC_BYTES, group, group::RUN_GROUPS, job::Block, job::Job, portable::Portable};
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

    /// Jobs of a run.
    pub(crate) const fn run_lanes(self) -> usize {
        self.lanes() * RUN_GROUPS
    }

    /// HMAC of `run_lanes()` jobs of one block.
    #[inline]
    pub(crate) fn mac_run<'a>(
        self,
        prepare: impl Fn(usize, &mut Block) -> &'a HmacKey,
        sink: impl FnMut(usize, &[u8; MAC_BYTES]),
    ) {
        match self {
            Self::Portable(kernel) => group::mac_run::<1, RUN_GROUPS, _>(kernel, prepare, sink),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi1(kernel) => group::mac_run::<1, RUN_GROUPS, _>(kernel, prepare, sink),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi2(kernel) => group::mac_run::<2, RUN_GROUPS, _>(kernel, prepare, sink),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel) => group::mac_run::<8, RUN_GROUPS, _>(kernel, prepare, sink),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(kernel) => group::mac_run::<16, RUN_GROUPS, _>(kernel, prepare, sink),
        }
    }

    /// Keys of `run_lanes()` jobs of one block.
    #[inline]
    pub(crate) fn derive_run<'a>(
        self,
        prepare: impl Fn(usize, &mut Block) -> &'a HmacKey,
        out: &mut [HmacKey],
    ) {
        match self {
            Self::Portable(kernel) => group::derive_run::<1, RUN_GROUPS, _>(kernel, prepare, out),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi1(kernel) => group::derive_run::<1, RUN_GROUPS, _>(kernel, prepare, out),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi2(kernel) => group::derive_run::<2, RUN_GROUPS, _>(kernel, prepare, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel) => group::derive_run::<8, RUN_GROUPS, _>(kernel, prepare, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(kernel) => group::derive_run::<16, RUN_GROUPS, _>(kernel, prepare, out),
        }
    }

    /// Keys of `out.len() <= lanes()` jobs.
    #[inline]
    pub(crate) fn derive<'a>(self, job_of: impl Fn(usize) -> Job<'a>, out: &mut [HmacKey]) {
        match self {
            Self::Portable(kernel) => group::derive::<1, _>(kernel, job_of, out),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi1(kernel) => group::derive::<1, _>(kernel, job_of, out),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi2(kernel) => group::derive::<2, _>(kernel, job_of, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel) => group::derive::<8, _>(kernel, job_of, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(kernel) => group::derive::<16, _>(kernel, job_of, out),
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

    /// The rung for the next of `remaining` jobs of equal length, with how many it takes.
    pub(crate) fn pick_equal(&self, remaining: usize) -> (Rung, usize) {
        self.pick(remaining, |_| 0)
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
