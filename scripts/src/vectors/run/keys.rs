//! Operations that derive keys.

use super::{Inputs, Outcome, outcome};
use crate::{
    hex::encode,
    reference::{label as labels, schedule as generations, slot as slots},
};
use serde_json::json;

pub(super) fn label(inputs: Inputs<'_>) -> Outcome {
    let key: [u8; 32] = inputs.array("key")?;
    let bytes: u16 = inputs.number("bytes")?;
    let out = labels::label(&key, inputs.text("label")?, &inputs.bytes("context")?, bytes.into());
    outcome(Ok(json!({ "out": encode(&out) })))
}

pub(super) fn schedule(inputs: Inputs<'_>) -> Outcome {
    let gs = generations::first_generation(&inputs.array("h")?, &inputs.array("k1")?, &inputs.array("k2")?);
    let keys = generations::schedule(gs, inputs.key_id("key_id")?, inputs.number("generation")?);
    outcome(Ok(json!({
        "gs": encode(&keys.gs),
        "rt": encode(&keys.rt),
        "rs": encode(&keys.rs),
        "ctlc": encode(&keys.ctlc),
        "ctls": encode(&keys.ctls),
        "ck0": encode(&keys.ck0),
        "cf": encode(&keys.cf),
    })))
}

pub(super) fn slot(inputs: Inputs<'_>) -> Outcome {
    let (sk, ck_next) = slots::slot_keys(&inputs.array("ck0")?, inputs.number("slot")?);
    outcome(Ok(json!({ "sk": encode(&sk), "ck_next": encode(&ck_next) })))
}

pub(super) fn slot_of(inputs: Inputs<'_>) -> Outcome {
    let slot = slots::slot_of(inputs.number("origin")?, inputs.number("timestamp")?);
    outcome(slot.map(|slot| json!({ "slot": slot })))
}

pub(super) fn request_key(inputs: Inputs<'_>) -> Outcome {
    let key =
        slots::request_key(&inputs.array("sk")?, inputs.number("generation")?, inputs.number("counter")?);
    outcome(Ok(json!({ "k_req": encode(&key) })))
}
