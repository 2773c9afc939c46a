//! VERDICTS: one answer for many requests, each verdict bound to its request (SPEC §7.4).

use alloc::vec::Vec;

use crate::{
    Header, Reject,
    constants::{HEADER_BYTES, TAG_BYTES, VERDICT_BYTES, VERDICTS_MAX},
    header::{Flags, Kind},
    session::{ClientSession, Fresh, Waiting, exchange::Addressed},
    suite::{Tag, payload_of},
};

/// A VERDICTS that is being written at the end of the answers of a batch.
#[derive(Debug)]
pub(super) struct Growing {
    /// Where it begins among the answers.
    pub(super) start: usize,
    /// Where the tag of its first request is among the tags of the batch.
    pub(super) tags_start: usize,
    /// The number of its first request, under whose key it is sealed.
    pub(super) first: u16,
    addressed: Addressed,
    first_status: u16,
    counter_last: u64,
    count: usize,
}

impl Growing {
    /// Begins with request number `first`, at the end of `answers`.
    pub(super) fn begin(
        first: u16,
        fresh: &Fresh,
        status: u16,
        tags_start: usize,
        answers: &mut Vec<u8>,
    ) -> Self {
        let (start, addressed) = (answers.len(), fresh.addressed());
        answers.extend_from_slice(&[0; HEADER_BYTES]);
        let counter_last = addressed.counter;
        let mut growing =
            Self { start, tags_start, first, addressed, first_status: status, counter_last, count: 0 };
        growing.add(counter_last, status, answers);
        growing
    }

    /// Whether the request `next` may be answered in the same frame (§7.4.1, §7.4.2).
    #[inline]
    pub(super) const fn takes(&self, next: &Fresh) -> bool {
        let first = &self.addressed;
        next.joint
            && first.key_id == next.key_id
            && first.generation == next.generation
            && self.counter_last < next.counter
            && self.count < VERDICTS_MAX
    }

    /// Adds the entry of one more request.
    #[inline]
    pub(super) fn add(&mut self, counter: u64, status: u16, answers: &mut Vec<u8>) {
        answers.extend_from_slice(&(counter << 16 | u64::from(status)).to_be_bytes());
        self.counter_last = counter;
        self.count += 1;
    }

    /// Writes the header and room for the tag. A single entry becomes the RESP it stands for.
    pub(super) fn end(&self, now_ms: u64, answers: &mut Vec<u8>) {
        let is_single = self.count == 1;
        let (kind, flags, op, payload_bytes) = if is_single {
            (Kind::Resp, self.addressed.suite.flags(), self.first_status, 0)
        } else {
            (Kind::Verdicts, Flags(0), 0, self.count * VERDICT_BYTES)
        };
        let Addressed { key_id, generation, counter, .. } = self.addressed;
        let header =
            Header { kind, flags, key_id, generation, op, counter, timestamp: now_ms, payload_bytes };
        answers.truncate(self.start + HEADER_BYTES + payload_bytes);
        answers[self.start..self.start + HEADER_BYTES].copy_from_slice(&header.to_bytes());
        answers.extend_from_slice(&[0; TAG_BYTES]);
    }
}

/// The counters and statuses of a payload, in order.
fn entries(payload: &[u8]) -> impl Iterator<Item = (u64, u16)> + '_ {
    payload.as_chunks::<VERDICT_BYTES>().0.iter().map(|bytes| {
        let entry = u64::from_be_bytes(*bytes);
        (entry >> 16, entry as u16)
    })
}

impl ClientSession {
    /// Opens `frame`, a VERDICTS whose header was parsed, and gives the counter and status of every request it answers.
    /// `pending_of` finds outstanding requests by counter.
    ///
    /// # Errors
    /// `Field` or `BadTag`: nothing of it is believed, and its requests go on waiting (§7.4.2).
    pub fn open_verdicts<'f, 'p, P: Into<Waiting<'p>>>(
        &mut self,
        header: &Header,
        frame: &'f [u8],
        pending_of: impl Fn(u64) -> Option<P>,
    ) -> Result<impl Iterator<Item = (u64, u16)> + 'f, Reject> {
        let payload = payload_of(frame);
        let count = payload.len() / VERDICT_BYTES;
        let is_whole = payload.len() == count * VERDICT_BYTES && (2..=VERDICTS_MAX).contains(&count);
        if header.kind != Kind::Verdicts || !is_whole {
            return Err(Reject::Field);
        }
        let mut tags = [Tag::default(); VERDICTS_MAX];
        let mut counter_next = header.counter;
        let mut first = None;
        for (tag, (counter, _)) in tags.iter_mut().zip(entries(payload)) {
            let is_in_order = if first.is_none() { counter == counter_next } else { counter >= counter_next };
            let pending = pending_of(counter).map(Into::into).filter(|pending: &Waiting<'_>| {
                is_in_order && pending.flags().joint() && self.names_the_request(*pending, header, counter)
            });
            let pending = pending.ok_or(Reject::Field)?;
            *tag = *pending.tag;
            counter_next = counter + 1;
            first = first.or(Some(pending));
        }
        let first = first.ok_or(Reject::Field)?;
        first.key.open_joint(frame, tags[..count].as_flattened())?;
        self.note_verified(header.generation);
        Ok(entries(payload))
    }
}
