//! The client's side of many requests at once: sealed in lanes, their answers opened in lanes.

use alloc::{boxed::Box, vec::Vec};
use core::{fmt, ops::Range};

use mvt_lanes::{Engine, HmacKey, Job, MAC_BYTES};
use zeroize::Zeroize;

use crate::{
    Header, Reject, Suite,
    constants::TAG_BYTES,
    header::{Flags, Kind},
    secret::Secret,
    session::{Answer, ClientSession, SealError, Waiting},
    slot::{REQUEST_KEY_INPUT_BYTES, request_key_input},
    suite::{KeyRef, Scheduled, Tag, tag_of},
};

/// Requests sealed, and answers whose tags are checked, together.
const SOME: usize = 32;
/// Where the op of a header is; the counter follows it (§3).
const OP_AT: usize = 14;

/// A request to seal.
#[derive(Debug, Clone, Copy)]
pub struct Request<'p> {
    /// Opaque to MVT.
    pub op: u16,
    /// At most 16384 bytes.
    pub payload: &'p [u8],
}

/// A frame that may answer a request.
#[derive(Debug)]
pub struct Received<'f> {
    /// The request its counter names.
    pub pending: Waiting<'f>,
    /// Its header, parsed.
    pub header: Header,
    /// The whole frame; an opened payload is written in place.
    pub frame: &'f mut [u8],
}

/// Requests of any sessions, sealed in lanes: written one by one, then sealed together.
///
/// The bytes are those of [`ClientSession::seal_request`]. Its memory is reused; its keys are wiped after each batch.
pub struct Sealer {
    engine: Engine,
    written: Vec<Written>,
    written_count: usize,
    /// Those of the requests written, each once for neighbours.
    slot_keys: Box<[HmacKey; SOME]>,
    slot_key_count: usize,
    /// Request keys of HS256.
    keys: Box<[HmacKey; SOME]>,
    /// Request keys of GCM256, or tags of HS256.
    macs: Box<[[u8; MAC_BYTES]; SOME]>,
}

/// Requests written and not sealed: one, or several that differ in their counters alone, which follow each other, as their
/// frames do.
#[derive(Debug, Clone, Copy)]
struct Written {
    key_id: u64,
    timestamp: u64,
    /// Of the first.
    counter: u64,
    generation: u16,
    suite: Suite,
    /// They may be answered with others (§7.4).
    is_joint: bool,
    slot_key: usize,
    /// Where the first frame is.
    start: usize,
    frame_bytes: usize,
    count: usize,
}

impl Written {
    /// Where each frame is.
    #[inline]
    fn frames(&self) -> impl Iterator<Item = Range<usize>> {
        let Self { start, frame_bytes, count, .. } = *self;
        (0..count).map(move |number| {
            let start = start + number * frame_bytes;
            start..start + frame_bytes
        })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("written", &self.written_count).finish_non_exhaustive()
    }
}

impl Sealer {
    /// Requests sealed together at most.
    pub const REQUESTS_MAX: usize = SOME;

    /// Of `engine`.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            written: Vec::with_capacity(SOME),
            written_count: 0,
            slot_keys: Box::new([const { HmacKey::blank() }; SOME]),
            slot_key_count: 0,
            keys: Box::new([const { HmacKey::blank() }; SOME]),
            macs: Box::new([[0; MAC_BYTES]; SOME]),
        }
    }

    /// Requests written and not sealed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.written_count
    }

    /// Whether nothing is to be sealed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.written_count == 0
    }

    /// Whether no more can be written before [`Sealer::seal`].
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.written_count == SOME
    }

    /// Appends a request of `session` under its next counter to `out`, its payload in the clear and its tag zeros: not to be
    /// sent before [`Sealer::seal`].
    ///
    /// # Errors
    /// [`SealError`]; then nothing changed.
    ///
    /// # Panics
    /// When it is full.
    #[inline]
    pub fn write(
        &mut self,
        session: &mut ClientSession,
        request: Request<'_>,
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        self.write_alike(session, request, 1, now_ms, out).map(|_| ())
    }

    /// The same for up to `most` requests that are alike, each under a counter of its own: how many were written. At least one;
    /// fewer than `most` when it is full, at a hard limit, and where a generation ends.
    ///
    /// # Errors
    /// [`SealError`]; then nothing changed.
    ///
    /// # Panics
    /// When it is full.
    pub fn write_alike(
        &mut self,
        session: &mut ClientSession,
        request: Request<'_>,
        most: usize,
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<usize, SealError> {
        assert!(!self.is_full(), "sealed before it is full");
        session.may_seal(request.payload.len(), now_ms)?;
        let header = session.next_header(request.op, request.payload.len(), now_ms);
        let slot_key = self.keep_slot_key(session, &header);
        // The copy serves the last request of a generation, too.
        session.leave_previous();
        let most = most.clamp(1, SOME - self.written_count);
        let count = 1 + session.take_counters(header.generation, most - 1);
        let (start, frame_bytes) = (out.len(), header.frame_bytes());
        out.reserve(count * frame_bytes);
        out.extend_from_slice(&header.to_bytes());
        out.extend_from_slice(request.payload);
        out.extend_from_slice(&[0; TAG_BYTES]);
        // Copied twofold each time: a call for each frame would cost more than its bytes.
        while out.len() < start + count * frame_bytes {
            let rest = start + count * frame_bytes - out.len();
            let copied = start + rest.min(out.len() - start);
            out.extend_from_within(start..copied);
        }
        let Header { key_id, timestamp, counter, generation, op, .. } = header;
        let (suite, is_joint) = (session.suite(), header.flags.joint());
        for (number, frame) in out[start..].chunks_exact_mut(frame_bytes).enumerate().skip(1) {
            // With the op before them: one word of eight bytes.
            let word = u64::from(op) << 48 | (counter + number as u64);
            frame[OP_AT..OP_AT + 8].copy_from_slice(&word.to_be_bytes());
        }
        self.written.push(Written {
            key_id,
            timestamp,
            counter,
            generation,
            suite,
            is_joint,
            slot_key,
            start,
            frame_bytes,
            count,
        });
        self.written_count += count;
        Ok(count)
    }

    /// Copies the slot key of a request, unless the one before has the same; where it is.
    #[inline]
    fn keep_slot_key(&mut self, session: &mut ClientSession, header: &Header) -> usize {
        if let Some(last) = self.written.last()
            && (last.key_id, last.generation, last.timestamp)
                == (header.key_id, header.generation, header.timestamp)
        {
            return last.slot_key;
        }
        let place = self.slot_key_count;
        self.slot_keys[place].copy_from(session.sealing_key(header));
        self.slot_key_count += 1;
        place
    }

    /// Seals what was written, in `out`, which still has it where it was written; `sink` gets what opens the answer of each,
    /// in the order written, with its number.
    pub fn seal(&mut self, out: &mut [u8], mut sink: impl FnMut(usize, Waiting<'_>)) {
        let (mut from, mut first_lane) = (0, 0);
        while let Some(first) = self.written.get(from) {
            let of_suite = self.written[from..].iter().take_while(|written| written.suite == first.suite);
            let (until, count) = of_suite.fold((from, 0), |(at, sum), written| (at + 1, sum + written.count));
            let sink = |lane, waiting: Waiting<'_>| sink(first_lane + lane, waiting);
            match first.suite {
                Suite::Hs256 => self.seal_hs256(from..until, count, out, sink),
                Suite::Gcm256 => self.seal_gcm256(from..until, count, out, sink),
            }
            (from, first_lane) = (until, first_lane + count);
        }
        self.slot_keys[..self.slot_key_count].iter_mut().for_each(HmacKey::zeroize);
        self.slot_key_count = 0;
        self.written.clear();
        self.written_count = 0;
    }

    fn seal_hs256(
        &mut self,
        some: Range<usize>,
        count: usize,
        out: &mut [u8],
        mut sink: impl FnMut(usize, Waiting<'_>),
    ) {
        let Self { engine, written, slot_keys, keys, macs, .. } = self;
        let written = &written[some];
        let (keys, macs) = (&mut keys[..count], &mut macs[..count]);
        let (slot_keys, inputs) = derivation(written, slot_keys);
        engine.derive(&slot_keys[..count], &inputs[..count], keys);
        {
            let mut jobs = [Job::new(&keys[0], &[]); SOME];
            let mut lanes = jobs.iter_mut().zip(&*keys);
            for written in written {
                for (frame, (job, key)) in written.frames().zip(&mut lanes) {
                    *job = Job::new(key, &out[frame.start..frame.end - TAG_BYTES]);
                }
            }
            engine.mac(&jobs[..count], macs);
        }
        let mut lanes = keys.iter().zip(&*macs).enumerate();
        for written in written {
            for (frame, (lane, (key, mac))) in written.frames().zip(&mut lanes) {
                let (signed, tag) = out[frame].split_last_chunk_mut().expect("a frame ends with its tag");
                tag.copy_from_slice(&mac[..TAG_BYTES]);
                sink(lane, waiting(KeyRef::Hs256(key), signed, tag));
            }
        }
        keys.iter_mut().for_each(HmacKey::zeroize);
        macs.as_flattened_mut().zeroize();
    }

    fn seal_gcm256(
        &mut self,
        some: Range<usize>,
        count: usize,
        out: &mut [u8],
        mut sink: impl FnMut(usize, Waiting<'_>),
    ) {
        let Self { engine, written, slot_keys, macs, .. } = self;
        let written = &written[some];
        let macs = &mut macs[..count];
        let (slot_keys, inputs) = derivation(written, slot_keys);
        engine.derive_bytes(&slot_keys[..count], &inputs[..count], macs);
        let mut lanes = macs.iter().enumerate();
        for written in written {
            for (frame, (lane, mac)) in written.frames().zip(&mut lanes) {
                let key = Secret::new(*mac);
                let scheduled = Scheduled::new(&key);
                let frame = &mut out[frame];
                scheduled.seal(frame, &[]);
                let (sealed, tag) = frame.split_last_chunk().expect("a frame ends with its tag");
                // Of requests answered together one key of many is asked for; of one answered alone its own, for certain.
                let kept =
                    if written.is_joint { KeyRef::Gcm256(&key) } else { KeyRef::Scheduled(&scheduled) };
                sink(lane, waiting(kept, sealed, tag));
            }
        }
        macs.as_flattened_mut().zeroize();
    }
}

/// Slot keys and inputs from which the request keys of `written` are derived.
#[inline]
fn derivation<'k>(
    written: &[Written],
    slot_keys: &'k [HmacKey; SOME],
) -> ([&'k HmacKey; SOME], [[u8; REQUEST_KEY_INPUT_BYTES]; SOME]) {
    let mut of_lanes = [&slot_keys[0]; SOME];
    let mut inputs = [[0; REQUEST_KEY_INPUT_BYTES]; SOME];
    let mut lanes = of_lanes.iter_mut().zip(&mut inputs);
    for written in written {
        let counters = written.counter..written.counter + written.count as u64;
        // The counters first: what ends the loop is asked for nothing more.
        for (counter, (slot_key, input)) in counters.zip(&mut lanes) {
            *slot_key = &slot_keys[written.slot_key];
            *input = request_key_input(written.generation, counter);
        }
    }
    (of_lanes, inputs)
}

#[inline]
fn waiting<'a>(key: KeyRef<'a>, frame: &'a [u8], tag: &'a Tag) -> Waiting<'a> {
    Waiting { key, header: frame.first_chunk().expect("a frame begins with its header"), tag }
}

impl ClientSession {
    /// Opens every frame as [`ClientSession::open_answer`] does and hands the results to `sink` in order, with their index.
    pub fn open_answers(
        &mut self,
        engine: Engine,
        received: &mut [Received<'_>],
        now_ms: u64,
        mut sink: impl FnMut(usize, Result<Answer<'_>, Reject>),
    ) {
        for (number, some) in received.chunks_mut(SOME).enumerate() {
            let holds = hs256_tags_hold(engine, some);
            for (lane, received) in some.iter_mut().enumerate() {
                let Received { pending, header, frame } = received;
                let opened = match holds[lane] {
                    Some(holds) => self.conclude_answer(*pending, header, frame, holds, now_ms),
                    None => self.open_answer(*pending, header, frame, now_ms),
                };
                sink(number * SOME + lane, opened);
            }
        }
    }
}

/// Whether the tag of each RESP or ERR under HS256 holds; `None` for other frames.
fn hs256_tags_hold(engine: Engine, received: &[Received<'_>]) -> [Option<bool>; SOME] {
    let blank = HmacKey::blank();
    let mut jobs = [Job::new(&blank, &[]); SOME];
    let mut tags = [Tag::default(); SOME];
    let mut lanes = [0; SOME];
    let mut count = 0;
    for (lane, Received { pending, header, frame }) in received.iter().enumerate() {
        if let (KeyRef::Hs256(key), Kind::Resp | Kind::Err) = (pending.key, header.kind) {
            jobs[count] = Job::joined(key, &frame[..frame.len() - TAG_BYTES], pending.tag);
            tags[count] = tag_of(frame);
            lanes[count] = lane;
            count += 1;
        }
    }
    let mut holds = [false; SOME];
    engine.verify(&jobs[..count], &tags[..count], &mut holds[..count]);
    let mut of_lane = [None; SOME];
    for (lane, holds) in lanes[..count].iter().zip(holds) {
        let flag_fits = !Flags(received[*lane].frame[3]).sealed();
        of_lane[*lane] = Some(holds & flag_fits);
    }
    of_lane
}
