//! Many requests opened at once, and many answers sealed at once (SPEC §7.2.7).
//!
//! What depends on one frame alone, its request key and its tag, is computed for all of them in lanes; what depends on
//! the order, the replay window and the execution, stays with the caller, frame by frame: [`Batch::push`] what
//! [`SessionState::check`] made, [`Batch::open`] all, [`Batch::take`] each in the order received, commit and answer it,
//! [`Batch::seal`] all answers.

use alloc::vec::Vec;
use core::ops::Range;

use mvt_lanes::{Engine, HmacKey};

use crate::{
    Reject, Suite,
    constants::PAYLOAD_BYTES_MAX,
    header::Kind,
    session::{Authentic, Exchange, Fresh, Refused, SessionState, verdicts::Growing},
    slot::request_key_input,
    suite::{Tag, gcm256, hs256, tag_of},
};

/// Requests of one batch: their keys stay in the first-level cache until they are answered.
pub const BATCH_REQUESTS_MAX: usize = 128;

/// Which request of a batch: its key and all that its answer needs stand there.
#[derive(Debug)]
pub struct Place(u16);

/// One request between its check and its answer: a cache line.
#[derive(Debug)]
struct Row {
    fresh: Fresh,
    tag: Tag,
    start: u32,
    end: u32,
    /// Among the rows of its suite.
    place: u16,
    is_taken: bool,
    /// Index of the next slot's key, which no session holds.
    next_key: Option<u16>,
}

const _: () = assert!(size_of::<Row>() <= 64);

/// An answer written and not sealed yet: where it begins and ends.
#[derive(Debug)]
struct Unsealed {
    start: u32,
    end: u32,
    place: u16,
    /// Of the requests it is bound to, among the tags of the batch.
    tags: Range<u32>,
    is_joint: bool,
}

/// Up to [`BATCH_REQUESTS_MAX`] requests and their answers. Its memory is reused; request keys are wiped by
/// [`Batch::seal`] (§5.3.2).
#[derive(Debug)]
pub struct Batch {
    engine: Engine,
    rows: Vec<Row>,
    next_keys: Vec<HmacKey>,
    hs256: hs256::Lanes,
    gcm256: gcm256::Lanes,
    /// Rows of each suite, in order.
    hs256_rows: Vec<u16>,
    gcm256_rows: Vec<u16>,
    hs256_answers: Vec<Unsealed>,
    gcm256_answers: Vec<Unsealed>,
    /// Of answered requests, in the order of their answers.
    tags: Vec<Tag>,
    /// The VERDICTS at the end of the answers, if it may still grow.
    growing: Option<Growing>,
}

impl Batch {
    /// An empty batch that computes with `engine`.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            rows: Vec::with_capacity(BATCH_REQUESTS_MAX),
            next_keys: Vec::with_capacity(BATCH_REQUESTS_MAX),
            hs256: hs256::Lanes::new(BATCH_REQUESTS_MAX),
            gcm256: gcm256::Lanes::new(BATCH_REQUESTS_MAX),
            hs256_rows: Vec::with_capacity(BATCH_REQUESTS_MAX),
            gcm256_rows: Vec::with_capacity(BATCH_REQUESTS_MAX),
            hs256_answers: Vec::with_capacity(BATCH_REQUESTS_MAX),
            gcm256_answers: Vec::with_capacity(BATCH_REQUESTS_MAX),
            tags: Vec::with_capacity(BATCH_REQUESTS_MAX),
            growing: None,
        }
    }

    /// Adds the frame at `span` of the bytes that [`Batch::open`] will be given, checked against `session`; returns its
    /// number, counted from 0.
    ///
    /// # Panics
    /// If the batch is full.
    #[inline]
    pub fn push(&mut self, session: &SessionState, fresh: Fresh, span: Range<usize>) -> usize {
        let number = self.rows.len();
        assert!(number < BATCH_REQUESTS_MAX, "the caller counts");
        let next_key = session.held_key(&fresh).is_none().then(|| {
            self.next_keys.push(session.next_key());
            (self.next_keys.len() - 1) as u16
        });
        let rows = match fresh.suite {
            Suite::Hs256 => &mut self.hs256_rows,
            Suite::Gcm256 => &mut self.gcm256_rows,
        };
        let place = rows.len() as u16;
        rows.push(number as u16);
        let (start, end) = (span.start as u32, span.end as u32);
        self.rows.push(Row { fresh, tag: Tag::default(), start, end, place, is_taken: false, next_key });
        number
    }

    /// Derives the request key of every frame, checks its tag and opens its payload in place. `session_of` gives the session
    /// a number was pushed with.
    pub fn open<'s>(&mut self, bytes: &mut [u8], session_of: impl Fn(usize) -> &'s SessionState) {
        for row in &mut self.rows {
            row.tag = tag_of(&bytes[row.start as usize..row.end as usize]);
        }
        let Self { engine, rows, next_keys, hs256, gcm256, hs256_rows, gcm256_rows, .. } = self;
        let (rows, next_keys) = (&*rows, &*next_keys);
        let slot_key = |number: u16| {
            let row = &rows[usize::from(number)];
            let held = session_of(usize::from(number)).held_key(&row.fresh);
            match (held, row.next_key) {
                (Some(key), _) => key,
                (None, Some(index)) => &next_keys[usize::from(index)],
                (None, None) => unreachable!("a key that is not held is derived at the push"),
            }
        };
        let input = |number: u16| {
            let fresh = &rows[usize::from(number)].fresh;
            request_key_input(fresh.generation, fresh.counter)
        };
        let span = |number: u16| {
            let row = &rows[usize::from(number)];
            row.start as usize..row.end as usize
        };
        hs256.open(*engine, hs256_rows.len(), |lane| {
            let number = hs256_rows[lane];
            (slot_key(number), input(number), &bytes[span(number)])
        });
        gcm256.derive(*engine, gcm256_rows.len(), |lane| {
            let number = gcm256_rows[lane];
            (slot_key(number), input(number))
        });
        for (lane, number) in gcm256_rows.iter().enumerate() {
            gcm256.open(lane, &mut bytes[span(*number)]);
        }
    }

    /// The verdict on the tag of frame `number`; each frame is taken once, after [`Batch::open`].
    ///
    /// # Errors
    /// `UnknownKey`, `NoSlot` or `BadTag`.
    ///
    /// # Panics
    /// If it was taken before.
    #[inline]
    pub fn take(&mut self, number: usize) -> Result<Authentic<Place>, Reject> {
        let row = &mut self.rows[number];
        assert!(!core::mem::replace(&mut row.is_taken, true), "a frame is taken once");
        let tag_holds = match row.fresh.suite {
            Suite::Hs256 => self.hs256.held(usize::from(row.place)),
            Suite::Gcm256 => self.gcm256.held(usize::from(row.place)),
        };
        row.fresh.conclude(tag_holds, Place(number as u16))
    }

    /// Appends the RESP with this status and payload to `answers`, to be sealed; `now_ms` is server time. Neighbours that
    /// may be answered together become one VERDICTS (§7.4), which [`Batch::end_joint`] ends.
    ///
    /// # Panics
    /// If `payload` is longer than 16384 bytes: the service's bound is checked before.
    #[inline]
    pub fn respond(
        &mut self,
        exchange: Exchange<Place>,
        status: u16,
        payload: &[u8],
        now_ms: u64,
        answers: &mut Vec<u8>,
    ) {
        assert!(payload.len() <= PAYLOAD_BYTES_MAX, "an answer's payload is bounded before it is sealed");
        let Exchange { key: Place(number) } = exchange;
        let row = &self.rows[usize::from(number)];
        if !row.fresh.joint || !payload.is_empty() {
            self.end_joint(now_ms, answers);
            self.write(number, Kind::Resp, status, payload, now_ms, answers);
            return;
        }
        if let Some(growing) = &mut self.growing
            && growing.takes(&row.fresh)
        {
            growing.add(row.fresh.counter, status, answers);
            self.tags.push(row.tag);
            return;
        }
        self.end_joint(now_ms, answers);
        self.begin_joint(number, status, answers);
    }

    fn begin_joint(&mut self, number: u16, status: u16, answers: &mut Vec<u8>) {
        let row = &self.rows[usize::from(number)];
        self.growing = Some(Growing::begin(number, &row.fresh, status, self.tags.len(), answers));
        self.tags.push(row.tag);
    }

    /// Ends the answer that stands at the end of `answers` and could still grow; true when there was one. To be called before
    /// anything else is appended there, before the next answer goes to another connection, and before [`Batch::seal`].
    #[inline]
    pub fn end_joint(&mut self, now_ms: u64, answers: &mut Vec<u8>) -> bool {
        let Some(growing) = self.growing.take() else { return false };
        growing.end(now_ms, answers);
        self.note_unsealed(growing.first, growing.start, growing.tags_start, answers.len());
        true
    }

    /// Appends the ERR that `refused` asks for to `answers`, to be sealed (§7.3).
    #[inline]
    pub fn refuse(&mut self, refused: Refused<Place>, now_ms: u64, answers: &mut Vec<u8>) {
        let reason = refused.reason();
        let Exchange { key: Place(number) } = refused.exchange;
        self.end_joint(now_ms, answers);
        self.write(number, Kind::Err, reason as u16, &[], now_ms, answers);
    }

    #[inline]
    fn write(
        &mut self,
        number: u16,
        kind: Kind,
        status: u16,
        payload: &[u8],
        now_ms: u64,
        answers: &mut Vec<u8>,
    ) {
        let (start, tags_start) = (answers.len(), self.tags.len());
        let row = &self.rows[usize::from(number)];
        row.fresh.addressed().write(kind, status, payload, now_ms, answers);
        self.tags.push(row.tag);
        self.note_unsealed(number, start, tags_start, answers.len());
    }

    /// Notes an answer to be sealed under the key of request `number`, bound to the tags from `tags_start` on.
    #[inline]
    fn note_unsealed(&mut self, number: u16, start: usize, tags_start: usize, end: usize) {
        let tags = tags_start as u32..self.tags.len() as u32;
        let (start, end) = (start as u32, end as u32);
        let Row { fresh, place, .. } = &self.rows[usize::from(number)];
        let unsealed = Unsealed { start, end, place: *place, is_joint: tags.len() > 1, tags };
        match fresh.suite {
            Suite::Hs256 => self.hs256_answers.push(unsealed),
            Suite::Gcm256 => self.gcm256_answers.push(unsealed),
        }
    }

    /// Seals every answer in `answers` where it was appended, wipes every key and empties the batch.
    ///
    /// # Panics
    /// If an answer could still grow.
    pub fn seal(&mut self, answers: &mut [u8]) {
        assert!(self.growing.is_none(), "ended before");
        let Self { engine, hs256, gcm256, hs256_answers, gcm256_answers, tags, .. } = self;
        let tags = |answer: &Unsealed| {
            let Range { start, end } = answer.tags;
            tags[start as usize..end as usize].as_flattened()
        };
        let span = |answer: &Unsealed| answer.start as usize..answer.end as usize;
        hs256.seal(*engine, hs256_answers.len(), answers, |lane| {
            let answer = &hs256_answers[lane];
            (usize::from(answer.place), span(answer), tags(answer))
        });
        for answer in &*gcm256_answers {
            let (lane, frame) = (usize::from(answer.place), &mut answers[span(answer)]);
            if answer.is_joint {
                gcm256.seal_joint(lane, frame, tags(answer));
            } else {
                gcm256.seal(lane, frame, tags(answer));
            }
        }
        self.clear();
    }

    fn clear(&mut self) {
        self.hs256.wipe();
        self.gcm256.wipe();
        self.rows.clear();
        self.next_keys.clear();
        self.hs256_rows.clear();
        self.gcm256_rows.clear();
        self.hs256_answers.clear();
        self.gcm256_answers.clear();
        self.tags.clear();
    }
}
