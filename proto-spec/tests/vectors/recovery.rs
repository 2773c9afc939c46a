//! Operations of a recovery: RECOVER, RECOVER_R (SPEC §13).

use mvt_proto::{
    Header, Reject, Role,
    frame::recover::Recover,
    login::{Admitted, Mac1},
    recovery::{Initiator, Offer, RecoveryKey, RecoveryKit, Responder},
    secret::Secret,
};
use serde_json::json;

use crate::{
    Case, Outcome,
    granted::{self, NOW_MS},
    hex, login, ok, reject, unhex,
};

fn secret(case: &Case, name: &str) -> Secret {
    Secret::new(case.array(name))
}

pub fn recovery_key(case: &Case) -> Outcome {
    ok(json!({ "public": hex(RecoveryKey::new(&secret(case, "reset_secret")).public()) }))
}

fn start(case: &Case) -> Result<(Initiator, [u8; 512]), Reject> {
    let suites = login::known(&login::numbers(case, "suites"));
    let kit = RecoveryKit {
        name: case.text("name").to_owned(),
        recovery_secret: secret(case, "recovery_secret"),
        server_public: case.array("server_public"),
        recovery_public: case.array("recovery_public"),
    };
    let cookie: Option<[u8; 16]> = case.bytes("cookie").try_into().ok();
    let offer = Offer {
        new_identity: &login::identity(case, "new_private"),
        suites: &suites,
        login_id: case.number("login_id"),
        cookie: cookie.as_ref(),
        channel_binding: &case.bytes("channel_binding"),
    };
    let (material, ephemeral) = (secret(case, "encapsulation_ikm"), secret(case, "client_ephemeral_private"));
    Initiator::start(&kit, &offer, &material, ephemeral)
}

/// §13.2.2: a client without a recovery secret is judged under a random one.
fn recovery_secret(case: &Case, recover: &Recover<'_>) -> Secret {
    let id = json!(hex(recover.client.as_bytes()));
    let known = case.list("clients").iter().find(|client| client["client_id"] == id);
    let secret = known.map(|client| unhex(client["recovery_secret"].as_str().expect("hex")));
    Secret::new(secret.map_or([0x77; 32], |secret| secret.try_into().expect("32 bytes")))
}

/// The order of §13.2.1; whether the key is enrolled is for whoever keeps identities.
fn opened<'f>(case: &Case, frame: &'f [u8], channel_binding: &'f [u8]) -> Result<Responder<'f>, Reject> {
    Header::parse(frame, Role::Server)?;
    let server_public = case.array("server_public");
    Mac1::new(&server_public).verify(frame)?;
    let recover = Recover::parse(frame)?;
    let key = RecoveryKey::new(&secret(case, "reset_secret"));
    let recovery_secret = recovery_secret(case, &recover);
    let responder = Responder::read(&recover, &key, &server_public, &recovery_secret, channel_binding)?;
    let new_public = json!(hex(responder.new_public()));
    if case.list("enrolled").contains(&new_public) {
        return Err(Reject::Recovery);
    }
    Ok(responder)
}

fn run(case: &Case) -> Result<Outcome, Reject> {
    let (initiator, frame) = start(case)?;
    let binding = case.bytes("channel_binding");
    let responder = opened(case, &frame, &binding)?;
    let suite = responder.choose_suite(&login::known(&login::numbers(case, "allowed")))?;
    let grant = login::grant(&case.part("reply"), suite);
    let (nonce, e_s) = (secret(case, "nonce_s"), secret(case, "server_ephemeral_private"));
    let Admitted { answer, .. } = responder.admit(&grant, &nonce, &e_s)?;
    let mut made = json!({ "suite": suite as u16, "recover": hex(&frame), "recover_r": hex(&answer) });
    granted::add_keys(&mut made, case, initiator.finish(&answer, NOW_MS)?, &answer);
    Ok(ok(made))
}

pub fn recover(case: &Case) -> Outcome {
    run(case).unwrap_or_else(reject)
}

fn serve(case: &Case) -> Result<Outcome, Reject> {
    let (frame, binding) = (case.bytes("recover"), case.bytes("channel_binding"));
    let responder = opened(case, &frame, &binding)?;
    let suite = responder.choose_suite(&login::known(&login::numbers(case, "allowed")))?;
    let made = ok(json!({
        "client_id": hex(responder.client().as_bytes()),
        "new_public": hex(responder.new_public()),
        "suite": suite as u16,
        "login_id": Header::parse(&frame, Role::Server)?.counter,
    }));
    // The points are judged where they are used.
    let grant = login::any_grant(suite);
    responder.admit(&grant, &Secret::new([3; 32]), &Secret::new([5; 32])).map(|_| made)
}

pub fn recover_server(case: &Case) -> Outcome {
    serve(case).unwrap_or_else(reject)
}

fn read(case: &Case) -> Result<Outcome, Reject> {
    let answer = case.bytes("recover_r");
    let finish = || start(case)?.0.finish(&answer, NOW_MS);
    let mut made = json!({ "reply": granted::reply(case, &mut finish()?) });
    granted::add_keys(&mut made, case, finish()?, &answer);
    Ok(ok(made))
}

pub fn recover_client(case: &Case) -> Outcome {
    read(case).unwrap_or_else(reject)
}
