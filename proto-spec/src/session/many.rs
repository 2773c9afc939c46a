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
    /// Those of the requests written, each once for neighbours.
    slot_keys: Box<[HmacKey; SOME]>,
    slot_key_count: usize,
    /// Request keys of HS256.
    keys: Box<[HmacKey; SOME]>,
    /// Request keys of GCM256, or tags of HS256.
    macs: Box<[[u8; MAC_BYTES]; SOME]>,
}

/// A request written and not sealed.
#[derive(Debug, Clone, Copy)]
struct Written {
    key_id: u64,
    timestamp: u64,
    counter: u64,
    generation: u16,
    suite: Suite,
    /// It may be answered with others (§7.4).
    is_joint: bool,
    slot_key: usize,
    /// Where the frame is.
    start: usize,
    end: usize,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("written", &self.written.len()).finish_non_exhaustive()
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
            slot_keys: Box::new([const { HmacKey::blank() }; SOME]),
            slot_key_count: 0,
            keys: Box::new([const { HmacKey::blank() }; SOME]),
            macs: Box::new([[0; MAC_BYTES]; SOME]),
        }
    }

    /// Requests written and not sealed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.written.len()
    }

    /// Whether nothing is to be sealed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Whether no more can be written before [`Sealer::seal`].
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.written.len() == SOME
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
        assert!(!self.is_full(), "sealed before it is full");
        session.may_seal(request.payload.len(), now_ms)?;
        let header = session.next_header(request.op, request.payload.len(), now_ms);
        let slot_key = self.keep_slot_key(session, &header);
        // The copy serves the last request of a generation, too.
        session.leave_previous();
        let start = out.len();
        out.reserve(header.frame_bytes());
        out.extend_from_slice(&header.to_bytes());
        out.extend_from_slice(request.payload);
        out.extend_from_slice(&[0; TAG_BYTES]);
        let Header { key_id, timestamp, counter, generation, .. } = header;
        let (suite, is_joint, end) = (session.suite(), header.flags.joint(), out.len());
        self.written.push(Written {
            key_id,
            timestamp,
            counter,
            generation,
            suite,
            is_joint,
            slot_key,
            start,
            end,
        });
        Ok(())
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
        let mut from = 0;
        while let Some(first) = self.written.get(from) {
            let of_suite = self.written[from..].iter().take_while(|written| written.suite == first.suite);
            let until = from + of_suite.count();
            match first.suite {
                Suite::Hs256 => self.seal_hs256(from..until, out, &mut sink),
                Suite::Gcm256 => self.seal_gcm256(from..until, out, &mut sink),
            }
            from = until;
        }
        self.slot_keys[..self.slot_key_count].iter_mut().for_each(HmacKey::zeroize);
        self.macs[..self.written.len()].as_flattened_mut().zeroize();
        self.slot_key_count = 0;
        self.written.clear();
    }

    fn seal_hs256(&mut self, some: Range<usize>, out: &mut [u8], sink: &mut impl FnMut(usize, Waiting<'_>)) {
        let Self { engine, written, slot_keys, keys, macs, .. } = self;
        let written = &written[some.clone()];
        let (keys, macs) = (&mut keys[..written.len()], &mut macs[..written.len()]);
        let (slot_keys, inputs) = derivation(written, slot_keys);
        engine.derive(&slot_keys[..written.len()], &inputs[..written.len()], keys);
        {
            let mut jobs = [Job::new(&keys[0], &[]); SOME];
            for ((job, key), written) in jobs.iter_mut().zip(&*keys).zip(written) {
                *job = Job::new(key, &out[written.start..written.end - TAG_BYTES]);
            }
            engine.mac(&jobs[..written.len()], macs);
        }
        for (lane, (written, mac)) in written.iter().zip(&*macs).enumerate() {
            let frame = &mut out[written.start..written.end];
            let (signed, tag) = frame.split_at_mut(frame.len() - TAG_BYTES);
            tag.copy_from_slice(&mac[..TAG_BYTES]);
            sink(some.start + lane, waiting(KeyRef::Hs256(&keys[lane]), signed, tag));
        }
        keys.iter_mut().for_each(HmacKey::zeroize);
    }

    fn seal_gcm256(&mut self, some: Range<usize>, out: &mut [u8], sink: &mut impl FnMut(usize, Waiting<'_>)) {
        let Self { engine, written, slot_keys, macs, .. } = self;
        let written = &written[some.clone()];
        let macs = &mut macs[..written.len()];
        let (slot_keys, inputs) = derivation(written, slot_keys);
        engine.derive_bytes(&slot_keys[..written.len()], &inputs[..written.len()], macs);
        for (lane, (written, mac)) in written.iter().zip(&*macs).enumerate() {
            let key = Secret::new(*mac);
            let scheduled = Scheduled::new(&key);
            let frame = &mut out[written.start..written.end];
            scheduled.seal(frame, &[]);
            let (sealed, tag) = frame.split_at(frame.len() - TAG_BYTES);
            // Of requests answered together one key of many is asked for; of one answered alone its own, for certain.
            let kept = if written.is_joint { KeyRef::Gcm256(&key) } else { KeyRef::Scheduled(&scheduled) };
            sink(some.start + lane, waiting(kept, sealed, tag));
        }
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
    for (lane, written) in written.iter().enumerate() {
        of_lanes[lane] = &slot_keys[written.slot_key];
        inputs[lane] = request_key_input(written.generation, written.counter);
    }
    (of_lanes, inputs)
}

#[inline]
fn waiting<'a>(key: KeyRef<'a>, frame: &'a [u8], tag: &'a [u8]) -> Waiting<'a> {
    let header = frame.first_chunk().expect("a frame begins with its header");
    Waiting { key, header, tag: tag.try_into().expect("16 bytes") }
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
