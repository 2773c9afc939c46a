//! When a renewal is due, by use, age, bad tags; when bad tags end a session.

use super::{
    material::{ORIGIN, flip},
    renewal_script::{Known, LIMIT, OP, Request, SOFT_MS, Script, both},
};
use crate::{reference::frame::ACK, vectors::vector::Vector};

/// Bad tags that renew a generation.
const RENEW: u32 = 1 << 10;
/// Bad tags that end a session.
const KILL: u32 = 1 << 14;

pub(super) fn vectors() -> Vec<Vector> {
    vec![requests(), age(), not_due(), renewing(), erasing(), per_generation()]
}

/// A vector of one long script under one suite.
fn one(
    suite: u16,
    name: &'static str,
    property: &'static str,
    start: u16,
    script: impl Fn(Script) -> Script,
) -> Vector {
    script(Script::new(suite, start)).case(Vector::new(name, "§11.3.7", OP, property), "")
}

/// A request of a generation with a bad tag.
fn forged(s: &Script, of: Known, flags: u8) -> Vec<u8> {
    let good = s.sealed(Request { of, counter: 77, stamp: 200, flags });
    flip(&good, good.len() - 1, 0)
}

fn requests() -> Vector {
    both(
        "renewal_is_due_by_requests",
        "§11.2.1",
        "An offer is due once the highest counter is one below the soft limit, and not before.",
        0,
        |s| {
            s.due(20, false)
                .sent(30, LIMIT / 2 - 2, 30, 0, "accept")
                .due(30, false)
                .sent(40, LIMIT / 2 - 1, 40, 0, "accept")
                .due(40, true)
        },
    )
}

fn age() -> Vector {
    both(
        "renewal_is_due_by_age",
        "§11.2.1",
        "An offer is due at the soft limit of age, a tenth of it earlier at most.",
        0,
        |s| s.due(SOFT_MS / 10 * 9 - 1, false).due(SOFT_MS, true).due(SOFT_MS + 100_000, true),
    )
}

fn not_due() -> Vector {
    let mut vector = Vector::new(
        "renewal_is_not_due_while_draining",
        "§11.2.2",
        OP,
        "None is due while the generation before drains or in the last generation; one that is outstanding is due again.",
    );
    for suite in [1, 2] {
        let s = Script::new(suite, 0);
        vector = s
            .offered(100)
            .due(1_100, true)
            .sent(1_200, LIMIT / 2, 1_200, ACK, "accept")
            .due(1_201, false)
            .due(7_599, false)
            .due(7_600, true)
            .case(vector, &format!("draining, suite {suite}"));
        vector = Script::from(suite, 65535, ORIGIN)
            .sent(20, LIMIT / 2, 20, 0, "accept")
            .due(30, false)
            .due(SOFT_MS, false)
            .case(vector, &format!("in 65535, suite {suite}"));
    }
    vector
}

fn renewing() -> Vector {
    both(
        "renewal_is_due_by_bad_tags",
        "§11.2.1",
        "2^10 bad tags of the current generation call for an offer; one less does not.",
        0,
        |s| {
            let bad = forged(&s, s.newest, 0);
            s.repeated(200, &bad, RENEW - 1, "bad_tag")
                .due(200, false)
                .frame(201, &bad, "bad_tag")
                .due(201, true)
                .sent(202, 1, 202, 0, "accept")
                .renewed(300)
                .due(3_000, false)
        },
    )
}

fn erasing() -> Vector {
    one(
        1,
        "renewal_bad_tags_end_a_session",
        "2^14 bad tags of one generation end the session; one less does not.",
        0,
        |s| {
            let bad = forged(&s, s.newest, 0);
            s.repeated(200, &bad, KILL - 1, "bad_tag")
                .sent(201, 1, 201, 0, "accept")
                .frame(202, &bad, "bad_tag")
                .sent(203, 2, 203, 0, "unknown_key")
        },
    )
}

fn per_generation() -> Vector {
    one(
        2,
        "renewal_bad_tags_are_of_one_generation",
        "Bad tags are counted for each held generation apart, control frames among them; frames of a generation that is not held for none.",
        7,
        |s| {
            let old = s.newest;
            let bad_old = forged(&s, old, 0);
            let s = s.offered(100).shared(110, "accept");
            let bad_new = forged(&s, s.newest, ACK);
            let bad_share = flip(&s.share, 40, 0);
            let unheld = forged(&s, Known { number: old.number + 2, ..old }, 0);
            s.repeated(200, &bad_old, KILL - 2, "bad_tag")
                .repeated(201, &bad_new, KILL - 1, "bad_tag")
                .repeated(202, &unheld, 5, "no_slot")
                .frame(203, &bad_share, "control")
                .sent(204, 0, 204, ACK, "accept")
                .frame(205, &bad_share, "control")
                .sent(206, 1, 206, 0, "unknown_key")
        },
    )
}
