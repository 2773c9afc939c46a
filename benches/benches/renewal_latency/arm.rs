//! What is compared: a population of sessions, by when their keys renew.

use mvt_proto::Limits;

use crate::{event::Event, rig::ORIGIN_MS};

/// When the keys of a session began, and when they are renewed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Life {
    /// None renews.
    Steady,
    /// Each renews once in so many ms, all of them evenly spread over that time.
    Renewing(u32),
}

/// A column of the report.
#[derive(Debug, Clone, Copy)]
pub struct Arm {
    pub name: &'static str,
    pub life: Life,
    pub event: Event,
    /// Whether there is a pool that computes key agreements; if not, the shard does all of them.
    pub has_pool: bool,
    /// Sessions beside those that send: they are there to be revoked.
    pub idle: usize,
}

impl Life {
    pub fn limits(&self) -> Limits {
        let renew_after_ms = match *self {
            Self::Steady => Limits::DEFAULT.renew_after_ms,
            Self::Renewing(every_ms) => every_ms,
        };
        Limits {
            renew_after_ms,
            renew_after_requests: u32::MAX - 1,
            reject_after_requests: u32::MAX,
            ..Limits::DEFAULT
        }
    }

    /// Generation of session `number` of `count`, and when it began, ms. Of each eight the next renewal of one has a Diffie-Hellman.
    pub fn begun(&self, number: u64, count: u64) -> (u16, u64) {
        // Not in the order of the table.
        let turn = number.wrapping_mul(0x9e37_79b9) % count;
        let age_ms = match *self {
            // The server renews a twentieth earlier, on average.
            Self::Renewing(every_ms) => u64::from(every_ms) * 19 / 20 * turn / count,
            Self::Steady => 0,
        };
        // Not in generation 0, whose first use has a deadline.
        (8 + (number % 8) as u16, ORIGIN_MS - age_ms)
    }
}
