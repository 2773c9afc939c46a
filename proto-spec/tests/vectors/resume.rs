//! Operations of a resume: RESUME, RESUME_R (SPEC §12).

use mvt_proto::{
    Header, Reject, Role, Suite,
    frame::resume::{Mode, Resume},
    login::{Admitted, Mac1},
    resume::{Initiator, Kept, Offer, Opened, Responder},
    secret::Secret,
};
use serde_json::json;

use crate::{
    Case, Outcome,
    granted::{self, NOW_MS},
    hex, login, ok, reject, tickets,
};

fn secret(case: &Case, name: &str) -> Secret {
    Secret::new(case.array(name))
}

fn mode(case: &Case) -> Mode {
    match case.number("mode") {
        1 => Mode::DiffieHellman,
        2 => Mode::PskAlone,
        mode => panic!("mode {mode}"),
    }
}

fn start(case: &Case) -> (Initiator, [u8; 512]) {
    let kept = Kept { ticket: case.array("ticket"), resume_secret: secret(case, "rs"), suite: case.suite() };
    let cookie: Option<[u8; 16]> = case.bytes("cookie").try_into().ok();
    let offer = Offer {
        server_public: &case.array("server_public"),
        mode: mode(case),
        login_id: case.number("login_id"),
        cookie: cookie.as_ref(),
        channel_binding: &case.bytes("channel_binding"),
    };
    Initiator::start(&kept, &offer, &secret(case, "nonce_c"), secret(case, "client_ephemeral_private"))
}

/// The order of §12.3.1, revocation and suite where their keeper judges them.
fn verified<'f>(case: &Case, frame: &'f [u8], channel_binding: &'f [u8]) -> Result<Responder<'f>, Reject> {
    Header::parse(frame, Role::Server)?;
    Mac1::new(&case.array("server_public")).verify(frame)?;
    let opened = Opened::open(Resume::parse(frame)?, &tickets::ring_of(case), case.number("now"))?;
    tickets::judge_revoked(case, opened.ticket())?;
    opened.verify(channel_binding)
}

fn allowed(case: &Case, suite: Suite) -> Result<(), Reject> {
    let allowed = login::numbers(case, "allowed").contains(&(suite as u16));
    if allowed { Ok(()) } else { Err(Reject::NoSuite) }
}

fn run(case: &Case) -> Result<Outcome, Reject> {
    let (initiator, frame) = start(case);
    let binding = case.bytes("channel_binding");
    let responder = verified(case, &frame, &binding)?;
    let suite = responder.ticket().suite;
    allowed(case, suite)?;
    let grant = login::grant(&case.part("reply"), suite);
    let (nonce, e_s) = (secret(case, "nonce_s"), secret(case, "server_ephemeral_private"));
    let Admitted { answer, session } = responder.admit(&grant, &nonce, &e_s)?;
    let client = initiator.finish(&answer, NOW_MS)?;
    let mut made = json!({
        "resume": hex(&frame),
        "resume_r": hex(&answer),
        "first_form": u8::from(session.wants_exchange(grant.server_time_ms)),
    });
    granted::add_keys(&mut made, case, client, &answer);
    Ok(ok(made))
}

pub fn resume(case: &Case) -> Outcome {
    run(case).unwrap_or_else(reject)
}

fn serve(case: &Case) -> Result<Outcome, Reject> {
    let (frame, binding) = (case.bytes("resume"), case.bytes("channel_binding"));
    let responder = verified(case, &frame, &binding)?;
    allowed(case, responder.ticket().suite)?;
    let header = Header::parse(&frame, Role::Server)?;
    let made = ok(json!({
        "mode": header.op, "login_id": header.counter, "fields": tickets::fields(responder.ticket()),
    }));
    // e_c is judged where it is used.
    let grant = login::any_grant(responder.ticket().suite);
    responder.admit(&grant, &Secret::new([3; 32]), &Secret::new([5; 32])).map(|_| made)
}

pub fn resume_server(case: &Case) -> Outcome {
    serve(case).unwrap_or_else(reject)
}

fn read(case: &Case) -> Result<Outcome, Reject> {
    let answer = case.bytes("resume_r");
    let mut session = start(case).0.finish(&answer, NOW_MS)?;
    let mut made = json!({ "reply": granted::reply(case, &mut session) });
    granted::add_keys(&mut made, case, start(case).0.finish(&answer, NOW_MS)?, &answer);
    Ok(ok(made))
}

pub fn resume_client(case: &Case) -> Outcome {
    read(case).unwrap_or_else(reject)
}
