//! The key agreement of a renewal, computed before it is needed, when it is needed, or never (SPEC §11.2.7).

mod support;

use mvt_proto::{
    Header, Limits, Reject, Role,
    constants::{EXCHANGE_MS, HEADER_BYTES, SLOT_BITS, STAY_MS},
    session::{Agreed, Agreement, Shared},
};
use support::{ORIGIN_MS, Pair, flipped, renewing::used};

/// Of sessions that live for more than an hour, so that their first OFFER has form 1.
const LIMITS: Limits = Limits { renew_after_ms: 4_000_000, reject_after_ms: 8_000_000, ..Limits::DEFAULT };
const AT_MS: u64 = EXCHANGE_MS;

fn agreement(pair: &Pair) -> Option<Agreement> {
    pair.server.renewal().and_then(|renewal| renewal.agreement())
}

fn compute(agreement: &Agreement) -> Agreed {
    agreement.compute().expect("an honest point")
}

/// Used pairs whose server took a SHARE for its offer number `fill`.
fn shared(fill: u8) -> impl Iterator<Item = (Pair, Agreement)> {
    used(LIMITS).map(move |mut pair| {
        pair.server.advance(ORIGIN_MS + AT_MS);
        assert!(agreement(&pair).is_none());
        let offer = pair.offer(fill, AT_MS);
        assert!(agreement(&pair).is_none(), "no SHARE came yet");
        let share = pair.tell(&offer, AT_MS).1;
        assert_eq!(pair.share(&share, AT_MS), Ok(Shared::Taken));
        let agreement = agreement(&pair).expect("to be computed");
        (pair, agreement)
    })
}

/// The next two requests of a client that has stayed: the last of its generation, and the first of the next.
fn last_and_first(pair: &mut Pair) -> [Vec<u8>; 2] {
    [0, 1].map(|generation| {
        let (_, frame) = pair.request(b"", AT_MS + STAY_MS);
        assert_eq!(Header::parse(&frame, Role::Server).expect("well formed").generation, generation);
        frame
    })
}

fn is_agreeing(pair: &Pair) -> bool {
    pair.server.renewal().is_some_and(|renewal| renewal.is_agreeing())
}

#[test]
fn a_result_that_comes_early_or_never_makes_no_difference_to_requests() {
    for comes in [true, false] {
        for (mut pair, agreement) in shared(1) {
            pair.exchange(AT_MS);
            assert!(is_agreeing(&pair) && agreement.is_awaited(), "requests of g need nothing of it");
            if comes {
                assert!(pair.server.take_agreed(&compute(&agreement)));
                assert!(!is_agreeing(&pair));
            }
            let frames = last_and_first(&mut pair);
            frames.iter().for_each(|frame| assert_eq!(pair.verdict(frame, AT_MS + STAY_MS), "accept"));
            assert_eq!(pair.server.generation(), 1);
            assert!(!agreement.is_awaited(), "whoever comes to it late need not compute it");
            pair.exchange(AT_MS + STAY_MS);
        }
    }
}

/// A client that does not stay (11.3.9 is no MUST): its request arrives right behind the SHARE.
#[test]
fn a_request_right_behind_the_share_is_taken_at_once() {
    for (mut pair, _) in shared(1) {
        let [_, first] = last_and_first(&mut pair);
        assert_eq!(pair.verdict(&first, AT_MS), "accept");
        assert!(!is_agreeing(&pair));
    }
}

#[test]
fn a_result_counts_once() {
    for (mut pair, agreement) in shared(1) {
        let [_, first] = last_and_first(&mut pair);
        assert!(pair.server.take_agreed(&compute(&agreement)));
        assert!(!pair.server.take_agreed(&compute(&agreement)), "again");
        assert_eq!(pair.verdict(&first, AT_MS + STAY_MS), "accept");
        assert!(!pair.server.take_agreed(&compute(&agreement)), "after the commit");
        assert_eq!(pair.verdict(&first, AT_MS + STAY_MS), "replay", "no window is made anew");
    }
    for (mut pair, agreement) in shared(1) {
        let [_, first] = last_and_first(&mut pair);
        assert_eq!(pair.verdict(&first, AT_MS + STAY_MS), "accept");
        assert!(!pair.server.take_agreed(&compute(&agreement)), "computed here");
        assert_eq!(pair.verdict(&first, AT_MS + STAY_MS), "replay");
    }
}

/// The same key id and generation, another OFFER; the same OFFER, another SHARE.
#[test]
fn a_result_of_another_offer_or_share_is_dropped() {
    for ((mut pair, own), (_, other)) in shared(1).zip(shared(2)) {
        assert!(!pair.server.take_agreed(&compute(&other)));
        assert!(is_agreeing(&pair) && own.is_awaited(), "nothing changed");
        let mut twin = Pair::new(pair.client.suite(), LIMITS);
        twin.exchange(1);
        let offer = twin.offer(1, AT_MS);
        let share = twin.tell(&offer, AT_MS + 1).1;
        assert_eq!(twin.share(&share, AT_MS), Ok(Shared::Taken));
        let of_other_share = agreement(&twin).expect("to be computed");
        assert!(!pair.server.take_agreed(&compute(&of_other_share)));
        assert!(pair.server.take_agreed(&compute(&own)));
        let frames = last_and_first(&mut pair);
        frames.iter().for_each(|frame| assert_eq!(pair.verdict(frame, AT_MS + STAY_MS), "accept"));
    }
}

/// What a forger can bring about is what a client had paid for, and that once.
#[test]
fn only_a_frame_that_may_be_of_the_next_generation_has_it_computed_and_once() {
    for (mut pair, agreement) in shared(1) {
        let [_, first] = last_and_first(&mut pair);
        let refused = |pair: &mut Pair, frame: &[u8]| pair.verdict(frame, AT_MS);
        let mut no_ack = first.clone();
        no_ack[3] &= !2;
        assert_eq!(refused(&mut pair, &no_ack), "no_slot");
        let mut of_another = first.clone();
        for generation in [2u16, 7, 0xffff] {
            of_another[12..14].copy_from_slice(&generation.to_be_bytes());
            assert_eq!(refused(&mut pair, &of_another), "no_slot", "{generation}");
        }
        assert!(is_agreeing(&pair), "none of these can be of generation 1");
        let forged = flipped(&first, HEADER_BYTES * 8);
        assert_eq!(refused(&mut pair, &forged), "bad_tag");
        assert!(!is_agreeing(&pair) && !agreement.is_awaited());
        assert_eq!(pair.server.generation(), 0, "computed, and not committed");
        assert_eq!(refused(&mut pair, &forged), "bad_tag", "nothing is left to compute");
        assert_eq!(pair.verdict(&first, AT_MS), "accept");
    }
    // Before a SHARE there is nothing that could be computed.
    for mut pair in used(LIMITS) {
        pair.server.advance(ORIGIN_MS + AT_MS);
        let offer = pair.offer(1, AT_MS);
        pair.tell(&offer, AT_MS).0.expect("authentic");
        let [_, first] = last_and_first(&mut pair);
        assert_eq!(pair.verdict(&first, AT_MS), "no_slot");
    }
}

#[test]
fn a_share_that_comes_again_changes_nothing_while_it_is_computed() {
    for mut pair in used(LIMITS) {
        pair.server.advance(ORIGIN_MS + AT_MS);
        let offer = pair.offer(1, AT_MS);
        let share = pair.tell(&offer, AT_MS).1;
        assert_eq!(pair.share(&share, AT_MS), Ok(Shared::Taken));
        let agreement = agreement(&pair).expect("to be computed");
        assert_eq!(pair.share(&share, AT_MS), Ok(Shared::Again));
        let forged = flipped(&share, HEADER_BYTES * 8);
        assert_eq!(pair.share(&forged, AT_MS), Err(Reject::Control));
        assert_eq!(pair.offer(2, AT_MS + 1_000), offer, "as before a commit, the same OFFER is sent again");
        assert!(pair.server.take_agreed(&compute(&agreement)));
        assert_eq!(pair.share(&share, AT_MS), Ok(Shared::Again));
    }
}

/// §11.3.5: what is offered ends with the generation that offered it, agreed or not.
#[test]
fn nothing_is_computed_beyond_the_hard_limit_nor_for_a_session_that_is_gone() {
    for (mut pair, agreement) in shared(1) {
        let [_, first] = last_and_first(&mut pair);
        let end_ms = pair.server.deadline_ms() - ORIGIN_MS;
        assert_eq!(pair.verdict(&first, end_ms), "no_slot");
        assert!(is_agreeing(&pair));
        drop(pair);
        assert!(!agreement.is_awaited(), "nobody waits");
    }
}

/// §5.2.2: keys that are derived late are those of the slots of now.
#[test]
fn a_generation_that_is_derived_late_holds_no_slot_that_passed() {
    const SLOT_MS: u64 = 1 << SLOT_BITS;
    for comes in [true, false] {
        for (mut pair, agreement) in shared(1) {
            let [_, first] = last_and_first(&mut pair);
            let late_ms = AT_MS + 2 * SLOT_MS + 1;
            if comes {
                assert!(pair.server.take_agreed(&compute(&agreement)));
            }
            assert_eq!(pair.verdict(&first, late_ms), "no_slot", "its slot passed");
            let (_, frame) = pair.request(b"", late_ms);
            assert_eq!(pair.verdict(&frame, late_ms), "accept");
        }
    }
}
