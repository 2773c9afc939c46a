//! The client's side of many requests at once: sealed in lanes, their answers opened in lanes.

use alloc::vec::Vec;

use mvt_lanes::{Engine, HmacKey, Job, MAC_BYTES};

use crate::{
    Header, Reject, Suite,
    constants::{PAYLOAD_BYTES_MAX, TAG_BYTES},
    header::{Flags, Kind},
    session::{Answer, ClientSession, Pending, SealError},
    slot::request_key_input,
    suite::{RequestKey, Tag, tag_of},
};

/// Requests whose keys are derived, and answers whose tags are checked, together.
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
    pub pending: &'f Pending,
    /// Its header, parsed.
    pub header: Header,
    /// The whole frame; an opened payload is written in place.
    pub frame: &'f mut [u8],
}

impl ClientSession {
    /// Seals `requests` under the next counters and appends them to `out`, and one [`Pending`] for each to `pending`: the
    /// same bytes as [`ClientSession::seal_request`] makes one by one.
    ///
    /// # Errors
    /// [`SealError`]; then nothing changed.
    pub fn seal_batch(
        &mut self,
        engine: Engine,
        requests: &[Request<'_>],
        now_ms: u64,
        out: &mut Vec<u8>,
        pending: &mut Vec<Pending>,
    ) -> Result<(), SealError> {
        if requests.iter().any(|request| request.payload.len() > PAYLOAD_BYTES_MAX) {
            return Err(SealError::PayloadTooLong);
        }
        if requests.is_empty() {
            return Ok(());
        }
        if self.sealable_count(now_ms) < requests.len() as u64 {
            return Err(SealError::Exhausted);
        }
        self.forget_previous(now_ms);
        // One of another generation than the others.
        let (last, requests) = requests.split_at(usize::from(self.owes_last()));
        pending.extend(last.iter().map(|request| self.seal_one(request.op, request.payload, now_ms, out)));
        for some in requests.chunks(SOME) {
            let (first, start) = (pending.len(), out.len());
            self.write_some(engine, some, now_ms, out, pending);
            seal_some(engine, &mut pending[first..], &mut out[start..]);
        }
        Ok(())
    }

    /// Appends the frames without tags, and their requests with keys.
    fn write_some(
        &mut self,
        engine: Engine,
        requests: &[Request<'_>],
        now_ms: u64,
        out: &mut Vec<u8>,
        pending: &mut Vec<Pending>,
    ) {
        let mut keys = [const { HmacKey::blank() }; SOME];
        let mut headers = [None; SOME];
        for (header, request) in headers.iter_mut().zip(requests) {
            *header = Some(self.next_header(request.op, request.payload.len(), now_ms));
        }
        let headers = headers.iter().flatten();
        if self.suite() == Suite::Hs256
            && let Some(first) = headers.clone().next()
        {
            // All of one generation and one instant, hence one slot.
            let slot_key = self.sealing_key(first);
            let inputs: [_; SOME] =
                core::array::from_fn(|lane| request_key_input(first.generation, first.counter + lane as u64));
            let count = requests.len();
            engine.derive(&[slot_key; SOME][..count], &inputs[..count], &mut keys[..count]);
        }
        for ((request, key), header) in requests.iter().zip(&mut keys).zip(headers) {
            let key = match self.suite() {
                Suite::Hs256 => RequestKey::Hs256(core::mem::replace(key, HmacKey::blank())),
                suite @ Suite::Gcm256 => {
                    RequestKey::derive(suite, self.sealing_key(header), header.generation, header.counter)
                }
            };
            let header_bytes = header.to_bytes();
            out.extend_from_slice(&header_bytes);
            out.extend_from_slice(request.payload);
            out.extend_from_slice(&[0; TAG_BYTES]);
            pending.push(Pending { key, header: header_bytes, counter: header.counter, tag: Tag::default() });
        }
    }

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
                    Some(holds) => self.conclude_answer(pending, header, frame, holds, now_ms),
                    None => self.open_answer(pending, header, frame, now_ms),
                };
                sink(number * SOME + lane, opened);
            }
        }
    }
}

/// Seals frames that stand behind each other, one for each of `pending`.
fn seal_some(engine: Engine, pending: &mut [Pending], frames: &mut [u8]) {
    let mut ends = [0; SOME];
    let mut end = 0;
    for (to, pending) in ends.iter_mut().zip(&*pending) {
        end += 2 + usize::from(u16::from_be_bytes([pending.header[0], pending.header[1]]));
        *to = end;
    }
    let start_of = |lane: usize| if lane == 0 { 0 } else { ends[lane - 1] };
    let mut macs = [[0; MAC_BYTES]; SOME];
    {
        let blank = HmacKey::blank();
        let mut jobs = [Job::new(&blank, &[]); SOME];
        let mut count = 0;
        for (lane, pending) in pending.iter().enumerate() {
            if let RequestKey::Hs256(key) = &pending.key {
                jobs[lane] = Job::new(key, &frames[start_of(lane)..ends[lane] - TAG_BYTES]);
                count = lane + 1;
            }
        }
        engine.mac(&jobs[..count], &mut macs[..count]);
    }
    for (lane, pending) in pending.iter_mut().enumerate() {
        let frame = &mut frames[start_of(lane)..ends[lane]];
        match &pending.key {
            RequestKey::Hs256(_) => {
                let at = frame.len() - TAG_BYTES;
                frame[at..].copy_from_slice(&macs[lane][..TAG_BYTES]);
            }
            RequestKey::Gcm256(_) => pending.key.seal(frame, &[]),
        }
        pending.tag = tag_of(frame);
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
        if let (RequestKey::Hs256(key), Kind::Resp | Kind::Err) = (&pending.key, header.kind) {
            jobs[count] = Job::joined(key, &frame[..frame.len() - TAG_BYTES], &pending.tag);
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
