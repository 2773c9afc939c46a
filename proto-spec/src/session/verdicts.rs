//! VERDICTS: one answer for many requests, each verdict bound to its request (SPEC §7.4).

use alloc::vec::Vec;

use mvt_lanes::{Engine, HmacKey, Job};

use crate::{
    Header, Reject,
    constants::{HEADER_BYTES, TAG_BYTES, VERDICT_BYTES, VERDICTS_MAX},
    header::{Flags, Kind},
    session::{ClientSession, Fresh, Outstanding, Waiting, exchange::Addressed},
    suite::{KeyRef, Tag, payload_of},
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

/// The verdicts of a VERDICTS that was opened: counter and status of each request, in order.
#[derive(Debug, Clone)]
pub struct Verdicts<'f>(core::slice::Iter<'f, [u8; VERDICT_BYTES]>);

impl<'f> Verdicts<'f> {
    #[inline]
    fn of(payload: &'f [u8]) -> Self {
        Self(payload.as_chunks().0.iter())
    }
}

impl Iterator for Verdicts<'_> {
    type Item = (u64, u16);

    #[inline]
    fn next(&mut self) -> Option<(u64, u16)> {
        let entry = u64::from_be_bytes(*self.0.next()?);
        Some((entry >> 16, entry as u16))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

/// The tags of the requests of one VERDICTS.
type Tags = [Tag; VERDICTS_MAX];

impl ClientSession {
    /// VERDICTS whose tags are checked together at most.
    pub const VERDICTS_TOGETHER_MAX: usize = 4;

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
    ) -> Result<Verdicts<'f>, Reject> {
        let mut tags = [Tag::default(); VERDICTS_MAX];
        let find = |counter| pending_of(counter).map(Into::into);
        let (first, count) = self.claim(header, frame, &mut tags, find)?;
        first.key.open_joint(frame, tags[..count].as_flattened())?;
        self.note_verified(header.generation);
        Ok(Verdicts::of(payload_of(frame)))
    }

    /// Opens the frames at the front of `received`, VERDICTS of this session in the order received, with their tags checked in
    /// lanes, as [`ClientSession::open_verdicts`] opens each: how many, at least one and at most
    /// [`ClientSession::VERDICTS_TOGETHER_MAX`]. `sink` gets the result of each in order. One that may answer again what one
    /// before it answers is left, so that it is judged when that is done.
    ///
    /// # Panics
    /// Without a frame.
    pub fn open_verdicts_together<'f, T>(
        &mut self,
        engine: Engine,
        outstanding: &Outstanding<T>,
        received: &[(Header, &'f [u8])],
        mut sink: impl FnMut(Result<Verdicts<'f>, Reject>),
    ) -> usize {
        const MOST: usize = ClientSession::VERDICTS_TOGETHER_MAX;
        let mut tags = [[Tag::default(); VERDICTS_MAX]; MOST];
        let mut claims = [const { Err(Reject::Field) }; MOST];
        let mut count = 0;
        let mut answered = None;
        for ((header, frame), (tags, claim)) in received.iter().zip(tags.iter_mut().zip(&mut claims)) {
            if answered.is_some_and(|answered| (header.generation, header.counter) <= answered) {
                break;
            }
            let last = Verdicts::of(payload_of(frame)).0.next_back();
            let last = last.map(|entry| (header.generation, u64::from_be_bytes(*entry) >> 16));
            answered = answered.max(last);
            let find = outstanding.of(header.generation);
            *claim = self.claim(header, frame, tags, find);
            count += 1;
        }
        assert!(count > 0, "there is a frame");
        let holds = joint_tags_hold(engine, &received[..count], &claims, &tags);
        for (((header, frame), claim), holds) in received[..count].iter().zip(claims).zip(holds) {
            sink(match (claim, holds) {
                (Err(reject), _) => Err(reject),
                (Ok(_), false) => Err(Reject::BadTag),
                (Ok(_), true) => {
                    self.note_verified(header.generation);
                    Ok(Verdicts::of(payload_of(frame)))
                }
            });
        }
        count
    }

    /// Judges everything of a VERDICTS but its tag: the first request it answers, under whose key that is, and how many they
    /// are, their tags in `tags`.
    ///
    /// # Errors
    /// `Field`.
    #[inline]
    fn claim<'p>(
        &self,
        header: &Header,
        frame: &[u8],
        tags: &mut Tags,
        pending_of: impl Fn(u64) -> Option<Waiting<'p>>,
    ) -> Result<(Waiting<'p>, usize), Reject> {
        let payload = payload_of(frame);
        let count = payload.len() / VERDICT_BYTES;
        let is_whole = payload.len() == count * VERDICT_BYTES && (2..=VERDICTS_MAX).contains(&count);
        if header.kind != Kind::Verdicts || !is_whole {
            return Err(Reject::Field);
        }
        let mut counter_next = header.counter;
        let mut first = None;
        for (tag, (counter, _)) in tags.iter_mut().zip(Verdicts::of(payload)) {
            let is_in_order = if first.is_none() { counter == counter_next } else { counter >= counter_next };
            let pending = pending_of(counter).filter(|pending| {
                is_in_order && pending.flags().joint() && self.names_the_request(*pending, header, counter)
            });
            let pending = pending.ok_or(Reject::Field)?;
            *tag = *pending.tag;
            counter_next = counter + 1;
            first = first.or(Some(pending));
        }
        first.map(|first| (first, count)).ok_or(Reject::Field)
    }
}

/// Whether the tag of each VERDICTS holds whose claim does: those of HS256 in lanes.
fn joint_tags_hold<const N: usize>(
    engine: Engine,
    received: &[(Header, &[u8])],
    claims: &[Result<(Waiting<'_>, usize), Reject>; N],
    tags: &[Tags; N],
) -> [bool; N] {
    let blank = HmacKey::blank();
    let mut jobs = [Job::new(&blank, &[]); N];
    let (mut made, mut lanes, mut lane_count) = ([Tag::default(); N], [0; N], 0);
    let mut holds = [false; N];
    for (number, (((_, frame), claim), tags)) in received.iter().zip(claims).zip(tags).enumerate() {
        let Ok((first, count)) = claim else { continue };
        let tags = tags[..*count].as_flattened();
        if let KeyRef::Hs256(key) = first.key {
            let (signed, tag) = frame.split_last_chunk().expect("a frame ends with its tag");
            (jobs[lane_count], made[lane_count]) = (Job::joined(key, signed, tags), *tag);
            lanes[lane_count] = number;
            lane_count += 1;
        } else {
            holds[number] = first.key.open_joint(frame, tags).is_ok();
        }
    }
    let mut of_lanes = [false; N];
    engine.verify(&jobs[..lane_count], &made[..lane_count], &mut of_lanes[..lane_count]);
    for (number, holding) in lanes[..lane_count].iter().zip(of_lanes) {
        holds[*number] = holding;
    }
    holds
}
