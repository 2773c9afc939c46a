//! Operations of the login: HELLO, HELLO_R, RETRY.

use mvt_proto::{
    Reject, Suite,
    constants::{HELLO_BYTES, TAG_BYTES},
    frame::{grant::Grant, hello::Hello, retry::Retry},
    login::{Admitted, Identity, Initiator, Mac1, Offer, Responder},
    lost::LostKey,
    schedule::{GenerationKeys, extract},
    secret::Secret,
    session::ClientSession,
};
use serde_json::{Value, json};

use crate::{
    Case, Outcome,
    granted::{self, NOW_MS},
    hex, ok, reject,
    support::noise::{self, HelloParts},
    symmetric::limits,
    unhex,
};

fn secret(case: &Case, name: &str) -> Secret {
    Secret::new(case.array(name))
}

pub fn identity(case: &Case, name: &str) -> Identity {
    Identity::new(secret(case, name))
}

pub fn numbers(case: &Case, name: &str) -> Vec<u16> {
    case.list(name).iter().map(|value| value.as_u64().expect("a number") as u16).collect()
}

pub fn known(numbers: &[u16]) -> Vec<Suite> {
    numbers.iter().copied().filter_map(Suite::from_id).collect()
}

pub fn mac1(case: &Case) -> Outcome {
    let mac1 = Mac1::new(&case.array("server_public"));
    let hello = case.bytes("hello");
    let tag = mac1.tag(&hello[..hello.len() - TAG_BYTES]);
    mac1.verify(&hello).map_or_else(reject, |()| ok(json!({ "tag": hex(&tag) })))
}

/// Starts the client of the case; `None` when its list names suites this crate does not know.
fn start(case: &Case, server_public: &[u8; 32]) -> Option<Result<(Initiator, [u8; HELLO_BYTES]), Reject>> {
    let ids = numbers(case, "suites");
    let suites = known(&ids);
    let cookie: Option<[u8; 16]> = case.bytes("cookie").try_into().ok();
    let offer = Offer {
        server_public,
        suites: &suites,
        login_id: case.number("login_id"),
        cookie: cookie.as_ref(),
        channel_binding: &case.bytes("channel_binding"),
    };
    let started = || {
        Initiator::start(&identity(case, "client_private"), &offer, secret(case, "client_ephemeral_private"))
    };
    (suites.len() == ids.len()).then(started)
}

/// The HELLO of a client that knows more suites than this crate does.
fn hello_of_more_suites(case: &Case, server: &Identity) -> Vec<u8> {
    let ids = numbers(case, "suites");
    let mut lists = vec![0, ids.len() as u8];
    ids.iter().for_each(|id| lists.extend_from_slice(&id.to_be_bytes()));
    noise::hello(
        server,
        &HelloParts {
            ephemeral_public: *identity(case, "client_ephemeral_private").public(),
            static_public: *identity(case, "client_private").public(),
            lists: &lists,
            login_id: case.number("login_id"),
            padding: 0,
        },
    )
}

pub fn grant(reply: &Case, suite: Suite) -> Grant {
    Grant {
        key_id: reply.key_id(),
        suite,
        server_time_ms: reply.number("server_time"),
        limits: limits(reply, reply.number("replay_window_bits")),
        lost_key: LostKey::new(reply.array("lost_key")),
    }
}

/// Any grant of a suite.
pub fn any_grant(suite: Suite) -> Grant {
    Grant {
        key_id: 7,
        suite,
        server_time_ms: 0,
        limits: mvt_proto::Limits::DEFAULT,
        lost_key: LostKey::new([0; 16]),
    }
}

fn read(case: &Case, server: &Identity, frame: &[u8], ephemeral: Secret) -> Result<Responder, Reject> {
    mvt_proto::Header::parse(frame, mvt_proto::Role::Server)?;
    Mac1::new(server.public()).verify(frame)?;
    Responder::read(server, Hello::parse(frame)?, &case.bytes("channel_binding"), ephemeral)
}

pub fn login(case: &Case) -> Outcome {
    run_login(case).unwrap_or_else(reject)
}

fn run_login(case: &Case) -> Result<Outcome, Reject> {
    let server = identity(case, "server_private");
    let (initiator, hello) = match start(case, server.public()) {
        Some(started) => started.map(|(initiator, hello)| (Some(initiator), hello.to_vec()))?,
        None => (None, hello_of_more_suites(case, &server)),
    };
    let responder = read(case, &server, &hello, secret(case, "server_ephemeral_private"))?;
    let suite = responder.choose_suite(&known(&numbers(case, "allowed")))?;
    let client_public = hex(responder.client_public());
    let Admitted { answer: hello_r, .. } = responder.admit(&grant(&case.part("reply"), suite))?;
    let mut made = json!({
        "suite": suite as u16, "client_public": client_public, "hello": hex(&hello), "hello_r": hex(&hello_r),
    });
    let session = initiator.map(|initiator| initiator.finish(&hello_r, NOW_MS)).transpose()?;
    add_keys(&mut made, case, session, case.part("reply").key_id(), &hello_r);
    Ok(ok(made))
}

/// The crate does not hand out its keys, so it is asked whether they are the expected ones: the HELLO_R ends with the
/// tag of cf0, the session seals what ck0 seals, and both come from gs0, which comes from h, k1 and k2.
fn add_keys(made: &mut Value, case: &Case, session: Option<ClientSession>, key_id: u64, hello_r: &[u8]) {
    let expected = |name| case.expected_ok(name).and_then(Value::as_str).map(unhex).unwrap_or_default();
    let gs0 = extract(&expected("h"), &[expected("k1"), expected("k2")].concat());
    let gs0_holds = gs0.expose()[..] == expected("gs0");
    let keys = GenerationKeys::derive(gs0, key_id, 0);
    let ck0_holds = keys.request_chain.expose()[..] == expected("ck0");
    let cf0_holds = keys.confirm.expose()[..] == expected("cf0");

    let confirm = mvt_lanes::HmacKey::new(keys.confirm.expose());
    let (before_tag, tag) = hello_r.split_at(hello_r.len() - TAG_BYTES);
    let confirms = mvt_lanes::mac(&confirm, before_tag)[..TAG_BYTES] == *tag;
    let seals = session.is_none_or(|session| granted::seals_under(session, keys.request_chain));
    for (name, holds) in [
        ("h", gs0_holds && confirms),
        ("k1", gs0_holds && confirms),
        ("k2", gs0_holds && confirms),
        ("gs0", gs0_holds && confirms),
        ("ck0", ck0_holds && seals),
        ("cf0", cf0_holds && confirms),
    ] {
        made[name] = if holds { case.expected_ok(name).cloned().unwrap_or_default() } else { Value::Null };
    }
}

pub fn login_server(case: &Case) -> Outcome {
    run_login_server(case).unwrap_or_else(reject)
}

fn run_login_server(case: &Case) -> Result<Outcome, Reject> {
    let server = identity(case, "server_private");
    let hello = case.bytes("hello");
    let responder = read(case, &server, &hello, Secret::new([9; 32]))?;
    let client_public = hex(responder.client_public());
    if !case.list("enrolled").iter().any(|known| *known == client_public) {
        return Err(Reject::UnknownClient);
    }
    let suite = responder.choose_suite(&known(&numbers(case, "allowed")))?;
    let login_id = Hello::parse(&hello)?.login_id;
    Ok(ok(json!({ "client_public": client_public, "suite": suite as u16, "login_id": login_id })))
}

pub fn login_client(case: &Case) -> Outcome {
    run_login_client(case).unwrap_or_else(reject)
}

fn run_login_client(case: &Case) -> Result<Outcome, Reject> {
    let (initiator, _) = start(case, &case.array("server_public")).expect("known suites")?;
    let hello_r = case.bytes("hello_r");
    let mut session = initiator.finish(&hello_r, NOW_MS)?;
    let mut made = json!({ "reply": granted::reply(case, &mut session) });
    let (again, _) = start(case, &case.array("server_public")).expect("known suites")?;
    let fresh = again.finish(&hello_r, NOW_MS)?;
    let key_id = fresh.key_id();
    add_keys(&mut made, case, Some(fresh), key_id, &hello_r);
    Ok(ok(made))
}

pub fn retry(case: &Case) -> Outcome {
    let payload = case.bytes("payload");
    let retry = match case.number("status") {
        1 => Retry::Cookie(payload.try_into().expect("16 bytes")),
        2 => Retry::Busy(u32::from_be_bytes(payload.try_into().expect("4 bytes"))),
        status => panic!("status {status}"),
    };
    let frame = retry.to_frame(&case.bytes("hello"), &Mac1::new(&case.array("server_public")));
    ok(json!({ "frame": hex(&frame) }))
}

pub fn open_retry(case: &Case) -> Outcome {
    let hello = case.bytes("hello");
    let login_id = hello[16..22].iter().fold(0, |id, byte| id << 8 | u64::from(*byte));
    let tag = mvt_proto::suite::tag_of(&hello);
    let mac1 = Mac1::new(&case.array("server_public"));
    Retry::parse(&case.bytes("frame"), login_id, &tag, &mac1).map_or_else(reject, |retry| match retry {
        Retry::Cookie(cookie) => ok(json!({ "status": 1, "payload": hex(&cookie) })),
        Retry::Busy(wait_ms) => ok(json!({ "status": 2, "payload": hex(&wait_ms.to_be_bytes()) })),
    })
}
