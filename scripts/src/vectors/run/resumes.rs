//! Operations of a resume.

use super::{
    InputError, Inputs, Outcome,
    frames::whole,
    logins::{grant, grant_json, pair},
    outcome,
    tickets::{revoked, ring_of, ticket_json},
};
use crate::{
    hex::encode,
    reference::{
        grant::Grant,
        resume::{Client, Server, WITH_DH},
        schedule::Schedule,
    },
};
use serde_json::{Value, json};

fn client(inputs: &Inputs<'_>, server_public: [u8; 32]) -> Result<Client, InputError> {
    Ok(Client {
        rs: inputs.array("rs")?,
        ticket: inputs.bytes("ticket")?,
        suite: inputs.number("suite")?,
        nonce: inputs.array("nonce_c")?,
        ephemeral: pair(inputs, "client_ephemeral_private")?,
        server_public,
        channel_binding: inputs.bytes("channel_binding")?,
    })
}

fn server(inputs: &Inputs<'_>) -> Result<Server, InputError> {
    Ok(Server {
        public: inputs.array("server_public")?,
        ring: ring_of(inputs)?,
        revoked: revoked(inputs)?,
        allowed: inputs.numbers("allowed")?,
        channel_binding: inputs.bytes("channel_binding")?,
    })
}

/// What both sides hold: the outcome of a whole resume or recovery but for its frames.
pub(super) fn session_json(grant: &Grant, keys: &Schedule) -> Value {
    json!({
        "reply": grant_json(grant),
        "gs0": encode(&keys.gs),
        "ck0": encode(&keys.ck0),
        "cf0": encode(&keys.cf),
    })
}

pub(super) fn resume(inputs: Inputs<'_>) -> Outcome {
    let server = server(&inputs)?;
    let client = client(&inputs, server.public)?;
    let (mode, login_id): (u16, u64) = (inputs.number("mode")?, inputs.number("login_id")?);
    let frame = client.resume(mode, login_id, &inputs.bytes("cookie")?);
    let accepted = match server.accept(inputs.number("now")?, &frame) {
        Ok(accepted) => accepted,
        Err(reason) => return outcome(Err(reason)),
    };
    let grant = grant(&inputs, accepted.ticket.suite)?;
    let (nonce, e_s) = (inputs.array("nonce_s")?, pair(&inputs, "server_ephemeral_private")?);
    let (answer, keys) = server.answer(&accepted, &frame, &nonce, &e_s, &grant.encode());
    outcome(client.read(&frame, &answer).map(|(got, same)| {
        assert!(got == grant && same.gs == keys.gs, "both sides hold the same");
        json!({
            "resume": encode(&frame),
            "resume_r": encode(&answer),
            // 11.2.4: without a Diffie-Hellman so far the first OFFER has form 1.
            "first_form": u8::from(mode != WITH_DH),
            "gs0": encode(&keys.gs),
            "ck0": encode(&keys.ck0),
            "cf0": encode(&keys.cf),
        })
    }))
}

pub(super) fn resume_server(inputs: Inputs<'_>) -> Outcome {
    let accepted = server(&inputs)?.accept(inputs.number("now")?, &whole(&inputs, "resume")?);
    outcome(accepted.map(|accepted| {
        json!({
            "mode": accepted.mode,
            "login_id": accepted.login_id,
            "fields": ticket_json(&accepted.ticket),
        })
    }))
}

pub(super) fn resume_client(inputs: Inputs<'_>) -> Outcome {
    let client = client(&inputs, inputs.array("server_public")?)?;
    let (mode, login_id) = (inputs.number("mode")?, inputs.number("login_id")?);
    let frame = client.resume(mode, login_id, &inputs.bytes("cookie")?);
    let read = client.read(&frame, &whole(&inputs, "resume_r")?);
    outcome(read.map(|(grant, keys)| session_json(&grant, &keys)))
}
