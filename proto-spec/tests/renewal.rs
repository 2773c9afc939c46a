//! Renewal between the two halves of a session: offer, share, commit by use, drain (SPEC §11).

mod support;

use mvt_proto::{
    Flags, Header, Limits, Reject, Role,
    constants::{
        BAD_TAGS_ERASE, BAD_TAGS_RENEW, DRAIN_MS_MAX, DRAIN_MS_MIN, EXCHANGE_MS, HEADER_BYTES, KEPT_MS_MAX,
        OFFER_AGAIN_MS, STAY_MS,
    },
    frame::control::{About, Control},
    reject::ErrReason,
    secret::Secret,
    session::{Answer, BadTags, Shared, Told},
};
use support::{
    CHAIN, CLIENT_ORIGIN_MS, KEY_ID, ORIGIN_MS, Pair, SUITES, flipped, lost_keys, points::bad_points,
    renewing::used,
};

/// Long enough that nothing but the rule under test ends a generation.
const LIMITS: Limits = Limits::DEFAULT;

/// §11.3.1, §11.3.2: one last request of the old generation, the others of the new one, with ack until it is answered.
#[test]
fn the_generation_changes_by_use_and_every_request_is_verified() {
    for mut pair in used(LIMITS) {
        for generation in 0..20u16 {
            let at_ms = 1_000 + u64::from(generation) * 40_000;
            pair.server.advance(ORIGIN_MS + at_ms);
            let at_ms = pair.offer_and_take(generation as u8, at_ms);
            assert_eq!((pair.server.generation(), pair.client.generation()), (generation, generation + 1));
            let last = pair.exchange(at_ms);
            assert_eq!((last.generation, last.flags.last(), last.flags.ack()), (generation, true, false));
            assert_eq!(
                pair.server.generation(),
                generation,
                "before a request of it, an offer changes nothing"
            );
            let batch = pair.requests(3, at_ms);
            for (number, (pending, frame)) in batch.iter().enumerate() {
                let header = Header::parse(frame, Role::Server).unwrap();
                assert_eq!((header.generation, header.counter), (generation + 1, number as u64));
                assert!(header.flags.ack() && !header.flags.last());
                let mut answer = pair.reply(frame, at_ms);
                assert!(matches!(pair.answer(pending, &mut answer, at_ms), Ok(Answer::Response { .. })));
            }
            assert_eq!(pair.server.generation(), generation + 1);
            let next = pair.exchange(at_ms);
            assert!(!next.flags.ack(), "an answer verified");
        }
    }
}

/// K-01. §11.3.4: min(2000 + 4 d, 30000) from the commit, d from the offer to it.
#[test]
fn the_drain_is_exact_at_its_edge() {
    for (waited_ms, drain_ms) in [
        (0, DRAIN_MS_MIN),
        (1, DRAIN_MS_MIN + 4),
        (100, DRAIN_MS_MIN + 400),
        (6_999, DRAIN_MS_MAX - 4),
        (7_000, DRAIN_MS_MAX),
        (60_000, DRAIN_MS_MAX),
    ] {
        for mut pair in used(LIMITS) {
            let old = pair.requests(3, 500);
            pair.offer_and_take(1, 500);
            pair.requests(1, 500);
            let commit_ms = 500 + waited_ms;
            pair.exchange(commit_ms);
            let end_ms = commit_ms + drain_ms;
            // In time or not, they are verified: what is out of time is answered STALE.
            let held = ["accept", "stale"];
            assert!(held.contains(&pair.verdict(&old[0].1, commit_ms)), "{waited_ms}");
            assert!(held.contains(&pair.verdict(&old[1].1, end_ms - 1)), "{waited_ms}");
            assert_eq!(pair.verdict(&old[2].1, end_ms), "no_slot", "{waited_ms}");
            assert!(pair.server.renewal().is_none(), "erased");
        }
    }
}

/// §11.3.4: a drain ends with the hard limit of its generation.
#[test]
fn no_drain_outlives_the_hard_limit() {
    let limits = Limits { renew_after_ms: 10_000, reject_after_ms: 20_000, ..LIMITS };
    for mut pair in used(limits) {
        let old = pair.requests(2, 19_000);
        pair.offer_and_take(1, 19_000);
        pair.requests(1, 19_000);
        pair.exchange(19_000);
        assert_eq!(pair.verdict(&old[0].1, 19_999), "accept");
        assert_eq!(pair.verdict(&old[1].1, 20_000), "no_slot");
        pair.exchange(20_001);
    }
}

/// §11.3.5, §7.2.3: without a commit nothing is left at the hard limit.
#[test]
fn without_a_commit_both_generations_end_at_the_hard_limit() {
    let limits = Limits { renew_after_ms: 10_000, reject_after_ms: 20_000, ..LIMITS };
    for mut pair in used(limits) {
        pair.offer_and_take(1, 15_000);
        let mut frames = pair.requests(3, 19_999);
        let next = frames.pop().unwrap().1;
        assert_eq!(pair.server.deadline_ms(), ORIGIN_MS + 20_000);
        for (_, frame) in &frames {
            assert_eq!(pair.verdict(frame, 20_000), "no_slot");
        }
        assert_eq!(pair.verdict(&next, 20_000), "no_slot");
    }
}

/// §11.2.1, §11.2.2: by count, by time spread over its last tenth, once.
#[test]
fn an_offer_is_wanted_at_a_soft_limit_and_once() {
    let soft = Limits { renew_after_requests: 5, renew_after_ms: 100_000, ..LIMITS };
    for mut pair in used(LIMITS) {
        assert!(!pair.server.wants_offer(&soft, ORIGIN_MS + 1));
        let spread = (10_000 * (KEY_ID & 0xffff)) >> 16;
        assert!(!pair.server.wants_offer(&soft, ORIGIN_MS + 100_000 - spread - 1));
        assert!(pair.server.wants_offer(&soft, ORIGIN_MS + 100_000 - spread));
        for _ in 0..3 {
            pair.exchange(2);
            assert!(!pair.server.wants_offer(&soft, ORIGIN_MS + 2));
        }
        pair.exchange(2);
        assert!(pair.server.wants_offer(&soft, ORIGIN_MS + 2));
        pair.request(b"", 3);
        pair.renew(1, 3);
        pair.requests(10, 4).iter().for_each(|(_, frame)| assert_eq!(pair.verdict(frame, 4), "accept"));
        assert!(!pair.server.wants_offer(&soft, ORIGIN_MS + 4), "not while the generation before drains");
        let drained_ms = 3 + DRAIN_MS_MIN;
        pair.server.advance(ORIGIN_MS + drained_ms);
        assert!(pair.server.wants_offer(&soft, ORIGIN_MS + drained_ms));
    }
}

/// §11.2.3, §11.1.2: the same bytes, not within a second.
#[test]
fn the_same_offer_is_sent_again_and_changes_nothing() {
    for mut pair in used(LIMITS) {
        let offer = pair.offer(1, 10);
        assert!(pair.server.wants_offer(&LIMITS, ORIGIN_MS + 11), "asks, as long as it is outstanding");
        assert_eq!(pair.offer(2, 10 + OFFER_AGAIN_MS - 1), Vec::<u8>::new());
        assert_eq!(pair.offer(3, 10 + OFFER_AGAIN_MS), offer);
        assert_eq!(pair.offer(4, 10 + 2 * OFFER_AGAIN_MS - 1), Vec::<u8>::new());
        for (at_ms, renewed) in [(2_000, true), (2_001, false), (2_002, false)] {
            let told = pair.tell(&offer, at_ms).0.expect("authentic");
            assert_eq!(matches!(told, Told::Renewed), renewed);
        }
        assert_eq!(pair.client.generation(), 1);
        pair.exchange(2_003);
        pair.exchange(2_004);
        assert!(matches!(pair.tell(&offer, 2_005).0, Ok(Told::Nothing)));
        pair.exchange(2_006);
        assert_eq!(pair.server.generation(), 1);
    }
}

/// K-04: no old OFFER or SHARE turns anything back.
#[test]
fn old_control_frames_change_nothing() {
    for mut pair in used(LIMITS) {
        let mut old = Vec::new();
        for generation in 0..9u8 {
            let at_ms = u64::from(generation) * 40_000 + 10;
            pair.server.advance(ORIGIN_MS + at_ms);
            let offer = pair.offer(generation, at_ms);
            let (_, share) = pair.tell(&offer, at_ms);
            if !share.is_empty() {
                assert_eq!(pair.share(&share, at_ms), Ok(Shared::Taken));
            }
            pair.exchange(at_ms + STAY_MS);
            pair.exchange(at_ms + STAY_MS);
            old.push((offer, share));
        }
        let at_ms = 8 * 40_000 + 20;
        for (number, (offer, share)) in old.iter().enumerate() {
            let told = pair.tell(offer, at_ms).0;
            let expected = if number == 8 { Ok(()) } else { Err(Reject::Control) };
            assert_eq!(told.map(|told| assert!(matches!(told, Told::Nothing))), expected);
            if !share.is_empty() {
                assert_eq!(pair.share(share, at_ms), Err(Reject::Control));
            }
        }
        assert_eq!((pair.client.generation(), pair.server.generation()), (9, 9));
        pair.exchange(at_ms);
    }
}

/// §11.2.5: two offers for one generation cannot be honest.
#[test]
fn a_different_offer_for_the_same_generation_ends_the_session() {
    for mut pair in used(LIMITS) {
        let first = pair.offer(1, 10);
        // The same session in a server that forgot what it offered.
        let second = {
            let mut twin = Pair::new(pair.client.suite(), LIMITS);
            twin.exchange(1);
            twin.offer(2, 10)
        };
        assert!(matches!(pair.tell(&first, 11).0, Ok(Told::Renewed)));
        assert!(matches!(pair.tell(&second, 12).0, Ok(Told::Broken)));
        assert!(pair.client.is_exhausted(CLIENT_ORIGIN_MS + 13));
        assert_eq!(pair.client.sealable_count(CLIENT_ORIGIN_MS + 13), 0);
    }
}

/// §11.1.1, §4.3.
#[test]
fn a_flip_of_any_bit_of_a_control_frame_is_refused_and_changes_nothing() {
    for mut pair in used(LIMITS) {
        let offer = pair.offer(1, 10);
        for bit in 32..offer.len() * 8 {
            let forged = flipped(&offer, bit);
            if Header::parse(&forged, Role::Client).is_ok() {
                assert!(pair.tell(&forged, 11).0.is_err(), "bit {bit}");
            }
        }
        assert_eq!(pair.client.generation(), 0);
        let unsealed = flipped(&offer, 24);
        assert_eq!(Header::parse(&unsealed, Role::Client).unwrap().flags, Flags(0));
        assert!(pair.tell(&unsealed, 11).0.is_err());
        assert!(matches!(pair.tell(&offer, 11).0, Ok(Told::Renewed)));
    }
}

/// Goes to generation 7, whose next OFFER carries a Diffie-Hellman.
fn at_generation_7(pair: &mut Pair) -> u64 {
    for generation in 0..7u8 {
        let at_ms = u64::from(generation) * 40_000 + 10;
        pair.server.advance(ORIGIN_MS + at_ms);
        assert!(!pair.server.wants_exchange(ORIGIN_MS + at_ms));
        pair.renew(generation, at_ms);
    }
    let at_ms = 7 * 40_000;
    pair.server.advance(ORIGIN_MS + at_ms);
    assert!(pair.server.wants_exchange(ORIGIN_MS + at_ms));
    at_ms
}

/// §11.2.6.
#[test]
fn with_form_1_the_next_generation_needs_a_share() {
    for mut pair in used(LIMITS) {
        let at_ms = at_generation_7(&mut pair);
        let offer = pair.offer(0x77, at_ms);
        let (told, share) = pair.tell(&offer, at_ms);
        assert!(matches!(told, Ok(Told::Renewed)));
        let at_ms = at_ms + STAY_MS;
        pair.exchange(at_ms);
        let (early, frame) = pair.request(b"", at_ms);
        assert_eq!(pair.verdict(&frame, at_ms), "no_slot", "nothing is derived yet");
        assert_eq!(pair.client.share(), share, "to be sent again where frames get lost");
        for bit in 32..share.len() * 8 {
            let forged = flipped(&share, bit);
            if Header::parse(&forged, Role::Server).is_ok() {
                assert_eq!(pair.share(&forged, at_ms), Err(Reject::Control), "bit {bit}");
            }
        }
        assert_eq!(pair.share(&share, at_ms), Ok(Shared::Taken));
        assert_eq!(pair.share(&share, at_ms), Ok(Shared::Again));
        let mut answer = pair.reply(&frame, at_ms);
        assert!(matches!(pair.answer(&early, &mut answer, at_ms), Ok(Answer::Response { .. })));
        assert_eq!(pair.share(&share, at_ms), Ok(Shared::Again), "late, while the old generation drains");
        assert_eq!(pair.server.generation(), 8);
        assert!(pair.client.share().is_empty());
    }
}

/// §11.2.4: a Diffie-Hellman is at most an hour old when the next begins.
#[test]
fn an_hour_after_the_last_diffie_hellman_the_form_is_1() {
    let limits = Limits { renew_after_ms: 4_000_000, reject_after_ms: 8_000_000, ..LIMITS };
    for mut pair in used(limits) {
        assert!(!pair.server.wants_exchange(ORIGIN_MS + EXCHANGE_MS - 1));
        pair.renew(1, EXCHANGE_MS);
        let drained_ms = EXCHANGE_MS + DRAIN_MS_MIN;
        pair.server.advance(ORIGIN_MS + drained_ms);
        assert!(!pair.server.wants_exchange(ORIGIN_MS + drained_ms));
        assert!(pair.server.wants_exchange(ORIGIN_MS + 2 * EXCHANGE_MS));
    }
}

/// §11.2.6, §10.3.1: points that are not canonical, or give all zero.
#[test]
fn a_bad_point_loses_the_session() {
    let limits = Limits { renew_after_ms: 4_000_000, reject_after_ms: 8_000_000, ..LIMITS };
    let keys = support::keys(KEY_ID, CHAIN);
    let about = About { key_id: KEY_ID, generation: 0, timestamp: ORIGIN_MS + EXCHANGE_MS };
    for suite in SUITES {
        for point in bad_points().into_iter().chain([[0xff; 32]]) {
            let mut pair = Pair::unequal(suite, limits, limits);
            pair.confirm();
            pair.offer(1, EXCHANGE_MS);
            let mut share = Vec::new();
            Control::Share.seal(&keys.control_c2s, about, &point, &mut share);
            assert_eq!(pair.share(&share, EXCHANGE_MS), Ok(Shared::Broken));
            assert!(pair.server.renewal().is_some_and(|renewal| renewal.agreement().is_none()));
            let mut offer = Vec::new();
            let payload = [&[1; 32][..], &[1], &point].concat();
            Control::Offer.seal(&keys.control_s2c, about, &payload, &mut offer);
            assert!(matches!(pair.tell(&offer, EXCHANGE_MS).0, Ok(Told::Broken)));
            assert!(pair.client.is_exhausted(CLIENT_ORIGIN_MS + EXCHANGE_MS));
        }
    }
}

/// §11.1.1: payloads that are not exactly as the table says, and ops of the other direction.
#[test]
fn a_control_frame_of_another_shape_is_refused() {
    let limits = Limits { renew_after_ms: 4_000_000, reject_after_ms: 8_000_000, ..LIMITS };
    let keys = support::keys(KEY_ID, CHAIN);
    let about = About { key_id: KEY_ID, generation: 0, timestamp: ORIGIN_MS + EXCHANGE_MS };
    let mut pair = Pair::unequal(SUITES[0], limits, limits);
    pair.confirm();
    pair.offer(1, EXCHANGE_MS);
    for length in (0..70).filter(|length| *length != 32) {
        let mut share = Vec::new();
        Control::Share.seal(&keys.control_c2s, about, &vec![7; length], &mut share);
        assert_eq!(pair.share(&share, EXCHANGE_MS), Err(Reject::Control), "{length}");
        let mut offer = Vec::new();
        let payload = if length == 33 || length == 65 { vec![2; length] } else { vec![0; length] };
        Control::Offer.seal(&keys.control_s2c, about, &payload, &mut offer);
        assert!(matches!(pair.tell(&offer, EXCHANGE_MS).0, Err(Reject::Control)), "{length}");
    }
    for (op, generation, timestamp) in [
        (Control::Offer, 0, about.timestamp),
        (Control::Ticket, 0, about.timestamp),
        (Control::Share, 1, about.timestamp),
        (Control::Share, 0, about.timestamp + 1),
    ] {
        let mut share = Vec::new();
        op.seal(&keys.control_c2s, About { key_id: KEY_ID, generation, timestamp }, &[7; 32], &mut share);
        assert_eq!(pair.share(&share, EXCHANGE_MS), Err(Reject::Control), "{op:?}");
    }
    assert_eq!((pair.server.generation(), pair.client.generation()), (0, 0));
}

/// §11.3.3.
#[test]
fn after_last_a_greater_counter_is_ended() {
    for mut pair in used(LIMITS) {
        // A client that seals beyond its last request: a twin that never saw the OFFER.
        let mut twin = Pair::new(pair.client.suite(), LIMITS);
        twin.exchange(1);
        let old = twin.requests(5, 10);
        pair.offer_and_take(1, 10);
        let (_, last) = pair.request(b"", 10);
        let counter = Header::parse(&last, Role::Server).unwrap().counter;
        assert_eq!(counter, 1);
        assert_eq!(pair.verdict(&old[3].1, 10), "accept", "nothing ended yet");
        assert_eq!(pair.verdict(&last, 10), "accept");
        let (pending, frame) = &old[2];
        let mut answer = pair.reply(frame, 10);
        assert_eq!(twin.answer(pending, &mut answer, 11), Ok(Answer::Refused(ErrReason::Expired)));
        assert_eq!(pair.verdict(&last, 10), "replay");
        pair.exchange(11);
        assert_eq!(pair.server.generation(), 1);
        assert_eq!(pair.verdict(&old[4].1, 12), "ended", "draining");
    }
}

/// §11.3.2.
#[test]
fn without_ack_an_offered_generation_is_not_held() {
    for mut pair in used(LIMITS) {
        let mut twin = Pair::new(pair.client.suite(), LIMITS);
        twin.exchange(1);
        pair.offer_and_take(1, 10);
        // The twin's server commits first, so that its client stops to say ack.
        twin.offer_and_take(1, 10);
        twin.exchange(10);
        twin.exchange(10);
        let (_, bare) = twin.request(b"", 10);
        assert!(!Header::parse(&bare, Role::Server).unwrap().flags.ack());
        assert_eq!(pair.verdict(&bare, 10), "no_slot");
        assert_eq!(pair.server.generation(), 0);
        pair.exchange(10);
        pair.exchange(10);
        assert_eq!(pair.verdict(&bare, 10), "accept", "committed");
    }
}

/// §11.3.7, §11.2.1, and a denial it makes possible (§16).
#[test]
fn bad_tags_renew_and_then_erase() {
    for mut pair in used(LIMITS) {
        for count in 1..BAD_TAGS_ERASE {
            let expected = if count < BAD_TAGS_RENEW { BadTags::Few } else { BadTags::Renew };
            assert_eq!(pair.server.note_bad_tag(0), expected, "{count}");
            assert_eq!(pair.server.wants_offer(&LIMITS, ORIGIN_MS + 2), expected == BadTags::Renew);
        }
        assert_eq!(pair.server.note_bad_tag(0), BadTags::Erase);
        assert_eq!(pair.server.note_bad_tag(1), BadTags::Few, "no such generation");
    }
}

/// §11.3.6.
#[test]
fn what_a_lost_means_depends_on_the_generation() {
    for mut pair in used(LIMITS) {
        let (old, old_frame) = pair.request(b"", 5);
        let lost = |frame: &[u8]| lost_keys().answer(frame, true);
        pair.offer_and_take(1, 10);
        let (last, last_frame) = pair.request(b"", 10);
        assert_eq!(pair.answer(&last, &mut lost(&last_frame), 11), Ok(Answer::Lost), "nothing else is held");
        let (new, new_frame) = pair.request(b"", 10);
        assert_eq!(
            pair.answer(&last, &mut lost(&last_frame), 11),
            Ok(Answer::Ended),
            "the next ones will tell"
        );
        assert_eq!(pair.answer(&new, &mut lost(&new_frame), 11), Ok(Answer::Lost));
        let mut answer = pair.reply(&new_frame, 11);
        assert!(pair.answer(&new, &mut answer, 11).is_ok());
        assert_eq!(pair.answer(&old, &mut lost(&old_frame), 12), Ok(Answer::Ended));
        let (next, next_frame) = pair.request(b"", 12);
        assert_eq!(pair.answer(&next, &mut lost(&next_frame), 13), Ok(Answer::Lost));
    }
}

/// §11.3.6: what comes after 30 s is of a generation the client does not hold any more.
#[test]
fn a_client_forgets_the_generation_before() {
    for mut pair in used(LIMITS) {
        let offer = pair.offer(1, 10);
        pair.tell(&offer, 10).0.expect("authentic");
        pair.exchange(10);
        pair.exchange(20);
        assert!(matches!(pair.tell(&offer, 20 + KEPT_MS_MAX - 1).0, Ok(Told::Nothing)));
        assert!(matches!(pair.tell(&offer, 20 + KEPT_MS_MAX).0, Err(Reject::Control)));
    }
}

/// §11.1.3, §11.1.2: one ticket for each generation, with the RS of that generation.
#[test]
fn a_ticket_goes_up_once_with_its_secret() {
    use mvt_proto::constants::TICKET_BYTES;
    for mut pair in used(LIMITS) {
        for generation in 0..2 {
            let mut frame = Vec::new();
            let mut resume = None;
            let issue = |secret: &Secret| {
                resume = Some(*secret.expose());
                [0xee; TICKET_BYTES]
            };
            assert!(pair.server.ticket(issue, ORIGIN_MS + 5, &mut frame), "the first");
            let again = |_: &Secret| unreachable!("there is one for each generation");
            assert!(!pair.server.ticket(again, ORIGIN_MS + 5, &mut Vec::new()));
            let Ok(Told::Ticket(kept)) = pair.tell(&frame, 6).0 else { panic!("a ticket") };
            assert_eq!((&kept.ticket, kept.suite), (&[0xee; TICKET_BYTES], pair.client.suite()));
            assert_eq!(Some(*kept.resume_secret.expose()), resume);
            assert!(matches!(pair.tell(&frame, 6).0, Ok(Told::Nothing)));
            assert!(pair.tell(&flipped(&frame, HEADER_BYTES * 8), 6).0.is_err());
            let at_ms = 10 + u64::from(generation) * 40_000;
            pair.server.advance(ORIGIN_MS + at_ms);
            pair.renew(generation, at_ms);
        }
    }
}
