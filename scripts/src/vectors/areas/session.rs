//! Sessions at a server: what is judged, and in which order.

use super::material::{KEY_ID, ORIGIN, flip, key, key_id};
use crate::{
    hex::encode,
    reference::{
        frame::Header,
        schedule::schedule,
        session::{Bounds, Session},
        suite::{Suite, seal},
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

const OP: &str = "session";
const LIMIT: u64 = 5000;

/// A scripted session: events with the verdict each must get.
pub(super) struct Script {
    suite: u16,
    session: Session,
    bits: u64,
    events: Vec<Value>,
    verdicts: Vec<&'static str>,
}

impl Script {
    /// A session that is used at once, so that it is not forgotten: counter 0, 10 ms after the origin.
    pub(super) fn new(suite: u16, bits: u64) -> Self {
        let kind = Suite::of(suite.into()).expect("a suite");
        let bounds = Bounds {
            renew_after_requests: LIMIT / 2,
            renew_after_ms: 600_000,
            reject_after_requests: LIMIT,
            reject_after_ms: 900_000,
            window_bits: bits,
        };
        let session = Session::new(kind, KEY_ID, bounds, (0, key("gs0"), ORIGIN), ORIGIN);
        let script = Self { suite, session, bits, events: Vec::new(), verdicts: Vec::new() };
        script.sent(10, 0, 10, "accept")
    }

    fn kind(&self) -> Suite {
        Suite::of(self.suite.into()).expect("a suite")
    }

    /// A good request; `stamp` is milliseconds after the origin.
    pub(super) fn request(&self, counter: u64, stamp: u64) -> Vec<u8> {
        self.sealed_with(
            counter,
            stamp,
            self.session.request_key(counter, ORIGIN + stamp).expect("in a slot"),
        )
    }

    /// A request under any key.
    pub(super) fn sealed_with(&self, counter: u64, stamp: u64, k_req: [u8; 32]) -> Vec<u8> {
        let header =
            Header { key_id: KEY_ID, op: 7, counter, timestamp: ORIGIN + stamp, ..Header::of("REQ") };
        seal(self.kind(), &k_req, header, b"payload", &[])
    }

    /// A frame received `at` milliseconds after the origin.
    pub(super) fn frame(mut self, at: u64, frame: &[u8], verdict: &'static str) -> Self {
        self.events.push(json!({ "at": ORIGIN + at, "frame": encode(frame) }));
        self.verdicts.push(verdict);
        self
    }

    /// A good request received.
    pub(super) fn sent(self, at: u64, counter: u64, stamp: u64, verdict: &'static str) -> Self {
        let frame = self.request(counter, stamp);
        self.frame(at, &frame, verdict)
    }

    /// A request with a bit of its tag turned.
    fn forged(self, at: u64, counter: u64, stamp: u64, verdict: &'static str) -> Self {
        let frame = self.request(counter, stamp);
        let frame = flip(&frame, frame.len() - 1, 3);
        self.frame(at, &frame, verdict)
    }

    /// The script as a case of `vector`.
    pub(super) fn case(self, vector: Vector, comment: &str) -> Vector {
        let inputs = json!({
            "suite": self.suite,
            "gs0": encode(&key("gs0")),
            "key_id": key_id(KEY_ID),
            "origin": ORIGIN,
            "limits": {
                "renew_after_requests": LIMIT / 2,
                "reject_after_requests": LIMIT,
                "renew_after_ms": 600_000,
                "reject_after_ms": 900_000,
            },
            "bits": self.bits,
            "events": self.events,
        });
        vector.gives(comment, inputs, json!({ "verdicts": self.verdicts }))
    }
}

/// A vector of one script under both suites.
pub(super) fn both(
    name: &'static str,
    spec: &'static str,
    property: &'static str,
    bits: u64,
    script: impl Fn(Script) -> Script,
) -> Vector {
    let vector = Vector::new(name, spec, OP, property);
    let vector = script(Script::new(1, bits)).case(vector, "HS256");
    script(Script::new(2, bits)).case(vector, "GCM256")
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = counters();
    all.extend(limits());
    all.extend(time());
    all.extend(keys());
    all
}

fn counters() -> Vec<Vector> {
    let order = both("session_accepts_each_once", "§7.2.4", "Each request is accepted once.", 64, |s| {
        s.sent(20, 1, 20, "accept")
            .sent(21, 1, 20, "replay")
            .sent(22, 3, 22, "accept")
            .sent(23, 2, 22, "accept")
            .sent(24, 0, 10, "replay")
            .sent(25, 2, 22, "replay")
    });
    let twice = both(
        "session_counter_is_used_once",
        "§7.2.4",
        "Another frame under an accepted counter is a replay.",
        64,
        |s| s.sent(20, 1, 20, "accept").sent(30, 1, 30, "replay"),
    );
    let old = both(
        "session_below_the_window_is_too_old",
        "§8.3",
        "A counter below the window is too old.",
        64,
        |s| {
            s.sent(20, 100, 20, "accept")
                .sent(21, 36, 20, "too_old")
                .sent(22, 37, 20, "accept")
                .sent(23, 37, 20, "replay")
                .sent(24, 0, 10, "too_old")
        },
    );
    let forged = both(
        "session_bad_tag_moves_no_window",
        "§7.2.2",
        "A frame with a bad tag neither uses its counter nor moves the window.",
        64,
        |s| {
            s.forged(20, 1, 20, "bad_tag")
                .sent(21, 1, 20, "accept")
                .forged(22, 4000, 22, "bad_tag")
                .sent(23, 2, 23, "accept")
                .sent(24, 4000, 22, "accept")
                .sent(25, 3, 25, "too_old")
        },
    );
    vec![order, twice, old, forged]
}

fn limits() -> Vec<Vector> {
    let limit = both(
        "session_limit_is_exact",
        "§7.2.3",
        "A counter at or above the hard limit is refused and not recorded; the one below it is accepted.",
        64,
        |s| {
            s.sent(20, LIMIT, 20, "limit")
                .sent(21, LIMIT, 20, "limit")
                .sent(22, (1 << 48) - 1, 22, "limit")
                .sent(23, 1, 23, "accept")
                .sent(24, LIMIT - 1, 24, "accept")
                .sent(25, LIMIT - 1, 24, "replay")
                .sent(26, LIMIT + 1, 26, "limit")
        },
    );
    let limit_order = both(
        "session_limit_is_judged_after_tag",
        "§7.2.3",
        "Beyond the hard limit a bad tag is a bad tag, and a stale frame beyond it is beyond it.",
        64,
        |s| {
            s.forged(20, LIMIT, 20, "bad_tag")
                .sent(40_000, LIMIT, 9_999, "limit")
                .forged(40_001, LIMIT, 9_999, "bad_tag")
                .sent(40_002, LIMIT, 40_000, "limit")
        },
    );
    vec![limit, limit_order]
}

fn time() -> Vec<Vector> {
    let past = both("session_past_bound", "§6.3", "30000 ms old is in time, 30001 ms stale.", 64, |s| {
        s.sent(30_020, 1, 20, "accept")
            .sent(30_021, 2, 20, "stale")
            .sent(30_021, 3, 21, "accept")
            .sent(60_000, 4, 29_999, "stale")
            .sent(60_000, 5, 30_000, "accept")
    });
    let future = both("session_future_bound", "§6.3", "5000 ms ahead is in time, 5001 ms stale.", 64, |s| {
        s.sent(20, 1, 5_020, "accept")
            .sent(20, 2, 5_021, "stale")
            .sent(21, 3, 5_021, "accept")
            .sent(21, 4, 60_000, "stale")
    });
    let verified = both(
        "session_stale_is_verified",
        "§7.2.1",
        "A frame out of time but inside a held slot is verified: stale if its tag holds, else a bad tag.",
        64,
        |s| {
            s.forged(40_000, 1, 100, "bad_tag")
                .sent(40_000, 1, 100, "stale")
                .forged(40_000, 2, 100, "bad_tag")
                .sent(40_000, 2, 40_000, "accept")
        },
    );
    let recorded = both(
        "session_stale_is_recorded",
        "§7.2.1",
        "A stale frame uses its counter and moves the window: it is never executed, not even once it is in time.",
        64,
        |s| {
            s.sent(20, 1, 5_021, "stale")
                .sent(5_000, 1, 5_021, "replay")
                .sent(40_000, 4000, 100, "stale")
                .sent(40_001, 3935, 40_000, "too_old")
                .sent(40_002, 3937, 40_000, "accept")
        },
    );
    let after = both(
        "session_replay_is_judged_before_stale",
        "§7.2.1",
        "An accepted frame that comes again is a replay as long as its slot is held, in time or not.",
        64,
        |s| {
            s.sent(20, 1, 20, "accept")
                .sent(30_020, 1, 20, "replay")
                .sent(30_021, 1, 20, "replay")
                .sent(131_071, 1, 20, "replay")
                .sent(131_072, 1, 20, "no_slot")
        },
    );
    vec![past, future, verified, recorded, after]
}

fn keys() -> Vec<Vector> {
    let unknown =
        both("session_of_another_key_id", "§9.1", "A frame of another key id is of no session.", 64, |s| {
            let frame = flip(&s.request(1, 20), 11, 0);
            s.frame(20, &frame, "unknown_key").sent(21, 1, 20, "accept")
        });
    let generation = both(
        "session_of_another_generation",
        "§15",
        "A generation that is not held has no slot.",
        64,
        |s| {
            let (next, last) = (flip(&s.request(1, 20), 13, 0), flip(&s.request(1, 20), 12, 7));
            s.frame(20, &next, "no_slot").frame(20, &last, "no_slot").sent(21, 1, 20, "accept")
        },
    );
    let sealed = both(
        "session_sealed_flag_mismatch",
        "§4.2",
        "A sealed flag that is not the suite's is a bad tag and has no effect.",
        64,
        |s| {
            let other = Script::new(3 - s.suite, 64).request(1, 20);
            let turned = flip(&s.request(1, 20), 3, 0);
            s.frame(20, &turned, "bad_tag").frame(20, &other, "bad_tag").sent(21, 1, 20, "accept")
        },
    );
    let counter = both(
        "session_key_is_of_the_counter",
        "§5.3.1",
        "A frame sealed under the key of another counter is a bad tag.",
        64,
        |s| {
            let wrong = s.session.request_key(2, ORIGIN + 20).expect("in a slot");
            let frame = s.sealed_with(1, 20, wrong);
            s.frame(20, &frame, "bad_tag").sent(21, 1, 20, "accept").sent(22, 2, 20, "accept")
        },
    );
    let mut bounds = Vector::new(
        "session_bounds_are_judged_first",
        "§7.2",
        OP,
        "A frame that breaks §3 is refused for that, whatever else is wrong with it; it is the last of its connection.",
    );
    for (reason, at, bit) in [("version", 2, 6), ("kind", 2, 1), ("flags", 3, 5)] {
        for suite in [1, 2] {
            let script = Script::new(suite, 64);
            let frame = flip(&flip(&script.request(0, 10), 8, 1), at, bit);
            let comment = format!("{reason}, suite {suite}");
            bounds = script.frame(20, &frame, reason).case(bounds, &comment);
        }
    }
    let ck0 = schedule(key("gs0"), KEY_ID, 0).ck0;
    let generation_key = both(
        "session_key_is_not_the_chain_key",
        "§5.3.1",
        "A frame sealed under a key of the schedule itself is a bad tag.",
        64,
        |s| {
            let frame = s.sealed_with(1, 20, ck0);
            s.frame(20, &frame, "bad_tag").sent(21, 1, 20, "accept")
        },
    );
    vec![unknown, generation, sealed, counter, bounds, generation_key]
}
