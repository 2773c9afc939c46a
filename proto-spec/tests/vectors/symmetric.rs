//! Operations without public keys: frames, keys, suites, replay, sessions, LOST.

use mvt_proto::{
    Header, Kind, Limits, Reject, Role,
    constants::{HEADER_BYTES, TAG_BYTES},
    framer::{Cut, cut},
    header::Flags,
    lost::{LostKey, LostKeys},
    replay::ReplayWindow,
    schedule::{self, GenerationKeys},
    secret::Secret,
    session::{ServerSession, in_time as judge_time},
    slot::{SlotKeys, request_key_input, slot_of as index_of},
    suite::{RequestKey, payload_of, tag_of},
};
use serde_json::{Value, json};

use crate::{Case, Outcome, hex, ok, reject, unhex};

pub fn role(case: &Case) -> Role {
    match case.text("role") {
        "server" => Role::Server,
        "client" => Role::Client,
        other => panic!("role {other}"),
    }
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Req => "REQ",
        Kind::Resp => "RESP",
        Kind::Err => "ERR",
        Kind::Ctl => "CTL",
        Kind::Hello => "HELLO",
        Kind::HelloR => "HELLO_R",
        Kind::Retry => "RETRY",
        Kind::Verdicts => "VERDICTS",
        Kind::Resume => "RESUME",
        Kind::ResumeR => "RESUME_R",
        Kind::Recover => "RECOVER",
        Kind::RecoverR => "RECOVER_R",
        Kind::Lost => "LOST",
    }
}

pub fn header_parse(case: &Case) -> Outcome {
    let (frame, role) = (case.bytes("frame"), role(case));
    match cut(&frame, role) {
        Ok(Cut::Need(bytes)) => json!({ "need": bytes }),
        Ok(Cut::Frame(bytes)) => {
            assert_eq!(bytes, frame.len(), "one whole frame");
            Header::parse(&frame, role).map_or_else(reject, |header| {
                ok(json!({
                    "kind": kind_name(header.kind),
                    "flags": header.flags.0,
                    "key_id": hex(&header.key_id.to_be_bytes()),
                    "generation": header.generation,
                    "op": header.op,
                    "counter": header.counter,
                    "timestamp": header.timestamp,
                    "payload_bytes": header.payload_bytes,
                }))
            })
        }
        Err(refusal) => reject(refusal),
    }
}

pub fn stream_cut(case: &Case) -> Outcome {
    let role = role(case);
    let (mut buffer, mut frames): (Vec<u8>, Vec<String>) = (Vec::new(), Vec::new());
    for chunk in case.list("chunks") {
        buffer.extend(unhex(chunk.as_str().expect("hex")));
        loop {
            let refusal = match cut(&buffer, role) {
                Ok(Cut::Need(_)) => break,
                Ok(Cut::Frame(bytes)) => match Header::parse(&buffer[..bytes], role) {
                    Ok(_) => {
                        frames.push(hex(&buffer.drain(..bytes).collect::<Vec<_>>()));
                        continue;
                    }
                    Err(refusal) => refusal,
                },
                Err(refusal) => refusal,
            };
            return json!({ "frames": frames, "end": reject(refusal) });
        }
    }
    json!({ "frames": frames, "end": if buffer.is_empty() { "clean" } else { "truncated" } })
}

pub fn label(case: &Case) -> Outcome {
    let mut out = vec![0u8; case.number("bytes") as usize];
    schedule::label_into(&case.array("key"), case.text("label"), &case.bytes("context"), &mut out);
    ok(json!({ "out": hex(&out) }))
}

pub fn schedule(case: &Case) -> Outcome {
    let ikm = [case.bytes("k1"), case.bytes("k2")].concat();
    let secret = schedule::extract(&case.bytes("h"), &ikm);
    let gs = hex(secret.expose());
    let keys = GenerationKeys::derive(secret, case.key_id(), case.number("generation") as u16);
    let text = |key: &Secret| hex(key.expose());
    ok(json!({
        "gs": gs, "rt": text(&keys.ratchet), "rs": text(&keys.resume), "ctlc": text(&keys.control_c2s),
        "ctls": text(&keys.control_s2c), "ck0": text(&keys.request_chain), "cf": text(&keys.confirm),
    }))
}

/// The crate does not hand out SK and CK, so it is asked whether its keys are the expected ones.
pub fn slot(case: &Case) -> Outcome {
    let index = case.number("slot");
    let mut slots = SlotKeys::new(Secret::new(case.array("ck0")), 0);
    slots.advance(index << 16);
    let expected = |name| unhex(case.expected_ok(name).and_then(Value::as_str).expect("hex"));
    let mac = |key: &mvt_lanes::HmacKey| mvt_lanes::mac(key, b"the same key");
    let sk = mvt_lanes::HmacKey::new(&expected("sk"));
    let chain: [u8; 32] = expected("ck_next").try_into().expect("32");
    // SK of the next slot comes from CK of the next slot.
    let next_sk = mvt_lanes::mac(
        &mvt_lanes::HmacKey::new(&chain),
        &[&[1u8][..], &(index as u32 + 1).to_be_bytes()].concat(),
    );
    let held = |at: u64| mac(slots.key(&slots.select(at << 16).expect("held")));
    let same = |is_same, name: &str| if is_same { case.expected_ok(name).cloned() } else { None };
    ok(json!({
        "sk": same(held(index) == mac(&sk), "sk"),
        "ck_next": same(held(index + 1) == mac(&mvt_lanes::HmacKey::new(&next_sk)), "ck_next"),
    }))
}

pub fn slot_of(case: &Case) -> Outcome {
    index_of(case.number("origin"), case.number("timestamp"))
        .map_or_else(reject, |slot| ok(json!({ "slot": slot })))
}

pub fn request_key(case: &Case) -> Outcome {
    let sk = mvt_lanes::HmacKey::new(&case.bytes("sk"));
    let input = request_key_input(case.number("generation") as u16, case.number("counter"));
    ok(json!({ "k_req": hex(&mvt_lanes::mac(&sk, &input)) }))
}

fn key_of(case: &Case) -> RequestKey {
    RequestKey::new(case.suite(), Secret::new(case.array("k_req")))
}

fn seal(case: &Case, kind: Kind, op: &str, bound_to: &[u8]) -> Outcome {
    let payload = case.bytes("payload");
    let header = Header {
        kind,
        flags: case.suite().flags(),
        key_id: case.key_id(),
        generation: case.number("generation") as u16,
        op: case.number(op) as u16,
        counter: case.number("counter"),
        timestamp: case.number("timestamp"),
        payload_bytes: payload.len(),
    };
    let mut frame = [&header.to_bytes()[..], &payload, &[0; TAG_BYTES]].concat();
    key_of(case).seal(&mut frame, bound_to);
    ok(json!({ "frame": hex(&frame) }))
}

fn open(case: &Case, role: Role, bound_to: &[u8]) -> Result<(Header, String), Reject> {
    let mut frame = case.bytes("frame");
    let header = Header::parse(&frame, role)?;
    key_of(case).open(&mut frame, bound_to)?;
    Ok((header, hex(payload_of(&frame))))
}

pub fn seal_request(case: &Case) -> Outcome {
    seal(case, Kind::Req, "op", &[])
}

pub fn open_request(case: &Case) -> Outcome {
    open(case, Role::Server, &[]).map_or_else(reject, |(header, payload)| {
        let Flags(flags) = header.flags;
        ok(json!({
            "payload": payload, "flags": flags, "key_id": hex(&header.key_id.to_be_bytes()),
            "generation": header.generation, "op": header.op, "counter": header.counter,
            "timestamp": header.timestamp,
        }))
    })
}

pub fn seal_response(case: &Case) -> Outcome {
    let kind = if case.text("kind") == "ERR" { Kind::Err } else { Kind::Resp };
    seal(case, kind, "status", &case.bytes("request_tag"))
}

pub fn open_response(case: &Case) -> Outcome {
    open(case, Role::Client, &case.bytes("request_tag"))
        .map_or_else(reject, |(header, payload)| ok(json!({ "status": header.op, "payload": payload })))
}

pub fn replay(case: &Case) -> Outcome {
    let mut window = ReplayWindow::new(case.number("bits") as u16);
    let verdict = |counter: &Value| {
        window.test_and_set(counter.as_u64().expect("a counter")).map_or_else(Reject::name, |()| "fresh")
    };
    json!({ "verdicts": case.list("counters").iter().map(verdict).collect::<Vec<_>>() })
}

pub fn in_time(case: &Case) -> Outcome {
    judge_time(case.number("timestamp"), case.number("now")).map_or_else(reject, |()| ok(json!({})))
}

pub fn limits(case: &Case, window_bits: u64) -> Limits {
    Limits {
        renew_after_requests: case.number("renew_after_requests") as u32,
        reject_after_requests: case.number("reject_after_requests") as u32,
        renew_after_ms: case.number("renew_after_ms") as u32,
        reject_after_ms: case.number("reject_after_ms") as u32,
        replay_window_bits: window_bits as u16,
    }
}

pub fn verdict(session: &mut ServerSession, frame: &mut [u8], now_ms: u64) -> Result<(), Reject> {
    let header = Header::parse(frame, Role::Server)?;
    let fresh = if header.key_id == session.key_id() {
        session.check(&header, now_ms)
    } else {
        session.check_unknown(&header)
    };
    let authentic = session.open(fresh, frame)?;
    session.commit(authentic, now_ms).map(|_| ()).map_err(|refused| refused.reject)
}

pub fn session(case: &Case) -> Outcome {
    let keys = GenerationKeys::derive(Secret::new(case.array("gs0")), case.key_id(), 0);
    let limits = limits(&case.part("limits"), case.number("bits"));
    let origin = case.number("origin");
    let mut session = ServerSession::new(case.key_id(), case.suite(), limits, keys, origin);
    let mut judge = |event: &Value| {
        let mut frame = unhex(event["frame"].as_str().expect("hex"));
        let now_ms = event["at"].as_u64().expect("a time");
        verdict(&mut session, &mut frame, now_ms).map_or_else(Reject::name, |()| "accept")
    };
    json!({ "verdicts": case.list("events").iter().map(&mut judge).collect::<Vec<_>>() })
}

pub fn lost(case: &Case) -> Outcome {
    let keys = LostKeys::new(&Secret::new(case.array("reset_secret")), case.number("node_slot") as u16);
    let request = case.bytes("request");
    let lost_key = keys.lost_key(mvt_proto::header::key_id_of(&request));
    ok(json!({
        "lost_key": hex(lost_key.expose()),
        "frame": hex(&keys.answer(&request, true)),
        "decoy_frame": hex(&keys.answer(&request, false)),
    }))
}

pub fn open_lost(case: &Case) -> Outcome {
    let (request, frame) = (case.bytes("request"), case.bytes("frame"));
    let judged = Header::parse(&frame, Role::Client).and_then(|_| {
        LostKey::new(case.array("lost_key")).verify(&frame, &request[..HEADER_BYTES], &tag_of(&request))
    });
    judged.map_or_else(reject, |()| ok(json!({})))
}
