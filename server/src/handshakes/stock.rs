//! Ephemeral key pairs made in advance, so that no shard makes one for an OFFER (SPEC §11.2.4).
//!
//! A pair costs a multiplication on the curve. The stock also paces renewals: whoever finds it empty offers later.

use std::sync::Arc;

use crossbeam::{
    channel::{Receiver, Sender, bounded},
    queue::ArrayQueue,
};
use mvt_proto::agreement::Ephemeral;

use crate::{handshakes::fresh_secret, limits::EPHEMERAL_COUNT_MAX};

#[derive(Debug)]
pub(super) struct Stock {
    /// On the heap: a queue leaves behind what is taken out of it.
    pairs: ArrayQueue<Arc<Ephemeral>>,
    /// At most one letter that says the stock runs low.
    low: Sender<()>,
}

impl Stock {
    /// An empty stock, and where the pool hears that it is to be filled.
    pub(super) fn new() -> (Self, Receiver<()>) {
        let (low, is_low) = bounded(1);
        let stock = Self { pairs: ArrayQueue::new(EPHEMERAL_COUNT_MAX), low };
        stock.ask();
        (stock, is_low)
    }

    pub(super) fn take(&self) -> Option<Arc<Ephemeral>> {
        let pair = self.pairs.pop();
        if self.pairs.len() * 2 < EPHEMERAL_COUNT_MAX {
            self.ask();
        }
        pair
    }

    fn ask(&self) {
        // A full channel means it is known.
        let _ = self.low.try_send(());
    }

    /// Makes a pair; whether there was room for it.
    pub(super) fn add_one(&self) -> bool {
        !self.pairs.is_full() && self.pairs.push(Arc::new(Ephemeral::new(fresh_secret()))).is_ok()
    }
}
