//! Requests of a peer's protocol, which are answered in order.

use std::collections::VecDeque;

use super::{
    Arrival,
    outgoing::{self, Outgoing, Sent},
};
use crate::{
    peer::exchange::{Cut, Exchange},
    tally::Tally,
    trouble::Trouble,
};

/// What waits on one connection to a peer, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    waiting: VecDeque<Sent>,
    /// Those at the end whose write the kernel has not seen.
    unstamped_count: usize,
    held: bool,
}

impl Pipeline {
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) const fn can_seal(&self) -> bool {
        !self.held
    }

    pub(super) const fn hold(&mut self, held: bool) {
        self.held = held;
    }

    pub(super) fn send(
        &mut self,
        exchange: &dyn Exchange,
        outgoing: &mut Outgoing<'_>,
        out: &mut Vec<u8>,
    ) -> usize {
        let mut count = 0;
        while out.len() < outgoing.bytes_max
            && let Some(sent) = outgoing.next()
        {
            out.extend_from_slice(exchange.request());
            self.waiting.push_back(sent);
            count += 1;
        }
        self.unstamped_count += count;
        count
    }

    pub(super) fn stamp(&mut self, now_ns: u64, tally: &mut Tally) {
        let count = std::mem::take(&mut self.unstamped_count);
        outgoing::stamp(self.waiting.iter().rev().take(count), now_ns, tally);
    }

    pub(super) fn read(
        &mut self,
        exchange: &dyn Exchange,
        bytes: &[u8],
        arrival: Arrival,
        tally: &mut Tally,
    ) -> Result<usize, Trouble> {
        let mut start = 0;
        loop {
            let (length, is_right) = match exchange.cut(&bytes[start..]) {
                Cut::Right(length) => (length, true),
                Cut::Wrong(length) => (length, false),
                Cut::Partial => return Ok(start),
                Cut::Malformed => return Err(Trouble::Malformed),
            };
            start += length;
            // Nothing says which request is answered, so no later answer means anything.
            let sent = self.waiting.pop_front().ok_or(Trouble::Unsolicited)?;
            if is_right {
                tally.conclude(1, sent.measured, sent.from_ns.get(), arrival.at_ns, arrival.phase);
            } else {
                tally.failed_verifications += 1;
                tally.unanswered += u64::from(sent.measured);
            }
        }
    }

    pub(super) fn abandon(&mut self, tally: &mut Tally) {
        tally.unanswered += self.waiting.drain(..).filter(|sent| sent.measured).count() as u64;
    }
}
