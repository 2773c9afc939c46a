//! Operations on joint answers.

use super::{InputError, Inputs, Outcome, frames::whole, outcome};
use crate::{
    hex::encode,
    reference::{
        frame::{Header, JOINT, parts},
        schedule::schedule,
        slot::{request_key, slot_keys, slot_of},
        suite::{self, Suite},
        verdicts::{self, Waiting},
    },
};
use serde_json::json;

/// A session of generation 0 whose requests all have one timestamp.
pub(in crate::vectors) struct Session {
    suite: Suite,
    key_id: u64,
    at: u64,
    slot_key: [u8; 32],
}

impl Session {
    fn new(inputs: &Inputs<'_>) -> Result<Self, InputError> {
        let (key_id, at) = (inputs.key_id("key_id")?, inputs.number("at")?);
        let keys = schedule(inputs.array("gs0")?, key_id, 0);
        let slot = slot_of(inputs.number("origin")?, at).map_err(|_| InputError::Field("at"))?;
        Ok(Self { suite: inputs.suite()?, key_id, at, slot_key: slot_keys(&keys.ck0, slot).0 })
    }

    /// A request, and how a client waits for it.
    fn request(&self, counter: u64, op: u16, payload: &[u8], joint: bool) -> (Vec<u8>, Waiting) {
        let header = Header {
            flags: if joint { JOINT } else { 0 },
            key_id: self.key_id,
            op,
            counter,
            timestamp: self.at,
            ..Header::of("REQ")
        };
        let k_req = request_key(&self.slot_key, 0, counter);
        let frame = suite::seal(self.suite, &k_req, header, payload, &[]);
        let tag = parts(&frame).2.to_vec();
        (frame, Waiting { counter, joint, k_req, tag })
    }

    /// The answer to `waiting` with one payload.
    fn answer(&self, waiting: &[Waiting], now: u64, payload: &[u8]) -> Vec<u8> {
        let tags: Vec<u8> = waiting.iter().flat_map(|request| request.tag.clone()).collect();
        let header = Header {
            key_id: self.key_id,
            counter: waiting[0].counter,
            timestamp: now,
            ..Header::of("VERDICTS")
        };
        verdicts::seal(self.suite, &waiting[0].k_req, header, payload, &tags)
    }
}

fn requests(
    inputs: &Inputs<'_>,
    session: &Session,
    joint_from: u64,
) -> Result<Vec<(Vec<u8>, Waiting)>, InputError> {
    inputs
        .objects("requests")?
        .iter()
        .zip(0..)
        .map(|(request, counter)| {
            let (op, payload) = (request.number("op")?, request.bytes("payload")?);
            Ok(session.request(counter, op, &payload, counter >= joint_from))
        })
        .collect()
}

pub(super) fn verdicts(inputs: Inputs<'_>) -> Outcome {
    let session = Session::new(&inputs)?;
    let (frames, waiting): (Vec<_>, Vec<_>) = requests(&inputs, &session, 0)?.into_iter().unzip();
    let statuses = inputs.objects("requests")?;
    let mut payload = Vec::new();
    for (request, counter) in statuses.iter().zip(0..) {
        payload.extend(verdicts::entry(counter, request.number("status")?));
    }
    let answer = session.answer(&waiting, inputs.number("now")?, &payload);
    let frames: Vec<String> = frames.iter().map(|frame| encode(frame)).collect();
    outcome(Ok(json!({ "requests": frames, "answer": encode(&answer) })))
}

pub(super) fn open_verdicts(inputs: Inputs<'_>) -> Outcome {
    let session = Session::new(&inputs)?;
    let given_up: Vec<u64> = inputs.numbers("given_up")?;
    let waiting: Vec<Waiting> = requests(&inputs, &session, inputs.number("joint_from")?)?
        .into_iter()
        .map(|(_, waiting)| waiting)
        .filter(|waiting| !given_up.contains(&waiting.counter))
        .collect();
    let frame = whole(&inputs, "frame")?;
    let opened = verdicts::open(session.suite, (session.key_id, 0), &waiting, &frame);
    outcome(opened.map(|verdicts| {
        let verdicts: Vec<_> = verdicts
            .into_iter()
            .map(|(counter, status)| json!({ "counter": counter, "status": status }))
            .collect();
        json!({ "verdicts": verdicts })
    }))
}

/// A frame for vectors that open it: the entries of `counters`, each with this status, then `extra` bytes.
pub(in crate::vectors) fn answer_of(
    suite: Suite,
    (key_id, gs0, origin, at): (u64, [u8; 32], u64, u64),
    (op, payload): (u16, &[u8]),
    counters: &[u64],
    extra: &[u8],
) -> Vec<u8> {
    let keys = schedule(gs0, key_id, 0);
    let slot = slot_of(origin, at).expect("after the origin");
    let session = Session { suite, key_id, at, slot_key: slot_keys(&keys.ck0, slot).0 };
    let named = if counters.is_empty() { &[0][..] } else { counters };
    let waiting: Vec<Waiting> =
        named.iter().map(|counter| session.request(*counter, op, payload, true).1).collect();
    let entries = counters.iter().flat_map(|counter| verdicts::entry(*counter, 200));
    session.answer(&waiting, at + 9, &entries.chain(extra.iter().copied()).collect::<Vec<u8>>())
}
