//! Operations on unopened frames, LOST among them.

use super::{InputError, Inputs, Outcome, outcome, refused};
use crate::{
    hex::encode,
    reference::{
        frame::{Header, KINDS, Parsed, parse},
        lost,
        stream::{End, cut},
    },
};
use serde_json::{Value, json};

pub(super) fn header_parse(inputs: Inputs<'_>) -> Outcome {
    Ok(match parse(inputs.role()?, &inputs.bytes("frame")?) {
        Err(reason) => refused(reason),
        Ok(Parsed::Need(bytes)) => json!({ "need": bytes }),
        Ok(Parsed::Frame(header, payload_bytes)) => json!({ "ok": fields(&header, payload_bytes) }),
    })
}

fn fields(header: &Header, payload_bytes: usize) -> Value {
    let kind = KINDS.iter().find(|kind| kind.number == header.kind).map(|kind| kind.name);
    json!({
        "kind": kind,
        "flags": header.flags,
        "key_id": encode(&header.key_id.to_be_bytes()),
        "generation": header.generation,
        "op": header.op,
        "counter": header.counter,
        "timestamp": header.timestamp,
        "payload_bytes": payload_bytes,
    })
}

pub(super) fn stream_cut(inputs: Inputs<'_>) -> Outcome {
    let (frames, end) = cut(inputs.role()?, &inputs.bytes_list("chunks")?);
    let frames: Vec<String> = frames.iter().map(|frame| encode(frame)).collect();
    let end = match end {
        End::Clean => json!("clean"),
        End::Truncated => json!("truncated"),
        End::Refused(reason) => refused(reason),
    };
    Ok(json!({ "frames": frames, "end": end }))
}

pub(super) fn lost(inputs: Inputs<'_>) -> Outcome {
    let (secret, node_slot) = (inputs.array("reset_secret")?, inputs.number("node_slot")?);
    let request = whole(&inputs, "request")?;
    let key_id = Header::decode(&request).key_id;
    if key_id >> 48 != u64::from(node_slot) {
        return Err(InputError::Field("node_slot"));
    }
    let lost_key = lost::lost_key(&secret, node_slot, key_id);
    let decoy_key = lost::decoy_key(&secret, node_slot, key_id);
    outcome(Ok(json!({
        "lost_key": encode(&lost_key),
        "frame": encode(&lost::lost_frame(&lost_key, &request)),
        "decoy_frame": encode(&lost::lost_frame(&decoy_key, &request)),
    })))
}

pub(super) fn open_lost(inputs: Inputs<'_>) -> Outcome {
    let lost_key: [u8; 16] = inputs.array("lost_key")?;
    let (request, frame) = (whole(&inputs, "request")?, whole(&inputs, "frame")?);
    outcome(lost::verify_lost(&lost_key, &request, &frame).map(|()| json!({})))
}

/// A frame of at least a header and a tag.
pub(super) fn whole(inputs: &Inputs<'_>, name: &'static str) -> Result<Vec<u8>, InputError> {
    let frame = inputs.bytes(name)?;
    if frame.len() < 44 { Err(InputError::Field(name)) } else { Ok(frame) }
}
