//! Operations of a recovery.

use super::{
    InputError, Inputs, Outcome,
    frames::whole,
    logins::{grant, pair},
    outcome,
    resumes::session_json,
};
use crate::{
    hex::encode,
    reference::{
        hpke::derive_key_pair,
        recover::{Client, Server, recovery_key as key_of},
        ticket::client_id,
    },
};
use serde_json::json;

pub(super) fn recovery_key(inputs: Inputs<'_>) -> Outcome {
    outcome(Ok(json!({ "public": encode(&key_of(&inputs.array("reset_secret")?).public) })))
}

fn client(inputs: &Inputs<'_>, server_public: [u8; 32]) -> Result<Client, InputError> {
    Ok(Client {
        client_id: client_id(inputs.text("name")?.as_bytes()),
        secret: inputs.array("recovery_secret")?,
        server_public,
        recovery_public: inputs.array("recovery_public")?,
        identity: pair(inputs, "new_private")?,
        encapsulation: derive_key_pair(&inputs.array::<32>("encapsulation_ikm")?),
        ephemeral: pair(inputs, "client_ephemeral_private")?,
        channel_binding: inputs.bytes("channel_binding")?,
    })
}

fn server(inputs: &Inputs<'_>) -> Result<Server, InputError> {
    let mut secrets = Vec::new();
    for client in inputs.objects("clients")? {
        secrets.push((client.array("client_id")?, client.array("recovery_secret")?));
    }
    let mut enrolled = Vec::new();
    for key in inputs.bytes_list("enrolled")? {
        enrolled.push(key.try_into().map_err(|_| InputError::Field("enrolled"))?);
    }
    Ok(Server {
        public: inputs.array("server_public")?,
        recovery: key_of(&inputs.array("reset_secret")?),
        secrets,
        enrolled,
        allowed: inputs.numbers("allowed")?,
        channel_binding: inputs.bytes("channel_binding")?,
    })
}

pub(super) fn recover(inputs: Inputs<'_>) -> Outcome {
    let server = server(&inputs)?;
    let client = client(&inputs, server.public)?;
    let suites: Vec<u16> = inputs.numbers("suites")?;
    let frame = client.recover(inputs.number("login_id")?, &inputs.bytes("cookie")?, &suites);
    let accepted = match server.accept(&frame) {
        Ok(accepted) => accepted,
        Err(reason) => return outcome(Err(reason)),
    };
    let grant = grant(&inputs, accepted.suite)?;
    let (nonce, e_s) = (inputs.array("nonce_s")?, pair(&inputs, "server_ephemeral_private")?);
    let (answer, keys) = server.answer(&accepted, &frame, &nonce, &e_s, &grant.encode());
    outcome(client.read(&frame, &suites, &answer).map(|(got, same)| {
        assert!(got == grant && same.gs == keys.gs, "both sides hold the same");
        json!({
            "suite": accepted.suite,
            "recover": encode(&frame),
            "recover_r": encode(&answer),
            "gs0": encode(&keys.gs),
            "ck0": encode(&keys.ck0),
            "cf0": encode(&keys.cf),
        })
    }))
}

pub(super) fn recover_server(inputs: Inputs<'_>) -> Outcome {
    outcome(server(&inputs)?.accept(&whole(&inputs, "recover")?).map(|accepted| {
        json!({
            "client_id": encode(&accepted.client_id),
            "new_public": encode(&accepted.new_public),
            "suite": accepted.suite,
            "login_id": accepted.login_id,
        })
    }))
}

pub(super) fn recover_client(inputs: Inputs<'_>) -> Outcome {
    let client = client(&inputs, inputs.array("server_public")?)?;
    let suites: Vec<u16> = inputs.numbers("suites")?;
    let frame = client.recover(inputs.number("login_id")?, &inputs.bytes("cookie")?, &suites);
    let read = client.read(&frame, &suites, &whole(&inputs, "recover_r")?);
    outcome(read.map(|(grant, keys)| session_json(&grant, &keys)))
}
