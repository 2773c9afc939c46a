//! Ephemeral key pairs made in advance, so that no shard makes one for an OFFER (SPEC §11.2.4).
//!
//! A pair costs a multiplication on the curve. The stock also paces renewals: whoever finds it empty offers later.

use crossbeam::queue::ArrayQueue;
use mvt_proto::agreement::Ephemeral;

use crate::{handshakes::fresh_secret, limits::EPHEMERAL_COUNT_MAX};

/// Boxed: a queue leaves behind what is taken out of it.
#[derive(Debug)]
pub(super) struct Stock(ArrayQueue<Box<Ephemeral>>);

impl Stock {
    /// An empty stock.
    pub(super) fn new() -> Self {
        Self(ArrayQueue::new(EPHEMERAL_COUNT_MAX))
    }

    pub(super) fn take(&self) -> Option<Box<Ephemeral>> {
        self.0.pop()
    }

    /// Whether it is to be filled.
    pub(super) fn is_low(&self) -> bool {
        self.0.len() * 2 < EPHEMERAL_COUNT_MAX
    }

    pub(super) fn fill(&self) {
        while !self.0.is_full() {
            let _ = self.0.push(Box::new(Ephemeral::new(fresh_secret())));
        }
    }
}
