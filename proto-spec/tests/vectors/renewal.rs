//! Control frames and renewal (SPEC §11).

use std::sync::Arc;

use mvt_proto::{
    Header, Kind, Limits, Reject, Role,
    agreement::{self, Ephemeral},
    constants::STAY_MS,
    frame::control::{self, About, Control, Says},
    header::key_id_of,
    lost::LostKey,
    schedule::{Exchanged, GenerationKeys, extract},
    secret::Secret,
    session::{BadTags, ClientSession, Granted, Offering, ServerSession, Shared, Told},
};
use serde_json::{Value, json};

use crate::{Case, Outcome, hex, ok, reject, symmetric, unhex};

fn generation(case: &Case) -> u16 {
    case.number("generation") as u16
}

fn keys(case: &Case) -> GenerationKeys {
    GenerationKeys::derive(Secret::new(case.array("gs")), case.key_id(), generation(case))
}

pub fn next_generation(case: &Case) -> Outcome {
    let exchanged = case.has("client_ephemeral_private").then(|| {
        let pair = Secret::new(case.array("client_ephemeral_private"));
        let server_public = case.array("server_ephemeral_public");
        Exchanged {
            shared: agreement::agree(&pair, &server_public).expect("a good point"),
            client_public: agreement::public_of(&pair),
            server_public,
        }
    });
    let nonce = Secret::new(case.array("n"));
    let number = generation(case) + 1;
    let ratchet = keys(case).ratchet;
    // The crate hands out no GS; its keys, which are all in the vector, must be those of this one.
    let mut material = nonce.expose().to_vec();
    if let Some(Exchanged { shared, client_public, server_public }) = &exchanged {
        material.extend_from_slice(&[*shared.expose(), *client_public, *server_public].concat());
    }
    let secret = extract(ratchet.expose(), &material);
    let next = GenerationKeys::renew(ratchet, &nonce, exchanged.as_ref(), case.key_id(), number);
    let text = |key: &Secret| hex(key.expose());
    ok(json!({
        "gs": text(&secret),
        "rt": text(&next.ratchet), "rs": text(&next.resume), "ctlc": text(&next.control_c2s),
        "ctls": text(&next.control_s2c), "ck0": text(&next.request_chain),
    }))
}

pub fn control(case: &Case) -> Outcome {
    let keys = keys(case);
    let about =
        About { key_id: case.key_id(), generation: generation(case), timestamp: case.number("timestamp") };
    let mut frame = Vec::new();
    match case.text("what") {
        "offer" => {
            let mut payload = case.bytes("n");
            let public = case.bytes("e_s");
            payload.push(u8::from(!public.is_empty()));
            payload.extend_from_slice(&public);
            Control::Offer.seal(&keys.control_s2c, about, &payload, &mut frame);
        }
        "share" => Control::Share.seal(&keys.control_c2s, about, &case.bytes("e_c"), &mut frame),
        _ => Control::Ticket.seal(&keys.control_s2c, about, &case.bytes("ticket"), &mut frame),
    }
    ok(json!({ "frame": hex(&frame) }))
}

fn read_control(case: &Case) -> Result<Outcome, Reject> {
    let (role, keys) = (symmetric::role(case), keys(case));
    let mut frame = case.bytes("frame");
    let header = Header::parse(&frame, role)?;
    let key = if role == Role::Server { &keys.control_c2s } else { &keys.control_s2c };
    let says = match control::open(role, key, &header, &mut frame)? {
        Says::Offer(offer) => {
            let e_s = offer.public.map(|public| hex(&public)).unwrap_or_default();
            json!({ "offer": { "n": hex(offer.nonce.expose()), "e_s": e_s } })
        }
        Says::Share(e_c) => json!({ "share": { "e_c": hex(&e_c) } }),
        Says::Ticket(ticket) => json!({ "ticket": { "ticket": hex(ticket) } }),
    };
    Ok(ok(json!({ "timestamp": header.timestamp, "says": says })))
}

pub fn open_control(case: &Case) -> Outcome {
    read_control(case).unwrap_or_else(reject)
}

pub fn take_controls(case: &Case) -> Outcome {
    let granted = Granted {
        key_id: case.key_id(),
        suite: mvt_proto::Suite::Gcm256,
        limits: Limits::DEFAULT,
        server_time_ms: case.number("origin"),
        keys: keys(case),
        lost_key: LostKey::new([0; 16]),
    };
    let mut session = ClientSession::new(granted, 0);
    let mut tell = |frame: &Value| {
        let mut frame = unhex(frame.as_str().expect("hex"));
        let random = Secret::new(case.array("client_ephemeral_private"));
        let mut share = Vec::new();
        let told = Header::parse(&frame, Role::Client)
            .and_then(|header| session.control(&header, &mut frame, random, 0, &mut share));
        match told {
            Ok(Told::Renewed) => json!({ "renewed": hex(&share) }),
            Ok(Told::Nothing) => json!("nothing"),
            Ok(Told::Broken) => json!("broken"),
            Ok(Told::Ticket(kept)) => {
                json!({ "ticket": hex(&kept.ticket), "rs": hex(kept.resume_secret.expose()) })
            }
            Err(reject) => json!(reject.name()),
        }
    };
    let told: Vec<_> = case.list("frames").iter().map(&mut tell).collect();
    json!({ "told": told, "generation": session.generation(), "gs": newest_secret(case, &mut session) })
}

/// The expected GS of the newest generation, if what the session seals says so: the crate does not hand out its keys.
fn newest_secret(case: &Case, session: &mut ClientSession) -> Value {
    let expected = case.value("expect")["gs"].clone();
    let gs: [u8; 32] = unhex(expected.as_str().unwrap_or_default()).try_into().unwrap_or_default();
    let number = session.generation();
    let mut sealed = Vec::new();
    // After an OFFER the first one is the last of the generation before, as soon as the moment after a SHARE is over (§11.3.9).
    for _ in 0..2 {
        sealed.clear();
        if session.seal_request(1, b"probe", STAY_MS, &mut sealed).is_err() {
            // Erased: no key is left to ask for, and the outcome says so.
            return if is_over(case) { expected } else { Value::Null };
        }
    }
    let header = Header::parse(&sealed, Role::Server).expect("well formed");
    let keys = GenerationKeys::derive(Secret::new(gs), session.key_id(), number);
    let mut server =
        ServerSession::new(session.key_id(), session.suite(), Limits::DEFAULT, keys, header.timestamp);
    let fresh = server.check(&header, header.timestamp);
    let holds = header.generation == number && server.open(fresh, &mut sealed).is_ok();
    if holds { expected } else { Value::Null }
}

fn is_over(case: &Case) -> bool {
    case.value("expect")["told"].as_array().is_some_and(|told| told.contains(&json!("broken")))
}

/// A server to which frames come and which is told to offer.
struct Server {
    /// `None` once it was erased.
    session: Option<ServerSession>,
}

impl Server {
    fn offer(&mut self, now_ms: u64, offer: &Value) -> Value {
        let Some(session) = &mut self.session else { return json!("none") };
        session.advance(now_ms);
        if now_ms >= session.deadline_ms() {
            return json!("none");
        }
        let mut frame = Vec::new();
        if session.renewal().is_some() {
            session.offer(|| unreachable!("one at most is outstanding"), now_ms, &mut frame);
            return if frame.is_empty() { json!("none") } else { json!(hex(&frame)) };
        }
        if session.generation() == u16::MAX {
            return json!("none");
        }
        let secret =
            |name: &str| Secret::new(unhex(offer[name].as_str().expect("hex")).try_into().expect("32 bytes"));
        let exchange = session.wants_exchange(now_ms);
        let ephemeral = exchange.then(|| Arc::new(Ephemeral::new(secret("ephemeral_private"))));
        let mut frame = Vec::new();
        session.offer(|| Offering { nonce: secret("n"), ephemeral }, now_ms, &mut frame);
        json!(hex(&frame))
    }

    /// §11.2.1, with the limits as granted: a node may have lower ones.
    fn is_due(&mut self, now_ms: u64, limits: &Limits) -> Value {
        let session = self.session.as_mut().filter(|session| now_ms < session.deadline_ms());
        let is_due = session.is_some_and(|session| {
            session.advance(now_ms);
            session.wants_offer(limits, now_ms)
        });
        json!(if is_due { "due" } else { "not due" })
    }

    /// Judges and counts (§11.3.7), as the shard does.
    fn judge(&mut self, now_ms: u64, frame: &mut [u8]) -> Result<(), Reject> {
        let verdict = self.judge_one(now_ms, frame);
        if matches!(verdict, Err(Reject::BadTag | Reject::Control))
            && let Some(session) = &mut self.session
            && key_id_of(frame) == session.key_id()
            && session.note_bad_tag(u16::from_be_bytes([frame[12], frame[13]])) == BadTags::Erase
        {
            self.session = None;
        }
        verdict
    }

    fn judge_one(&mut self, now_ms: u64, frame: &mut [u8]) -> Result<(), Reject> {
        let header = Header::parse(frame, Role::Server)?;
        let session = self.session.as_mut().filter(|session| now_ms < session.deadline_ms());
        let is_control = header.kind == Kind::Ctl;
        let Some(session) = session else {
            return Err(if is_control { Reject::Control } else { Reject::UnknownKey });
        };
        if !is_control {
            return symmetric::verdict(session, frame, now_ms);
        }
        if header.key_id != session.key_id() {
            return Err(Reject::Control);
        }
        match session.control(&header, frame, now_ms)? {
            Shared::Taken | Shared::Again => Ok(()),
            Shared::Broken => {
                self.session = None;
                Err(Reject::Control)
            }
        }
    }
}

pub fn renewal(case: &Case) -> Outcome {
    let limits = symmetric::limits(&case.part("limits"), case.number("bits"));
    let session = ServerSession::new(case.key_id(), case.suite(), limits, keys(case), case.number("origin"));
    let mut server = Server { session: Some(session) };
    let mut judge = |event: &Value| {
        let now_ms = event["at"].as_u64().expect("a time");
        if let Some(offer) = event.get("offer") {
            return server.offer(now_ms, offer);
        }
        if event.get("is_due").is_some() {
            return server.is_due(now_ms, &limits);
        }
        let frame = unhex(event["frame"].as_str().expect("hex"));
        let mut verdict = "none";
        for _ in 0..event.get("times").and_then(Value::as_u64).unwrap_or(1) {
            verdict = server.judge(now_ms, &mut frame.clone()).map_or_else(Reject::name, |()| "accept");
        }
        json!(verdict)
    };
    json!({ "verdicts": case.list("events").iter().map(&mut judge).collect::<Vec<_>>() })
}
