//! Tickets with the ring of their keys.

use super::material::{ORIGIN, bytes, flip, key};
use crate::{
    hex::encode,
    reference::{
        hkdf::array,
        ticket::{RingKey, Ticket, client_id, plain_part, seal_parts},
    },
    vectors::{run::tickets::ticket_json, vector::Vector},
};
use serde_json::{Value, json};

const OPEN: &str = "open_ticket";
/// When the usual ticket was sealed.
pub(super) const ISSUED: u64 = ORIGIN + 10_000_000;
/// When it expires.
pub(super) const EXPIRES: u64 = ISSUED + 3_600_000;
/// When its client proved its identity.
pub(super) const AUTHENTICATED: u64 = ISSUED - 1_000_000;

/// The usual client.
pub(super) fn alice() -> [u8; 16] {
    client_id(b"alice")
}

/// The usual ticket of a suite.
pub(super) fn usual(suite: u16) -> Ticket {
    Ticket {
        suite,
        client_id: alice(),
        rs: key("RS"),
        issued: ISSUED,
        expires: EXPIRES,
        authenticated: AUTHENTICATED,
        generation: 3,
        policy: 0,
    }
}

/// The key the usual ticket is sealed with.
pub(super) fn ticket_key() -> [u8; 32] {
    key("ticket key")
}

pub(super) fn nonce() -> [u8; 24] {
    array(&bytes("ticket nonce", 24))
}

/// A ring of the usual key.
pub(super) fn ring() -> Vec<RingKey> {
    vec![RingKey { key: ticket_key(), seals_from: ORIGIN, opens_until: EXPIRES + 1_000 }]
}

/// A ring as a case writes it.
pub(super) fn ring_json(ring: &[RingKey]) -> Value {
    let one = |one: &RingKey| json!({ "key": encode(&one.key), "seals_from": one.seals_from, "opens_until": one.opens_until });
    ring.iter().map(one).collect()
}

/// One revocation as a case writes it.
pub(super) fn revocation(client_id: [u8; 16], time: u64) -> Value {
    json!([{ "client_id": encode(&client_id), "time": time }])
}

fn case(now: u64, ticket: &[u8]) -> Value {
    json!({ "ring": ring_json(&ring()), "revoked": [], "now": now, "ticket": encode(ticket) })
}

fn sealed(ticket: Ticket) -> Vec<u8> {
    ticket.seal(&ticket_key(), &nonce())
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = bytes_of();
    all.extend(tampered());
    all.extend(fields());
    all.push(revoked());
    all.extend(rings());
    all
}

fn bytes_of() -> Vec<Vector> {
    let mut ids =
        Vector::new("ticket_client_id", "§12.1.1", "client_id", "A client id is a hash of the name.");
    for name in ["alice", "bob", "a", "a name of fifty bytes, which is more than a block..", "Zoë"] {
        ids = ids.ok("", json!({ "name": name }));
    }
    let extremes = Ticket {
        suite: 1,
        client_id: [0xff; 16],
        rs: [0xff; 32],
        issued: 0,
        expires: 86_400_000,
        authenticated: 0,
        generation: u16::MAX,
        policy: 1,
    };
    let seal = |ticket: Ticket, key: [u8; 32]| json!({ "ticket_key": encode(&key), "nonce": encode(&nonce()), "fields": ticket_json(&ticket) });
    let made =
        Vector::new("ticket_is_sealed", "§12.1", "ticket", "A ticket is 117 bytes under a key of its own.")
            .ok("", seal(usual(2), ticket_key()))
            .ok("HS256", seal(usual(1), ticket_key()))
            .ok("psk alone allowed", seal(Ticket { policy: 1, ..usual(2) }, ticket_key()))
            .ok("another ticket key", seal(usual(2), key("another ticket key")))
            .ok("extremes", seal(extremes, ticket_key()));
    let opened = Vector::new("ticket_is_opened", "§12.1", OPEN, "A good ticket gives its fields.")
        .ok("", case(ISSUED, &sealed(usual(2))))
        .ok("HS256, psk alone allowed", case(ISSUED, &sealed(Ticket { policy: 1, ..usual(1) })))
        .ok("extremes", case(86_399_999, &sealed(extremes)))
        .ok("a second time", case(ISSUED + 1, &sealed(usual(2))));
    vec![ids, made, opened]
}

fn tampered() -> Vec<Vector> {
    let good = sealed(usual(2));
    let mut bits = Vector::new(
        "ticket_is_authenticated",
        "§12.1.5",
        OPEN,
        "A bit turned in any byte of a ticket is refused, before a field is read.",
    );
    for at in 0..good.len() {
        bits = bits.reject(format!("byte {at}"), case(ISSUED, &flip(&good, at, (at % 8) as u8)), "ticket");
    }
    let mut lengths =
        Vector::new("ticket_is_117_bytes", "§12.1", OPEN, "A ticket that is cut or extended is refused.");
    for count in [0, 1, 28, 29, 45, 101, 116, 118, 133, 400] {
        let mut bad = good.clone();
        bad.resize(count, 0);
        lengths = lengths.reject(format!("{count} bytes"), case(ISSUED, &bad), "ticket");
    }
    let plain = |version| plain_part(version, &ticket_key(), &nonce());
    let longer = seal_parts(&ticket_key(), &plain(1), &[usual(2).text(), vec![0]].concat());
    let shorter = seal_parts(&ticket_key(), &plain(1), &usual(2).text()[..71]);
    lengths = lengths.reject("a longer text sealed", case(ISSUED, &longer), "ticket").reject(
        "a shorter text sealed",
        case(ISSUED, &shorter),
        "ticket",
    );
    let mut version =
        Vector::new("ticket_version_is_1", "§12.1", OPEN, "Another version is refused, also if sealed so.");
    for number in [0, 2, 0x11, 0x81, 0xff] {
        let bad = seal_parts(&ticket_key(), &plain(number), &usual(2).text());
        version = version.reject(format!("{number}"), case(ISSUED, &bad), "ticket");
    }
    let other = usual(2).seal(&key("another ticket key"), &nonce());
    let mut renamed = other.clone();
    renamed[1..5].copy_from_slice(&good[1..5]);
    let swapped = [&usual(2).seal(&ticket_key(), &[7; 24])[..29], &good[29..]].concat();
    let keyed = Vector::new(
        "ticket_key_is_of_key_and_nonce",
        "§12.1",
        OPEN,
        "A ticket of a key that the ring lacks, renamed to one it has, or with the nonce of another is refused.",
    )
    .reject("a key the ring lacks", case(ISSUED, &other), "ticket")
    .reject("renamed", case(ISSUED, &renamed), "ticket")
    .reject("nonce of another ticket", case(ISSUED, &swapped), "ticket");
    vec![bits, lengths, version, keyed]
}

fn fields() -> Vec<Vector> {
    let expires = Vector::new("ticket_expires", "§12.1.5", OPEN, "A ticket is refused at expires and after.")
        .ok("1 ms before", case(EXPIRES - 1, &sealed(usual(2))))
        .reject("at it", case(EXPIRES, &sealed(usual(2))), "ticket")
        .reject("1 ms after", case(EXPIRES + 1, &sealed(usual(2))), "ticket");
    let ahead = Vector::new(
        "ticket_issued_may_be_5000_ms_ahead",
        "§12.1.5",
        OPEN,
        "A ticket of a node whose clock is ahead is refused beyond 5000 ms.",
    )
    .ok("5000 ms", case(ISSUED - 5_000, &sealed(usual(2))))
    .reject("5001 ms", case(ISSUED - 5_001, &sealed(usual(2))), "ticket")
    .reject("an hour", case(ISSUED - 3_600_000, &sealed(usual(2))), "ticket");
    let mut reserved = Vector::new(
        "ticket_policy_reserved_bits_are_refused",
        "§12.1.5",
        OPEN,
        "A policy bit that is not assigned is refused.",
    );
    for bit in 1..16 {
        for alone in [0, 1] {
            let bad = Ticket { policy: 1 << bit | alone, ..usual(2) };
            reserved = reserved.reject(
                format!("bit {bit}, psk alone {alone}"),
                case(ISSUED, &sealed(bad)),
                "ticket",
            );
        }
    }
    let mut suites =
        Vector::new("ticket_suite_is_known", "§12.1.5", OPEN, "A ticket of an unknown suite is refused.");
    for suite in [0, 3, 0x0100, 0x0102, u16::MAX] {
        suites = suites.reject(format!("{suite}"), case(ISSUED, &sealed(usual(suite))), "ticket");
    }
    vec![expires, ahead, reserved, suites]
}

fn revoked() -> Vector {
    let with = |revoked: Value| {
        let mut inputs = case(ISSUED, &sealed(usual(2)));
        inputs["revoked"] = revoked;
        inputs
    };
    Vector::new(
        "ticket_of_a_revoked_client",
        "§12.2.1",
        OPEN,
        "A ticket of a client that authenticated at or before its revocation is refused.",
    )
    .reject("after it", with(revocation(alice(), AUTHENTICATED + 1)), "revoked")
    .reject("at it", with(revocation(alice(), AUTHENTICATED)), "revoked")
    .ok("1 ms before it", with(revocation(alice(), AUTHENTICATED - 1)))
    .ok("of another client", with(revocation(client_id(b"bob"), ISSUED)))
}

fn rings() -> Vec<Vector> {
    let list = |keys: &[&[u8]]| {
        let keys: Vec<String> = keys.iter().map(|key| encode(key)).collect();
        json!({ "keys": keys })
    };
    let (one, two) = (key("ring 1"), key("ring 2"));
    let refused = json!({ "reject": "ring" });
    let good = Vector::new(
        "ticket_ring_keys_are_32_random_bytes",
        "§12.1.2",
        "ring",
        "A ring holds whole keys, each once.",
    )
    .ok("one key", list(&[&one]))
    .ok("two keys", list(&[&one, &two]))
    .gives("zeros", list(&[&[0; 32]]), refused.clone())
    .gives("zeros behind a good key", list(&[&one, &[0; 32]]), refused.clone())
    .gives("31 bytes", list(&[&one[..31]]), refused.clone())
    .gives("no bytes", list(&[&[]]), refused.clone())
    .gives("33 bytes", list(&[&[one.as_slice(), &[1]].concat()]), refused.clone())
    .gives("64 bytes", list(&[&[one, two].concat()]), refused.clone())
    .gives("one key twice", list(&[&one, &two, &one]), refused);
    let opens = |seals_from, opens_until| {
        let mut inputs = case(ISSUED, &sealed(usual(2)));
        inputs["ring"] = ring_json(&[RingKey { key: ticket_key(), seals_from, opens_until }]);
        inputs
    };
    let opening = Vector::new(
        "ticket_key_opens_until_its_end",
        "§12.1.3",
        OPEN,
        "A ticket key opens until its end, also before it seals here.",
    )
    .ok("1 ms before", opens(ORIGIN, ISSUED + 1))
    .reject("at it", opens(ORIGIN, ISSUED), "ticket")
    .reject("after it", opens(ORIGIN, ISSUED - 5), "ticket")
    .ok("before it seals here", opens(ISSUED + 1_000, EXPIRES));
    let mut several = case(ISSUED, &sealed(usual(2)));
    several["ring"] = ring_json(&[
        RingKey { key: one, seals_from: ORIGIN, opens_until: EXPIRES },
        RingKey { key: ticket_key(), seals_from: ORIGIN, opens_until: EXPIRES },
        RingKey { key: two, seals_from: ORIGIN, opens_until: EXPIRES },
    ]);
    vec![good, opening.ok("among others", several), sealing()]
}

fn sealing() -> Vector {
    const HOUR: u64 = 3_600_000;
    let (one, two) = (key("ring 1"), key("ring 2"));
    let now = ORIGIN + 100 * HOUR;
    let case = |ring: &[RingKey], authenticated: u64| json!({ "ring": ring_json(ring), "now": now, "life": HOUR, "authenticated": authenticated });
    let key = |key, seals_from, opens_until| RingKey { key, seals_from, opens_until };
    let old = key(one, now - HOUR, now + 2 * HOUR);
    Vector::new(
        "ticket_is_sealed_with_the_newest_key",
        "§12.1.4",
        "sealing_key",
        "The newest key whose time has come seals; a ticket outlives neither it, its life, nor the authentication by a day.",
    )
    .ok("one key", case(&[old], now))
    .ok("a newer one", case(&[old, key(two, now - 1, now + 3 * HOUR)], now))
    .ok("a newer one from now on, listed first", case(&[key(two, now, now + 3 * HOUR), old], now))
    .ok("a newer one from the next ms on", case(&[old, key(two, now + 1, now + 3 * HOUR)], now))
    .ok("the end of the key is near", case(&[key(one, now - HOUR, now + 5)], now))
    .ok("a day after the authentication is near", case(&[old], now - 24 * HOUR + 7))
    .gives("none yet", case(&[key(one, now + 1, now + HOUR)], now), json!({ "none": true }))
}
