//! Looking for work before sleeping: it saves the wake-up, and costs the core.

use std::{
    io,
    time::{Duration, Instant},
};

use mvt_sys::uring::{Ring, Wait};

/// Vain attempts in a row after which it stops trying for a while.
const MISSES_MAX: u32 = 8;
/// Sleeps before it tries again.
const RESTS: u32 = 64;
/// Looks between two looks at the clock.
const LOOKS: u32 = 32;

/// Bounded by its limit each time, and adaptive: where work never comes in time, it hardly tries.
#[derive(Debug)]
pub(super) struct Spin {
    limit: Duration,
    misses: u32,
    rests: u32,
}

impl Spin {
    /// Never spins on a single core: what it waits for could not run.
    pub(super) fn new(limit: Duration) -> Self {
        let is_alone = mvt_sys::affinity::allowed_cores().len() < 2;
        Self { limit: if is_alone { Duration::ZERO } else { limit }, misses: 0, rests: 0 }
    }

    /// Submits, and looks for completions without sleeping; false when there are none, or when it did not look.
    pub(super) fn finds_work(&mut self, ring: &mut Ring) -> io::Result<bool> {
        if self.limit.is_zero() {
            return Ok(false);
        }
        if self.rests > 0 {
            self.rests -= 1;
            return Ok(false);
        }
        ring.enter(Wait::Poll)?;
        let started = Instant::now();
        while !ring.has_completions() {
            if started.elapsed() >= self.limit {
                self.miss();
                return Ok(false);
            }
            (0..LOOKS).take_while(|_| !ring.has_news()).for_each(|_| std::hint::spin_loop());
            // The flag that tells of deferred work may be stale, and then stays until there is some: nothing but asking tells,
            // and it is no reason to end the search.
            if ring.has_news() {
                ring.enter(Wait::Poll)?;
            }
        }
        self.misses = 0;
        Ok(true)
    }

    fn miss(&mut self) {
        self.misses += 1;
        if self.misses >= MISSES_MAX {
            self.misses = 0;
            self.rests = RESTS;
        }
    }
}
