//! What both sides hold after a resume or a recovery (SPEC §12.4, §13.3).

use mvt_proto::{
    constants::TAG_BYTES,
    schedule::GenerationKeys,
    secret::Secret,
    session::ClientSession,
    slot::{SlotKey, SlotKeys},
    suite::RequestKey,
};
use serde_json::{Value, json};

use crate::{Case, hex, unhex};

/// The client's monotonic clock when the answer arrives.
pub const NOW_MS: u64 = 1_000;

/// Adds gs0, ck0 and cf0 to `made` if they are as expected. The crate does not hand out its keys, so it is asked: the answer
/// ends with the tag of cf0, the session seals what ck0 seals, and both come from gs0.
pub fn add_keys(made: &mut Value, case: &Case, session: ClientSession, answer: &[u8]) {
    let expected = |name| case.expected_ok(name).and_then(Value::as_str).map(unhex).unwrap_or_default();
    let gs0: [u8; 32] = expected("gs0").try_into().unwrap_or_default();
    let keys = GenerationKeys::derive(Secret::new(gs0), session.key_id(), 0);
    let confirm = mvt_lanes::HmacKey::new(keys.confirm.expose());
    let (before_tag, tag) = answer.split_at(answer.len() - TAG_BYTES);
    let confirms = mvt_lanes::mac(&confirm, before_tag)[..TAG_BYTES] == *tag;
    let (ck0, cf0) = (*keys.request_chain.expose(), *keys.confirm.expose());
    let seals = seals_under(session, keys.request_chain);
    for (name, holds) in [
        ("gs0", confirms && seals),
        ("ck0", seals && ck0[..] == expected("ck0")),
        ("cf0", confirms && cf0[..] == expected("cf0")),
    ] {
        made[name] = if holds { case.expected_ok(name).cloned().unwrap_or_default() } else { Value::Null };
    }
}

/// Whether what the session seals opens under this chain.
pub fn seals_under(mut session: ClientSession, chain: Secret) -> bool {
    let mut sealed = Vec::new();
    session.seal_request(1, b"probe", NOW_MS, &mut sealed).expect("sealable");
    let slots = SlotKeys::new(chain, session.server_time_ms(NOW_MS));
    RequestKey::derive(session.suite(), slots.key(&SlotKey::Current), 0, 0).open(&mut sealed, &[]).is_ok()
}

/// The grant of a session, as the client keeps it.
pub fn reply(case: &Case, session: &mut ClientSession) -> Value {
    let granted = *session.limits();
    let lost_key = case.expected_ok("reply").and_then(|reply| reply.get("lost_key")).cloned();
    json!({
        "key_id": hex(&session.key_id().to_be_bytes()),
        "suite": session.suite() as u16,
        "server_time": session.server_time_ms(NOW_MS),
        "renew_after_requests": granted.renew_after_requests,
        "reject_after_requests": granted.reject_after_requests,
        "renew_after_ms": granted.renew_after_ms,
        "reject_after_ms": granted.reject_after_ms,
        "replay_window_bits": granted.replay_window_bits,
        "lost_key": if lost_key_holds(session, lost_key.as_ref()) { lost_key } else { None },
    })
}

/// Whether the session believes a LOST made with the expected key: compared through its own verification.
fn lost_key_holds(session: &mut ClientSession, expected: Option<&Value>) -> bool {
    let Some(key) = expected.and_then(Value::as_str).map(unhex) else { return false };
    let mut request = Vec::new();
    let pending = session.seal_request(0, &[], NOW_MS, &mut request).expect("sealable");
    let mut lost = request[..28].to_vec();
    lost[2] = 0x1f;
    lost[3] = 0;
    lost[14..16].fill(0);
    let input = [b"mvt1 lost", &request[..28], &request[request.len() - TAG_BYTES..]].concat();
    lost.extend_from_slice(&mvt_lanes::mac(&mvt_lanes::HmacKey::new(&key), &input)[..TAG_BYTES]);
    let header = mvt_proto::Header::parse(&lost, mvt_proto::Role::Client).expect("well formed");
    session.open_answer(&pending, &header, &mut lost, NOW_MS).is_ok()
}
