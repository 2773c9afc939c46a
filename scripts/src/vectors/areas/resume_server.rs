//! RESUMEs that a server accepts or refuses.

use super::{
    control::bad_points,
    login::LOGIN_ID,
    material::{bytes, flip, key},
    resume::{client, server, ticket_of},
    ticket::{AUTHENTICATED, EXPIRES, ISSUED, alice, nonce, revocation, ring, ring_json},
};
use crate::{
    hex::encode,
    reference::{
        frame::{Header, SEALED},
        resume::{ALONE, Client, WITH_DH, resume_header, with_mac1},
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

const OP: &str = "resume_server";

/// Where the parts of a RESUME of mode 1 without a cookie begin.
const NONCE: usize = 29;
const E_C: usize = NONCE + 32;
const TICKET: usize = E_C + 32 + 2;
const PADDING: usize = TICKET + 117;
const BINDER: usize = 512 - 32;
const MAC1: usize = 512 - 16;

fn case(frame: &[u8]) -> Value {
    json!({
        "server_public": encode(&server().public),
        "ring": ring_json(&ring()),
        "revoked": [],
        "allowed": [1, 2],
        "now": ISSUED + 60_000,
        "channel_binding": "",
        "resume": encode(frame),
    })
}

fn with(frame: &[u8], field: &str, value: Value) -> Value {
    let mut inputs = case(frame);
    inputs[field] = value;
    inputs
}

fn good() -> Vec<u8> {
    client(WITH_DH, 2).resume(WITH_DH, LOGIN_ID, &[])
}

/// mac1 made anew, as anyone can.
fn remac(frame: &[u8]) -> Vec<u8> {
    with_mac1(&server().public, frame.to_vec())
}

/// A frame with any front, else good and of `total` bytes.
fn fronted(header: Header, front: &[u8], total: usize) -> Vec<u8> {
    let padding = vec![0; total - 28 - front.len() - 32];
    client(WITH_DH, 2).finish(header, front, &padding)
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = vec![accepts(), mac1(), header(), lengths(), layout(), padding()];
    all.extend([tickets(), times(), revoked(), binder(), transplant(), points(), suite()]);
    all
}

fn accepts() -> Vector {
    let alone = client(ALONE, 1);
    Vector::new("resume_server_accepts", "§12.3", OP, "A good RESUME is accepted, each time it comes.")
        .ok("", case(&good()))
        .ok("again", with(&good(), "now", json!(ISSUED + 61_000)))
        .ok("psk alone, HS256", case(&alone.resume(ALONE, LOGIN_ID, &[])))
        .ok("with a cookie", case(&client(WITH_DH, 2).resume(WITH_DH, LOGIN_ID, &bytes("cookie", 16))))
        .ok("psk alone, with a cookie", case(&alone.resume(ALONE, 0, &bytes("cookie", 16))))
        .ok("just before it expires", with(&good(), "now", json!(EXPIRES - 1)))
}

fn mac1() -> Vector {
    let mut vector = Vector::new(
        "resume_server_mac1_is_judged_first",
        "§12.3.1",
        OP,
        "A bit turned anywhere without a new mac1 is refused for mac1.",
    );
    for at in [15, 16, 21, 28, NONCE, E_C, TICKET - 2, TICKET, PADDING, BINDER, MAC1, 511] {
        vector = vector.reject(format!("byte {at}"), case(&flip(&good(), at, (at % 8) as u8)), "mac1");
    }
    let other = with_mac1(&KeyPair::new(key("other server")).public, good());
    vector.reject("of another server", case(&other), "mac1")
}

fn header() -> Vector {
    let mut vector =
        Vector::new("resume_server_header_is_judged", "§3.2.7", OP, "A changed header is refused.");
    for (region, at, reason) in [
        ("flags", 3, "flags"),
        ("key id", 4, "field"),
        ("generation", 13, "field"),
        ("timestamp", 27, "field"),
    ] {
        vector = vector.reject(region, case(&remac(&flip(&good(), at, 0))), reason);
    }
    for flag in [SEALED, 2, 4, 0x80] {
        let header = Header { flags: flag, ..resume_header(WITH_DH, LOGIN_ID) };
        let front = client(WITH_DH, 2).front(WITH_DH, &[]);
        vector = vector.reject(format!("flag {flag}"), case(&fronted(header, &front, 512)), "flags");
    }
    let front = client(WITH_DH, 2).front(WITH_DH, &[]);
    for mode in [0, 3, 0x0101, 0x8001, u16::MAX] {
        let frame = fronted(resume_header(mode, LOGIN_ID), &front, 512);
        vector = vector.reject(format!("mode {mode}"), case(&frame), "field");
    }
    vector
}

fn lengths() -> Vector {
    let mut vector = Vector::new(
        "resume_server_resume_is_512_bytes",
        "§12.3.1",
        OP,
        "A RESUME of another length is refused though binder and mac1 hold.",
    );
    let front = client(WITH_DH, 2).front(WITH_DH, &[]);
    for total in [28 + front.len() + 32, 496, 511, 513, 528, 1024] {
        let frame = fronted(resume_header(WITH_DH, LOGIN_ID), &front, total);
        vector = vector.reject(format!("{total} bytes"), case(&frame), "field");
    }
    for count in [0, 1, 16, 33, 100] {
        let bytes = resume_header(WITH_DH, LOGIN_ID).encode(count);
        let frame = remac(&[bytes.as_slice(), &vec![0; count + 16]].concat());
        vector = vector.reject(format!("{count} bytes of payload"), case(&frame), "field");
    }
    vector
}

fn layout() -> Vector {
    let mut vector = Vector::new(
        "resume_server_layout_is_exact",
        "§12.3.1",
        OP,
        "A cookie of another length than 0 or 16, or a ticket of another than 117, is refused.",
    );
    let front = client(WITH_DH, 2).front(WITH_DH, &[]);
    let header = resume_header(WITH_DH, LOGIN_ID);
    for claimed in [1, 15, 17, 32, 0x80, 0xff] {
        let mut bad = front.clone();
        bad[0] = claimed;
        vector = vector.reject(
            format!("cookie of {claimed} bytes claimed"),
            case(&fronted(header, &bad, 512)),
            "field",
        );
        let cookie = [&[claimed], vec![0; claimed.into()].as_slice(), &front[1..]].concat();
        if cookie.len() + 60 <= 512 {
            let frame = fronted(header, &cookie, 512);
            vector = vector.reject(format!("cookie of {claimed} bytes"), case(&frame), "field");
        }
    }
    for claimed in [0_u16, 1, 116, 118, 0x0175, 0x7500, u16::MAX] {
        let mut bad = front.clone();
        bad[65..67].copy_from_slice(&claimed.to_be_bytes());
        let frame = fronted(header, &bad, 512);
        vector = vector.reject(format!("ticket of {claimed} bytes claimed"), case(&frame), "field");
    }
    vector
}

fn padding() -> Vector {
    let mut vector = Vector::new(
        "resume_server_padding_is_zero",
        "§12.3.1",
        OP,
        "A bit of the padding that is not 0 is refused though binder and mac1 hold.",
    );
    let front = client(WITH_DH, 2).front(WITH_DH, &[]);
    let count = 512 - 28 - front.len() - 32;
    for (at, bit) in [(0, 0), (1, 7), (count / 2, 3), (count - 1, 0), (count - 1, 7)] {
        let padding = flip(&vec![0; count], at, bit);
        let frame = client(WITH_DH, 2).finish(resume_header(WITH_DH, LOGIN_ID), &front, &padding);
        vector = vector.reject(format!("byte {at}"), case(&frame), "field");
    }
    let psk_alone = client(ALONE, 2);
    let mut more = psk_alone.front(ALONE, &[]);
    more.push(1);
    vector.reject(
        "psk alone",
        case(&psk_alone.finish(resume_header(ALONE, 1), &more, &vec![0; 512 - 60 - more.len()])),
        "field",
    )
}

fn tickets() -> Vector {
    let mut vector = Vector::new(
        "resume_server_ticket_is_judged_before_the_binder",
        "§12.3.1",
        OP,
        "A ticket that does not open is refused as such, whether the binder holds or not.",
    );
    for at in [0, 1, 4, 5, 28, 29, 47, 100, 116] {
        let ticket = flip(&client(WITH_DH, 2).ticket, at, (at % 8) as u8);
        let turned = Client { ticket, ..client(WITH_DH, 2) };
        vector = vector.reject(
            format!("byte {at}, binder made anew"),
            case(&turned.resume(WITH_DH, LOGIN_ID, &[])),
            "ticket",
        );
        let frame = remac(&flip(&good(), TICKET + at, (at % 8) as u8));
        vector = vector.reject(format!("byte {at}"), case(&frame), "ticket");
    }
    let foreign = ticket_of(WITH_DH, 2).seal(&key("another ticket key"), &nonce());
    let foreign = Client { ticket: foreign, ..client(WITH_DH, 2) };
    vector.reject("of a key the ring lacks", case(&foreign.resume(WITH_DH, LOGIN_ID, &[])), "ticket")
}

fn times() -> Vector {
    let at = |now: u64| with(&good(), "now", json!(now));
    let mut later = ring();
    later[0].opens_until = ISSUED + 60_000;
    Vector::new("resume_server_ticket_is_in_time", "§12.1.5", OP, "A ticket out of time is refused.")
        .reject("at expires", at(EXPIRES), "ticket")
        .reject("after expires", at(EXPIRES + 500), "ticket")
        .ok("issued 5000 ms ahead", at(ISSUED - 5_000))
        .reject("issued 5001 ms ahead", at(ISSUED - 5_001), "ticket")
        .reject("at the end of its key", with(&good(), "ring", ring_json(&later)), "ticket")
}

fn revoked() -> Vector {
    let by = |id, time| with(&good(), "revoked", revocation(id, time));
    let forged = remac(&flip(&good(), BINDER, 0));
    Vector::new(
        "resume_server_client_is_not_revoked",
        "§12.2.1",
        OP,
        "A client that authenticated at or before its revocation does not resume; this is judged before the binder.",
    )
    .reject("at it", by(alice(), AUTHENTICATED), "revoked")
    .reject("before it", by(alice(), ISSUED), "revoked")
    .ok("after it", by(alice(), AUTHENTICATED - 1))
    .ok("another client", by([1; 16], ISSUED))
    .reject(
        "binder wrong too",
        with(&forged, "revoked", revocation(alice(), AUTHENTICATED)),
        "revoked",
    )
}

fn binder() -> Vector {
    let mut vector = Vector::new(
        "resume_server_binder_covers_the_frame",
        "§12.3",
        OP,
        "A bit turned anywhere before the binder, or in it, is refused though mac1 was made anew.",
    );
    for at in [16, 21, NONCE, E_C - 1, E_C, E_C + 31, BINDER, BINDER + 7, BINDER + 15] {
        vector = vector.reject(format!("byte {at}"), case(&remac(&flip(&good(), at, 0))), "binder");
    }
    let cookie = client(WITH_DH, 2).resume(WITH_DH, LOGIN_ID, &bytes("cookie", 16));
    vector = vector.reject("a bit of the cookie", case(&remac(&flip(&cookie, 29, 3))), "binder");
    for (name, rs) in [("another RS", key("other RS")), ("zeros", [0; 32])] {
        let frame = Client { rs, ..client(WITH_DH, 2) }.resume(WITH_DH, LOGIN_ID, &[]);
        vector = vector.reject(format!("under {name}"), case(&frame), "binder");
    }
    vector
}

fn transplant() -> Vector {
    let exporter = bytes("exporter", 32);
    let on_quic = Client { channel_binding: exporter.clone(), ..client(WITH_DH, 2) };
    let on_quic = on_quic.resume(WITH_DH, LOGIN_ID, &[]);
    let at = |frame: &[u8], binding: &[u8]| with(frame, "channel_binding", json!(encode(binding)));
    Vector::new(
        "resume_server_channel_is_bound",
        "§12.3",
        OP,
        "A RESUME counts on the channel it was made for and on no other.",
    )
    .ok("its channel", at(&on_quic, &exporter))
    .reject("another channel", at(&on_quic, &bytes("other exporter", 32)), "binder")
    .reject("none", case(&on_quic), "binder")
    .reject("made for none", at(&good(), &exporter), "binder")
}

fn points() -> Vector {
    let mut vector = Vector::new(
        "resume_server_bad_point_is_refused",
        "§12.4.4",
        OP,
        "An e_c that is not canonical or of low order is refused though the binder holds.",
    );
    for (name, point) in bad_points() {
        let mut front = client(WITH_DH, 2).front(WITH_DH, &[]);
        front[33..65].copy_from_slice(&point);
        let frame = fronted(resume_header(WITH_DH, LOGIN_ID), &front, 512);
        vector = vector.reject(name, case(&frame), "binder");
    }
    vector
}

fn suite() -> Vector {
    let hs256 = client(WITH_DH, 1).resume(WITH_DH, LOGIN_ID, &[]);
    Vector::new("resume_server_suite_is_allowed", "§12.4.3", OP, "A suite that is not allowed is refused.")
        .reject("HS256 where GCM256 is", with(&hs256, "allowed", json!([2])), "no_suite")
        .ok("HS256 where it is", with(&hs256, "allowed", json!([1])))
        .reject("GCM256 where HS256 is", with(&good(), "allowed", json!([1])), "no_suite")
}
