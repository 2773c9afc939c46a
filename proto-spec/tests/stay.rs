//! After a SHARE the client goes on with its generation for a moment (SPEC §11.3.9).

mod support;

use mvt_lanes::Engine;
use mvt_proto::{
    Header, Limits, Role,
    constants::{EXCHANGE_MS, STAY_MS},
    session::{Answer, Request, Sealer},
};
use support::{CLIENT_ORIGIN_MS, ORIGIN_MS, Pair, lost_keys, renewing::used};

/// Of sessions that live for more than an hour, so that their first OFFER has form 1.
const LIMITS: Limits = Limits { renew_after_ms: 4_000_000, reject_after_ms: 8_000_000, ..Limits::DEFAULT };
const AT_MS: u64 = EXCHANGE_MS;

/// Used pairs that renew with a Diffie-Hellman; the server has the SHARE.
fn shared(limits: Limits, at_ms: u64) -> impl Iterator<Item = Pair> {
    used(limits).map(move |mut pair| {
        pair.server.advance(ORIGIN_MS + at_ms);
        assert!(pair.server.wants_exchange(ORIGIN_MS + at_ms));
        pair.offer_and_take(1, at_ms);
        pair
    })
}

/// Generation, `last` and `ack` of a frame.
fn named(frame: &[u8]) -> (u16, bool, bool) {
    let header = Header::parse(frame, Role::Server).expect("well formed");
    (header.generation, header.flags.last(), header.flags.ack())
}

/// The same of the next request, which the server takes.
fn next(pair: &mut Pair, at_ms: u64) -> (u16, bool, bool) {
    let (_, frame) = pair.request(b"", at_ms);
    assert_eq!(pair.verdict(&frame, at_ms), "accept");
    named(&frame)
}

#[test]
fn the_generation_goes_on_for_so_long_and_ends_as_ever() {
    for mut pair in shared(LIMITS, AT_MS) {
        for at_ms in [AT_MS, AT_MS, AT_MS + 1, AT_MS + STAY_MS - 1] {
            assert_eq!(next(&mut pair, at_ms), (0, false, false));
        }
        assert_eq!(next(&mut pair, AT_MS + STAY_MS), (0, true, false), "§11.3.1");
        for _ in 0..3 {
            assert_eq!(next(&mut pair, AT_MS + STAY_MS), (1, false, true), "nothing of g behind `last`");
        }
        assert_eq!(pair.server.generation(), 1);
    }
}

/// A client that falls silent behind its SHARE.
#[test]
fn who_has_nothing_to_say_stays_no_longer() {
    for mut pair in shared(LIMITS, AT_MS) {
        assert_eq!(next(&mut pair, AT_MS + 1_000), (0, true, false));
        assert_eq!(next(&mut pair, AT_MS + 1_000), (1, false, true));
    }
}

/// §11.2.6: its requests travel one at a time until an answer shows that the SHARE arrived.
#[test]
fn who_waits_for_each_answer_leaves_at_once() {
    for mut pair in used(LIMITS) {
        pair.client.leave_at_once();
        pair.server.advance(ORIGIN_MS + AT_MS);
        pair.offer_and_take(1, AT_MS);
        assert!(!pair.client.share().is_empty());
        assert_eq!(next(&mut pair, AT_MS), (0, true, false));
        assert_eq!(next(&mut pair, AT_MS), (1, false, true));
    }
}

#[test]
fn without_a_share_nothing_is_waited_for() {
    for mut pair in used(LIMITS) {
        pair.offer_and_take(1, 10);
        assert_eq!(next(&mut pair, 10), (0, true, false));
        assert_eq!(next(&mut pair, 10), (1, false, true));
    }
}

/// Half-way to its hard limits, or where these are the soft ones, when nothing is left (§7.1.3).
#[test]
fn a_limit_of_the_generation_ends_the_moment() {
    let limits = Limits { renew_after_requests: 1, reject_after_requests: 4, ..LIMITS };
    for mut pair in shared(limits, AT_MS) {
        assert_eq!(next(&mut pair, AT_MS), (0, false, false));
        assert_eq!(next(&mut pair, AT_MS), (0, true, false));
        assert_eq!(next(&mut pair, AT_MS), (1, false, true));
    }
    let limits = Limits { renew_after_requests: 3, reject_after_requests: 3, ..LIMITS };
    for mut pair in shared(limits, AT_MS) {
        assert_eq!([0, 1].map(|_| next(&mut pair, AT_MS)), [(0, false, false); 2]);
        assert_eq!(next(&mut pair, AT_MS), (1, false, true));
    }
    let limits = Limits { renew_after_ms: AT_MS as u32, reject_after_ms: AT_MS as u32 + 20_000, ..LIMITS };
    let latest_ms = AT_MS + 10_000 - STAY_MS;
    for (at_ms, stays) in [(latest_ms - 1, true), (latest_ms, false)] {
        for mut pair in shared(limits, at_ms) {
            assert_eq!(next(&mut pair, at_ms), (0, !stays, false));
        }
    }
}

/// §9.3, §11.3.6: as long as nothing of g+1 was sealed, a LOST is about the session.
#[test]
fn a_lost_meanwhile_means_what_it_meant_before() {
    for mut pair in shared(LIMITS, AT_MS) {
        let (pending, frame) = pair.request(b"", AT_MS);
        assert_eq!(pair.answer(&pending, &mut lost_keys().answer(&frame, true), AT_MS), Ok(Answer::Lost));
    }
}

#[test]
fn many_requests_sealed_together_stay_and_leave_like_one_by_one() {
    let limits = Limits { renew_after_requests: 1, reject_after_requests: 40, ..LIMITS };
    for (mut alone, mut together) in shared(limits, AT_MS).zip(shared(limits, AT_MS)) {
        // The moment ends half-way to the limit, then by time.
        for (at_ms, most, wrote) in [(0, 5, 5), (0, 32, 14), (0, 9, 1), (0, 9, 9)] {
            let now_ms = CLIENT_ORIGIN_MS + AT_MS + at_ms;
            let (mut sealer, mut out) = (Sealer::new(Engine::detect()), Vec::new());
            let request = Request { op: 7, payload: b"pay" };
            let count = sealer.write_alike(&mut together.client, request, most, now_ms, &mut out);
            assert_eq!(count, Ok(wrote));
            sealer.seal(&mut out, |_, _| ());
            let expected: Vec<u8> = (0..wrote).flat_map(|_| alone.request(b"pay", AT_MS + at_ms).1).collect();
            assert_eq!(out, expected);
        }
        assert_eq!(named(&together.request(b"", AT_MS).1).0, 1);
    }
    for (mut alone, mut together) in shared(limits, AT_MS).zip(shared(limits, AT_MS)) {
        for (at_ms, wrote) in [(0, 9), (STAY_MS - 1, 9), (STAY_MS, 1), (STAY_MS, 9)] {
            let now_ms = CLIENT_ORIGIN_MS + AT_MS + at_ms;
            let (mut sealer, mut out) = (Sealer::new(Engine::detect()), Vec::new());
            let request = Request { op: 7, payload: b"pay" };
            assert_eq!(sealer.write_alike(&mut together.client, request, 9, now_ms, &mut out), Ok(wrote));
            sealer.seal(&mut out, |_, _| ());
            let expected: Vec<u8> = (0..wrote).flat_map(|_| alone.request(b"pay", AT_MS + at_ms).1).collect();
            assert_eq!(out, expected);
        }
    }
}
