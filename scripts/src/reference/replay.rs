//! Replay window (§8), as a set of every counter ever accepted.

use super::reject::Reject;
use std::collections::BTreeSet;

/// The window of one generation.
#[derive(Debug, Clone)]
pub struct Window {
    bits: u64,
    top: u64,
    accepted: BTreeSet<u64>,
}

impl Window {
    /// An empty window over `bits` counters.
    pub fn new(bits: u64) -> Self {
        assert!(window_bits_valid(bits), "§2 bounds the window");
        Self { bits, top: 0, accepted: BTreeSet::new() }
    }

    /// One past the highest accepted counter.
    pub fn top(&self) -> u64 {
        self.top
    }

    /// Tests a counter.
    pub fn test(&self, counter: u64) -> Result<(), Reject> {
        if counter < self.top {
            if self.top - counter > self.bits {
                return Err(Reject::TooOld);
            }
            if self.accepted.contains(&counter) {
                return Err(Reject::Replay);
            }
        }
        Ok(())
    }

    /// Whether no counter up to `last` would be accepted.
    pub fn is_closed(&self, last: u64) -> bool {
        (0..=last).all(|counter| self.test(counter).is_err())
    }

    /// Tests a counter, and sets it if it is fresh.
    pub fn accept(&mut self, counter: u64) -> Result<(), Reject> {
        self.test(counter)?;
        self.accepted.insert(counter);
        self.top = self.top.max(counter + 1);
        Ok(())
    }
}

/// 64 to 8192, a power of two (§2).
pub fn window_bits_valid(bits: u64) -> bool {
    (64..=8192).contains(&bits) && bits.is_power_of_two()
}
