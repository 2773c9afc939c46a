//! An established session: the server's half, the client's half, and the exchange between them (SPEC §7).

mod batch;
mod client;
mod exchange;
mod many;
mod outstanding;
mod renewal;
mod server;
mod state;
mod steps;
mod verdicts;

pub use batch::{BATCH_REQUESTS_MAX, Batch, Place};
pub use client::{Answer, ClientSession, Granted, Pending, SealError, Told};
pub use exchange::{Answering, Exchange};
pub use many::{Received, Request, Sealer};
pub use outstanding::{Outstanding, Waiting};
pub use renewal::{Agreed, Agreement, BadTags, Current, Offering, Rekey, Renewal, Shared};
pub use server::ServerSession;
pub use state::{STATE_BYTES_HOT, SessionState};
pub use steps::{Authentic, Fresh, Refused};
pub use verdicts::Verdicts;

use crate::{
    Reject,
    constants::{FUTURE_BOUND_MS, PAST_BOUND_MS},
};

/// Whether a request's timestamp is in time at `now_ms` on the server's timescale (§6.3).
///
/// # Errors
/// `Stale`.
#[inline]
pub const fn in_time(timestamp: u64, now_ms: u64) -> Result<(), Reject> {
    if timestamp + PAST_BOUND_MS >= now_ms && timestamp <= now_ms + FUTURE_BOUND_MS {
        Ok(())
    } else {
        Err(Reject::Stale)
    }
}
