//! Operations on tickets.

use super::{InputError, Inputs, Outcome, outcome};
use crate::{
    hex::encode,
    reference::{
        hkdf::array,
        ticket::{
            Revocation, RingKey, Ticket, client_id as id_of, expiry, open_ticket as open, ring_is_good,
            sealing_key as seals, ticket_key_id,
        },
    },
};
use serde_json::{Value, json};

/// The keys of a ring.
pub(super) fn ring_of(inputs: &Inputs<'_>) -> Result<Vec<RingKey>, InputError> {
    let key = |key: Inputs<'_>| {
        Ok(RingKey {
            key: key.array("key")?,
            seals_from: key.number("seals_from")?,
            opens_until: key.number("opens_until")?,
        })
    };
    inputs.objects("ring")?.into_iter().map(key).collect()
}

/// Revocations in force.
pub(super) fn revoked(inputs: &Inputs<'_>) -> Result<Vec<Revocation>, InputError> {
    let one = |one: Inputs<'_>| Ok((one.array("client_id")?, one.number("time")?));
    inputs.objects("revoked")?.into_iter().map(one).collect()
}

/// What a ticket seals, as a case writes it.
pub(super) fn ticket_of(inputs: &Inputs<'_>) -> Result<Ticket, InputError> {
    let fields = inputs.object("fields")?;
    Ok(Ticket {
        suite: fields.number("suite")?,
        client_id: fields.array("client_id")?,
        rs: fields.array("rs")?,
        issued: fields.number("issued")?,
        expires: fields.number("expires")?,
        authenticated: fields.number("authenticated")?,
        generation: fields.number("generation")?,
        policy: fields.number("policy")?,
    })
}

/// The inverse of [`ticket_of`].
pub(in crate::vectors) fn ticket_json(ticket: &Ticket) -> Value {
    json!({
        "suite": ticket.suite,
        "client_id": encode(&ticket.client_id),
        "rs": encode(&ticket.rs),
        "issued": ticket.issued,
        "expires": ticket.expires,
        "authenticated": ticket.authenticated,
        "generation": ticket.generation,
        "policy": ticket.policy,
    })
}

pub(super) fn client_id(inputs: Inputs<'_>) -> Outcome {
    outcome(Ok(json!({ "client_id": encode(&id_of(inputs.text("name")?.as_bytes())) })))
}

pub(super) fn ticket(inputs: Inputs<'_>) -> Outcome {
    let sealed = ticket_of(&inputs)?.seal(&inputs.array("ticket_key")?, &inputs.array("nonce")?);
    outcome(Ok(json!({ "ticket": encode(&sealed) })))
}

pub(super) fn open_ticket(inputs: Inputs<'_>) -> Outcome {
    let (ring, revoked) = (ring_of(&inputs)?, revoked(&inputs)?);
    let opened = open(&ring, &revoked, inputs.number("now")?, &inputs.bytes("ticket")?);
    outcome(opened.map(|ticket| ticket_json(&ticket)))
}

pub(super) fn ring(inputs: Inputs<'_>) -> Outcome {
    let mut keys = Vec::new();
    for key in inputs.bytes_list("keys")? {
        if key.len() != 32 {
            return Ok(json!({ "reject": "ring" }));
        }
        keys.push(RingKey { key: array(&key), seals_from: 0, opens_until: 1 });
    }
    let ids: Vec<String> = keys.iter().map(|key| encode(&ticket_key_id(&key.key))).collect();
    Ok(if ring_is_good(&keys) { json!({ "ok": { "ids": ids } }) } else { json!({ "reject": "ring" }) })
}

pub(super) fn sealing_key(inputs: Inputs<'_>) -> Outcome {
    let (ring, now) = (ring_of(&inputs)?, inputs.number("now")?);
    let (life, authenticated) = (inputs.number("life")?, inputs.number("authenticated")?);
    Ok(match seals(&ring, now) {
        None => json!({ "none": true }),
        Some(key) => json!({ "ok": {
            "id": encode(&ticket_key_id(&key.key)),
            "expires": expiry(key, now, life, authenticated),
        } }),
    })
}
