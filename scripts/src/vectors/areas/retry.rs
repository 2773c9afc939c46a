//! RETRY frames.

use super::{
    login::{client, hello, server},
    material::{bytes, flip, key},
};
use crate::{
    hex::encode,
    reference::{
        retry::{BUSY, COOKIE, retry},
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

fn make(hello: &[u8], status: u16, payload: &[u8]) -> Value {
    json!({
        "server_public": encode(&server().public),
        "hello": encode(hello),
        "status": status,
        "payload": encode(payload),
    })
}

fn open(server_public: &[u8; 32], hello: &[u8], frame: &[u8]) -> Value {
    json!({ "server_public": encode(server_public), "hello": encode(hello), "frame": encode(frame) })
}

pub(super) fn vectors() -> Vec<Vector> {
    let (hello, _) = hello();
    let (other, _) = client().padded_hello(7, &[], &[2, 1]);
    let cookie = bytes("cookie", 16);
    let cookies = Vector::new("retry_cookie", "§14", "retry", "A RETRY with a cookie, bound to one HELLO.")
        .ok("", make(&hello, COOKIE, &cookie))
        .ok("another HELLO", make(&other, COOKIE, &cookie))
        .ok("a cookie of zeros", make(&hello, COOKIE, &[0; 16]));
    let mut busy = Vector::new("retry_busy", "§14", "retry", "A RETRY with the milliseconds to wait.");
    for ms in [0_u32, 1, 1000, u32::MAX] {
        busy = busy.ok(format!("{ms} ms"), make(&hello, BUSY, &ms.to_be_bytes()));
    }

    let public = server().public;
    let op = "open_retry";
    let good = retry(&public, &hello, COOKIE, &cookie);
    let wait = retry(&public, &hello, BUSY, &1000_u32.to_be_bytes());
    let opens = Vector::new("retry_is_opened", "§14", op, "A RETRY to the HELLO that was sent verifies.")
        .ok("cookie", open(&public, &hello, &good))
        .ok("busy", open(&public, &hello, &wait));
    let same_header = flip(&hello, 511, 0);
    let bound =
        Vector::new("retry_belongs_to_one_hello", "§14", op, "A RETRY to another HELLO does not verify.")
            .reject("only the tag differs", open(&public, &same_header, &good), "bad_tag")
            .reject(
                "another server's",
                open(&KeyPair::new(key("other server")).public, &hello, &good),
                "bad_tag",
            );
    let mut tampered = Vector::new(
        "retry_is_authenticated",
        "§14",
        op,
        "A bit of status, payload or tag turned is a bad tag.",
    );
    for at in [14, 15, 28, 35, 43, 44, 51, 59] {
        tampered =
            tampered.reject(format!("byte {at}"), open(&public, &hello, &flip(&good, at, 4)), "bad_tag");
    }
    let mut lengths = Vector::new(
        "retry_payload_fits_its_status",
        "§14",
        op,
        "A cookie that is not 16 bytes and a time that is not 4 are refused.",
    );
    for (status, name, count) in [
        (COOKIE, "cookie", 0),
        (COOKIE, "cookie", 4),
        (COOKIE, "cookie", 17),
        (BUSY, "time", 0),
        (BUSY, "time", 16),
    ] {
        let frame = retry(&public, &hello, status, &bytes("cookie", count));
        lengths = lengths.reject(format!("{name} of {count} bytes"), open(&public, &hello, &frame), "field");
    }
    vec![cookies, busy, opens, bound, tampered, lengths]
}
