//! Operations of a login.

use super::{InputError, Inputs, Outcome, frames::whole, outcome};
use crate::{
    hex::encode,
    reference::{
        frame::parts,
        grant::Grant,
        hkdf::array,
        login as hellos,
        reject::Reject,
        reply::{Keys, hello_r, read_hello_r},
        retry as retries,
        x25519::KeyPair,
    },
};
use serde_json::{Value, json};

pub(super) fn mac1(inputs: Inputs<'_>) -> Outcome {
    let hello = whole(&inputs, "hello")?;
    let tag = hellos::mac1(&inputs.array("server_public")?, &hello);
    let held = parts(&hello).2 == tag;
    outcome(if held { Ok(json!({ "tag": encode(&tag) })) } else { Err(Reject::Mac1) })
}

pub(super) fn pair(inputs: &Inputs<'_>, name: &'static str) -> Result<KeyPair, InputError> {
    Ok(KeyPair::new(inputs.array(name)?))
}

fn client(inputs: &Inputs<'_>, server_public: [u8; 32]) -> Result<hellos::Client, InputError> {
    Ok(hellos::Client {
        identity: pair(inputs, "client_private")?,
        ephemeral: pair(inputs, "client_ephemeral_private")?,
        server_public,
        channel_binding: inputs.bytes("channel_binding")?,
    })
}

/// The grant of §10.2 as a case writes it; the suite is the server's choice.
pub(super) fn grant(inputs: &Inputs<'_>, suite: u16) -> Result<Grant, InputError> {
    let grant = inputs.object("reply")?;
    Ok(Grant {
        key_id: grant.key_id("key_id")?,
        suite,
        server_time: grant.number("server_time")?,
        renew_after_requests: grant.number("renew_after_requests")?,
        reject_after_requests: grant.number("reject_after_requests")?,
        renew_after_ms: grant.number("renew_after_ms")?,
        reject_after_ms: grant.number("reject_after_ms")?,
        replay_window_bits: grant.number("replay_window_bits")?,
        lost_key: grant.array("lost_key")?,
    })
}

pub(super) fn grant_json(grant: &Grant) -> Value {
    json!({
        "key_id": encode(&grant.key_id.to_be_bytes()),
        "suite": grant.suite,
        "server_time": grant.server_time,
        "renew_after_requests": grant.renew_after_requests,
        "reject_after_requests": grant.reject_after_requests,
        "renew_after_ms": grant.renew_after_ms,
        "reject_after_ms": grant.reject_after_ms,
        "replay_window_bits": grant.replay_window_bits,
        "lost_key": encode(&grant.lost_key),
    })
}

pub(super) fn login(inputs: Inputs<'_>) -> Outcome {
    let identity = pair(&inputs, "server_private")?;
    let client = client(&inputs, identity.public)?;
    let suites: Vec<u16> = inputs.numbers("suites")?;
    let login_id = inputs.number("login_id")?;
    let (hello, noise) = client.padded_hello(login_id, &inputs.bytes("cookie")?, &suites);
    let server = hellos::Server {
        identity,
        ephemeral: pair(&inputs, "server_ephemeral_private")?,
        enrolled: vec![client.identity.public],
        allowed: inputs.numbers("allowed")?,
        channel_binding: client.channel_binding.clone(),
    };
    let accepted = match server.accept(&hello) {
        Ok(accepted) => accepted,
        Err(reason) => return outcome(Err(reason)),
    };
    let sent = grant(&inputs, accepted.suite)?;
    let (frame, keys) = hello_r(&accepted.noise, login_id, &sent.encode());
    let read = read_hello_r(&noise, login_id, &suites, &frame);
    outcome(read.map(|(got, same)| {
        assert!(got == sent && same.schedule.gs == keys.schedule.gs, "both sides hold the same");
        let mut ok = json!({
            "suite": accepted.suite,
            "client_public": encode(&accepted.client_public),
            "hello": encode(&hello),
            "hello_r": encode(&frame),
        });
        ok.as_object_mut().expect("an object").extend(keys_json(&keys));
        ok
    }))
}

fn keys_json(keys: &Keys) -> serde_json::Map<String, Value> {
    let named: [(&str, &[u8; 32]); 6] = [
        ("h", &keys.h),
        ("k1", &keys.k1),
        ("k2", &keys.k2),
        ("gs0", &keys.schedule.gs),
        ("ck0", &keys.schedule.ck0),
        ("cf0", &keys.schedule.cf),
    ];
    named.into_iter().map(|(name, key)| (name.to_owned(), json!(encode(key)))).collect()
}

pub(super) fn login_server(inputs: Inputs<'_>) -> Outcome {
    let mut enrolled = Vec::new();
    for key in inputs.bytes_list("enrolled")? {
        enrolled.push(key.try_into().map_err(|_| InputError::Field("enrolled"))?);
    }
    let identity = pair(&inputs, "server_private")?;
    let server = hellos::Server {
        identity,
        // No message 2 is written here, so any key will do.
        ephemeral: identity,
        enrolled,
        allowed: inputs.numbers("allowed")?,
        channel_binding: inputs.bytes("channel_binding")?,
    };
    outcome(server.accept(&whole(&inputs, "hello")?).map(|accepted| {
        json!({
            "client_public": encode(&accepted.client_public),
            "suite": accepted.suite,
            "login_id": accepted.login_id,
        })
    }))
}

pub(super) fn login_client(inputs: Inputs<'_>) -> Outcome {
    let client = client(&inputs, inputs.array("server_public")?)?;
    let suites: Vec<u16> = inputs.numbers("suites")?;
    let login_id = inputs.number("login_id")?;
    let (_, noise) = client.padded_hello(login_id, &inputs.bytes("cookie")?, &suites);
    let read = read_hello_r(&noise, login_id, &suites, &whole(&inputs, "hello_r")?);
    outcome(read.map(|(grant, keys)| {
        let mut ok = json!({ "reply": grant_json(&grant) });
        ok.as_object_mut().expect("an object").extend(keys_json(&keys));
        ok
    }))
}

pub(super) fn retry(inputs: Inputs<'_>) -> Outcome {
    let hello = whole(&inputs, "hello")?;
    let payload = inputs.bytes("payload")?;
    let frame = retries::retry(&inputs.array("server_public")?, &hello, inputs.number("status")?, &payload);
    outcome(Ok(json!({ "frame": encode(&frame) })))
}

pub(super) fn open_retry(inputs: Inputs<'_>) -> Outcome {
    let (hello, frame) = (whole(&inputs, "hello")?, whole(&inputs, "frame")?);
    let opened = retries::open_retry(&array(&inputs.bytes("server_public")?), &hello, &frame);
    outcome(opened.map(|(status, payload)| json!({ "status": status, "payload": encode(&payload) })))
}
