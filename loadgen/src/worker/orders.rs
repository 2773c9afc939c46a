//! What passes between a worker and the run: orders, events, the harvest.

use std::{net::IpAddr, sync::atomic::AtomicBool};

use crate::{
    clock::Clock, io::Backend, progress::Live, schedule::Schedule, tally::Tally, target::Target,
    trouble::StartError, workload::Workload,
};

/// What a worker is told at the start.
#[derive(Debug)]
pub struct Orders<'a> {
    /// Which of the workers this is.
    pub index: usize,
    /// The CPU to stay on.
    pub pin: Option<usize>,
    /// Time, the same for all.
    pub clock: Clock,
    /// To whom.
    pub target: &'a Target,
    /// What.
    pub workload: &'a Workload,
    /// When.
    pub schedule: &'a Schedule,
    /// Measured requests to send; `u64::MAX` without a bound.
    pub budget: u64,
    /// How bytes are moved.
    pub backend: Backend,
    /// Never sleep while requests are sent.
    pub spin: bool,
    /// Sleep until the next request is due, however soon.
    pub doze: bool,
    /// Set to end the measured interval early.
    pub stop: &'a AtomicBool,
    /// Where the progress line looks.
    pub live: &'a Live,
}

impl Orders<'_> {
    /// The number among all connections of this worker's `local`-th.
    #[must_use]
    pub const fn of_all(&self, local: usize) -> usize {
        local * self.workload.threads + self.index
    }
}

/// What a worker tells while it runs.
#[derive(Debug)]
pub enum Event {
    /// Every connection is logged in, from this address; or not.
    Started(Result<IpAddr, StartError>),
    /// The measured interval ended for this worker, at this time.
    IntervalOver(u64),
}

/// What a worker leaves.
#[derive(Debug)]
pub struct Harvest {
    /// What it counted.
    pub tally: Tally,
    /// CPU time it used in the measured interval, ns.
    pub cpu_ns: u64,
    /// Time in the measured interval that went into turns which had something to do, ns.
    pub busy_ns: u64,
}
