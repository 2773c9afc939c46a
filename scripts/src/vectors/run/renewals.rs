//! Operations of a renewal.

use super::{InputError, Inputs, Outcome, frames::whole, logins::pair, outcome, requests::window};
use crate::{
    hex::encode,
    reference::{
        control::{Control, control_header, open_control, seal_control},
        point::shared,
        reject::Reject,
        renewal::{Client, Told, next_secret},
        schedule::{Schedule, schedule},
        session::{Bounds, Session},
        x25519::KeyPair,
    },
};
use serde_json::{Value, json};

fn keys(inputs: &Inputs<'_>) -> Result<Schedule, InputError> {
    Ok(schedule(inputs.array("gs")?, inputs.key_id("key_id")?, inputs.number("generation")?))
}

/// A public or private key that may be empty.
fn optional(inputs: &Inputs<'_>, name: &'static str) -> Result<Option<[u8; 32]>, InputError> {
    if inputs.text(name)?.is_empty() { Ok(None) } else { inputs.array(name).map(Some) }
}

pub(super) fn next_generation(inputs: Inputs<'_>) -> Outcome {
    let (keys, key_id) = (keys(&inputs)?, inputs.key_id("key_id")?);
    let generation: u16 = inputs.number("generation")?;
    let own = optional(&inputs, "client_ephemeral_private")?.map(KeyPair::new);
    let other = optional(&inputs, "server_ephemeral_public")?;
    let dh = match (own, other) {
        (Some(own), Some(other)) => match shared(&own, &other) {
            Some(secret) => Some([secret, own.public, other]),
            None => return outcome(Err(Reject::Control)),
        },
        _ => None,
    };
    let next = schedule(next_secret(&keys.rt, &inputs.array("n")?, dh), key_id, generation + 1);
    outcome(Ok(json!({
        "gs": encode(&next.gs),
        "rt": encode(&next.rt),
        "rs": encode(&next.rs),
        "ctlc": encode(&next.ctlc),
        "ctls": encode(&next.ctls),
        "ck0": encode(&next.ck0),
    })))
}

pub(super) fn control(inputs: Inputs<'_>) -> Outcome {
    let keys = keys(&inputs)?;
    let (key, control) = match inputs.text("what")? {
        "offer" => (keys.ctls, Control::Offer(inputs.array("n")?, optional(&inputs, "e_s")?)),
        "share" => (keys.ctlc, Control::Share(inputs.array("e_c")?)),
        "ticket" => (keys.ctls, Control::Ticket(inputs.bytes("ticket")?)),
        _ => return Err(InputError::Field("what")),
    };
    let (key_id, generation) = (inputs.key_id("key_id")?, inputs.number("generation")?);
    let header = control_header(key_id, generation, control.op(), inputs.number("timestamp")?);
    outcome(Ok(json!({ "frame": encode(&seal_control(&key, header, &control.payload())) })))
}

pub(super) fn open_control_frame(inputs: Inputs<'_>) -> Outcome {
    let frame = whole(&inputs, "frame")?;
    let opened = open_control(inputs.role()?, &keys(&inputs)?, &frame);
    outcome(opened.map(|(header, control)| {
        let says = match control {
            Control::Offer(n, e_s) => {
                json!({ "offer": { "n": encode(&n), "e_s": encode(e_s.as_ref().map_or(&[], |e_s| e_s)) } })
            }
            Control::Share(e_c) => json!({ "share": { "e_c": encode(&e_c) } }),
            Control::Ticket(ticket) => json!({ "ticket": { "ticket": encode(&ticket) } }),
        };
        json!({ "timestamp": header.timestamp, "says": says })
    }))
}

pub(super) fn take_controls(inputs: Inputs<'_>) -> Outcome {
    let first = (inputs.number("generation")?, keys(&inputs)?);
    let ephemeral = pair(&inputs, "client_ephemeral_private")?;
    let mut client = Client::new(inputs.key_id("key_id")?, first, inputs.number("origin")?, ephemeral);
    let mut told = Vec::new();
    for frame in inputs.bytes_list("frames")? {
        if frame.len() < 44 {
            return Err(InputError::Field("frames"));
        }
        told.push(match client.told(&frame) {
            Told::Renewed(share) => json!({ "renewed": encode(&share) }),
            Told::Ticket(ticket, rs) => json!({ "ticket": encode(&ticket), "rs": encode(&rs) }),
            Told::Nothing => json!("nothing"),
            Told::Broken => json!("broken"),
            Told::Refused => json!("control"),
        });
    }
    let (generation, keys) = client.newest();
    Ok(json!({ "told": told, "generation": generation, "gs": encode(&keys.gs) }))
}

pub(super) fn renewal(inputs: Inputs<'_>) -> Outcome {
    let limits = inputs.object("limits")?;
    let bounds = Bounds {
        renew_after_requests: limits.number("renew_after_requests")?,
        renew_after_ms: limits.number("renew_after_ms")?,
        reject_after_requests: limits.number("reject_after_requests")?,
        reject_after_ms: limits.number("reject_after_ms")?,
        window_bits: window(&inputs)?,
    };
    let origin = inputs.number("origin")?;
    let start = (inputs.number("generation")?, inputs.array("gs")?, origin);
    let mut session = Session::new(inputs.suite()?, inputs.key_id("key_id")?, bounds, start, origin);
    let mut now = origin;
    let mut verdicts = Vec::new();
    for event in inputs.objects("events")? {
        let at: u64 = event.number("at")?;
        if at < now {
            return Err(InputError::Field("at"));
        }
        now = at;
        verdicts.push(renewal_event(&mut session, now, &event)?);
    }
    Ok(json!({ "verdicts": Value::from(verdicts) }))
}

fn renewal_event(session: &mut Session, now: u64, event: &Inputs<'_>) -> Outcome {
    if let Ok(offer) = event.object("offer") {
        let sent = session.offer(now, offer.array("n")?, pair(&offer, "ephemeral_private")?);
        return Ok(sent.map_or(json!("none"), |frame| json!(encode(&frame))));
    }
    if event.object("is_due").is_ok() {
        return Ok(json!(if session.is_due(now) { "due" } else { "not due" }));
    }
    let frame = whole(event, "frame")?;
    let mut verdict = "none";
    for _ in 0..event.number::<u32>("times").unwrap_or(1) {
        verdict = session.judge(now, &frame).map_or_else(Reject::name, |()| "accept");
    }
    Ok(json!(verdict))
}
