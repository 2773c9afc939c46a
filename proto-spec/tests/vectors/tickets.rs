//! Tickets, with the ring of their keys (SPEC §12.1, §12.2).

use mvt_proto::{
    ClientId, Reject, Suite,
    secret::Secret,
    ticket::{RingedKey, Terms, Ticket, TicketKey, TicketRing},
};
use serde_json::{Value, json};

use crate::{Case, Outcome, hex, ok, reject, unhex};

/// The ring of a case.
pub fn ring_of(case: &Case) -> TicketRing {
    let key = |entry: &Value| {
        let key = unhex(entry["key"].as_str().expect("hex"));
        RingedKey {
            key: TicketKey::new(&key).expect("a good key"),
            seal_from_ms: entry["seals_from"].as_u64().expect("a time"),
            open_until_ms: entry["opens_until"].as_u64().expect("a time"),
        }
    };
    TicketRing::new(case.list("ring").iter().map(key).collect()).expect("a good ring")
}

/// §12.2.1, as whoever keeps revocations judges what a ticket says: the crate opens, it does not keep them.
pub fn judge_revoked(case: &Case, ticket: &Ticket) -> Result<(), Reject> {
    let is_ended = |revocation: &Value| {
        revocation["client_id"] == json!(hex(ticket.client.as_bytes()))
            && ticket.authenticated_ms <= revocation["time"].as_u64().expect("a time")
    };
    if case.list("revoked").iter().any(is_ended) { Err(Reject::Revoked) } else { Ok(()) }
}

/// What a ticket seals.
pub fn fields(ticket: &Ticket) -> Value {
    json!({
        "suite": ticket.suite as u16,
        "client_id": hex(ticket.client.as_bytes()),
        "rs": hex(ticket.resume_secret.expose()),
        "issued": ticket.issued_ms,
        "expires": ticket.expires_ms,
        "authenticated": ticket.authenticated_ms,
        "generation": ticket.generation,
        "policy": u16::from(ticket.psk_alone),
    })
}

pub fn client_id(case: &Case) -> Outcome {
    ok(json!({ "client_id": hex(ClientId::of_name(case.text("name")).as_bytes()) }))
}

pub fn ring(case: &Case) -> Outcome {
    let made = || {
        let mut keys = Vec::new();
        for key in case.list("keys") {
            let key = TicketKey::new(&unhex(key.as_str().expect("hex")))?;
            keys.push(RingedKey { key, seal_from_ms: 0, open_until_ms: 1 });
        }
        let ids: Vec<String> = keys.iter().map(|key| hex(&key.key.id())).collect();
        TicketRing::new(keys).map(|_| ids)
    };
    made().map_or_else(|_| json!({ "reject": "ring" }), |ids| ok(json!({ "ids": ids })))
}

pub fn sealing_key(case: &Case) -> Outcome {
    let (ring, now_ms) = (ring_of(case), case.number("now"));
    let terms = Terms {
        suite: Suite::Gcm256,
        client: ClientId::of_name("alice"),
        authenticated_ms: case.number("authenticated"),
        generation: 0,
        psk_alone: false,
        life_ms: case.number("life"),
    };
    let Some(sealed) = ring.issue(&terms, &Secret::new([1; 32]), &[2; 24], now_ms) else {
        return json!({ "none": true });
    };
    let opened = ring.open(&sealed, now_ms).expect("what was just sealed");
    ok(json!({ "id": hex(&sealed[1..5]), "expires": opened.expires_ms }))
}

pub fn ticket(case: &Case) -> Outcome {
    let fields = case.part("fields");
    let ticket = Ticket {
        suite: fields.suite(),
        client: ClientId::new(fields.array("client_id")),
        resume_secret: Secret::new(fields.array("rs")),
        issued_ms: fields.number("issued"),
        expires_ms: fields.number("expires"),
        authenticated_ms: fields.number("authenticated"),
        generation: fields.number("generation") as u16,
        psk_alone: fields.number("policy") == 1,
    };
    let key = TicketKey::new(&case.bytes("ticket_key")).expect("a good key");
    ok(json!({ "ticket": hex(&ticket.seal(&key, &case.array("nonce"))) }))
}

fn open(case: &Case) -> Result<Outcome, Reject> {
    // The type of a sealed ticket has its length.
    let sealed = case.bytes("ticket").try_into().map_err(|_| Reject::Ticket)?;
    let ticket = ring_of(case).open(&sealed, case.number("now"))?;
    judge_revoked(case, &ticket)?;
    Ok(ok(fields(&ticket)))
}

pub fn open_ticket(case: &Case) -> Outcome {
    open(case).unwrap_or_else(reject)
}
