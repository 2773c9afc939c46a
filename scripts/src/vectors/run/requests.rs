//! Operations on requests and answers.

use super::{InputError, Inputs, Outcome, frames::whole, outcome};
use crate::{
    hex::encode,
    reference::{
        clock,
        frame::{Header, kind_named},
        replay::{Window, window_bits_valid},
        session::{Bounds, Session},
        suite::{open, seal},
    },
};
use serde_json::{Value, json};

/// Header fields of a frame to be sealed; its op or status goes by `op_name`.
fn header(inputs: &Inputs<'_>, kind: &str, op_name: &'static str) -> Result<Header, InputError> {
    let kind = kind_named(kind).ok_or(InputError::Field("kind"))?;
    Ok(Header {
        kind: kind.number,
        flags: 0,
        key_id: inputs.key_id("key_id")?,
        generation: inputs.number("generation")?,
        op: inputs.number(op_name)?,
        counter: inputs.number("counter")?,
        timestamp: inputs.number("timestamp")?,
    })
}

pub(super) fn seal_request(inputs: Inputs<'_>) -> Outcome {
    let header = header(&inputs, "REQ", "op")?;
    let frame = seal(inputs.suite()?, &inputs.array("k_req")?, header, &inputs.bytes("payload")?, &[]);
    outcome(Ok(json!({ "frame": encode(&frame) })))
}

pub(super) fn open_request(inputs: Inputs<'_>) -> Outcome {
    let frame = whole(&inputs, "frame")?;
    let header = Header::decode(&frame);
    outcome(open(inputs.suite()?, &inputs.array("k_req")?, &frame, &[]).map(|payload| {
        json!({
            "payload": encode(&payload),
            "flags": header.flags,
            "key_id": encode(&header.key_id.to_be_bytes()),
            "generation": header.generation,
            "op": header.op,
            "counter": header.counter,
            "timestamp": header.timestamp,
        })
    }))
}

pub(super) fn seal_response(inputs: Inputs<'_>) -> Outcome {
    let header = header(&inputs, inputs.text("kind")?, "status")?;
    let request_tag: [u8; 16] = inputs.array("request_tag")?;
    let payload = inputs.bytes("payload")?;
    let frame = seal(inputs.suite()?, &inputs.array("k_req")?, header, &payload, &request_tag);
    outcome(Ok(json!({ "frame": encode(&frame) })))
}

pub(super) fn open_response(inputs: Inputs<'_>) -> Outcome {
    let frame = whole(&inputs, "frame")?;
    let request_tag: [u8; 16] = inputs.array("request_tag")?;
    let payload = open(inputs.suite()?, &inputs.array("k_req")?, &frame, &request_tag);
    let status = Header::decode(&frame).op;
    outcome(payload.map(|payload| json!({ "status": status, "payload": encode(&payload) })))
}

pub(super) fn window(inputs: &Inputs<'_>) -> Result<u64, InputError> {
    let bits = inputs.number("bits")?;
    if window_bits_valid(bits) { Ok(bits) } else { Err(InputError::Field("bits")) }
}

pub(super) fn replay(inputs: Inputs<'_>) -> Outcome {
    let mut window = Window::new(window(&inputs)?);
    let counters: Vec<u64> = inputs.numbers("counters")?;
    let verdict = |counter: u64| window.accept(counter).map_or_else(|reason| reason.name(), |()| "fresh");
    let verdicts: Vec<&str> = counters.into_iter().map(verdict).collect();
    Ok(json!({ "verdicts": verdicts }))
}

pub(super) fn in_time(inputs: Inputs<'_>) -> Outcome {
    outcome(clock::in_time(inputs.number("now")?, inputs.number("timestamp")?).map(|()| json!({})))
}

pub(super) fn session(inputs: Inputs<'_>) -> Outcome {
    let limits = inputs.object("limits")?;
    let bounds = Bounds {
        renew_after_requests: limits.number("renew_after_requests")?,
        renew_after_ms: limits.number("renew_after_ms")?,
        reject_after_requests: limits.number("reject_after_requests")?,
        reject_after_ms: limits.number("reject_after_ms")?,
        window_bits: window(&inputs)?,
    };
    let origin = inputs.number("origin")?;
    let start = (0, inputs.array("gs0")?, origin);
    let mut session = Session::new(inputs.suite()?, inputs.key_id("key_id")?, bounds, start, origin);
    let mut verdicts = Vec::new();
    let mut now = inputs.number("origin")?;
    for event in inputs.objects("events")? {
        let at: u64 = event.number("at")?;
        if at < now {
            return Err(InputError::Field("at"));
        }
        now = at;
        let verdict = session.judge(now, &whole(&event, "frame")?);
        verdicts.push(verdict.map_or_else(|reason| reason.name(), |()| "accept"));
    }
    Ok(json!({ "verdicts": Value::from(verdicts) }))
}
