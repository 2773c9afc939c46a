//! The limits of a generation, granted at login (SPEC §2, §10.2).

use crate::{
    Reject,
    constants::{REPLAY_WINDOW_BITS_MAX, REPLAY_WINDOW_BITS_MIN},
};

/// Soft and hard limits of one generation, and the width of its replay window.
///
/// Invariants (by [`Limits::validate`]): `0 < renew_after_requests ≤ reject_after_requests`,
/// `0 < renew_after_ms ≤ reject_after_ms`, the window a power of two in 64..=8192.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Soft limit: renewal is due at this counter.
    pub renew_after_requests: u32,
    /// Hard limit: counters at or above are refused.
    pub reject_after_requests: u32,
    /// Soft limit in time since the generation began, ms.
    pub renew_after_ms: u32,
    /// Hard limit in time since the generation began, ms.
    pub reject_after_ms: u32,
    /// Counters the replay window covers.
    pub replay_window_bits: u16,
}

impl Limits {
    /// The defaults of §2.
    pub const DEFAULT: Self = Self {
        renew_after_requests: 1 << 20,
        reject_after_requests: 1 << 21,
        renew_after_ms: 600_000,
        reject_after_ms: 900_000,
        replay_window_bits: 1024,
    };

    /// The same limits if their invariants hold.
    ///
    /// # Errors
    /// `Field` (§10.2.1).
    pub fn validate(self) -> Result<Self, Reject> {
        let window = self.replay_window_bits;
        let holds = 0 < self.renew_after_requests
            && self.renew_after_requests <= self.reject_after_requests
            && 0 < self.renew_after_ms
            && self.renew_after_ms <= self.reject_after_ms
            && window.is_power_of_two()
            && (REPLAY_WINDOW_BITS_MIN..=REPLAY_WINDOW_BITS_MAX).contains(&window);
        if holds { Ok(self) } else { Err(Reject::Field) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
