//! Renewals at a server: offer, commit.

use super::{
    material::{ORIGIN, flip},
    renewal_script::{Known, LIMIT, OP, Request, Script, both},
};
use crate::{
    reference::{
        frame::ACK,
        schedule::schedule,
        slot::{request_key, slot_keys},
    },
    vectors::vector::Vector,
};

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = commits();
    all.extend(not_commits());
    all.extend(keys());
    all.extend(offers());
    all
}

fn commits() -> Vec<Vector> {
    let use_ = both(
        "renewal_commits_by_use",
        "§11.3.2",
        "The first recorded request of the offered generation commits it; then ack is not needed, and the old one drains.",
        0,
        |s| {
            let old = s.newest;
            s.offered(100)
                .sent_of(old, 110, 1, 110, 0, "accept")
                .sent(120, 0, 120, ACK, "accept")
                .sent_of(old, 130, 2, 125, 0, "accept")
                .sent(140, 1, 140, 0, "accept")
                .sent(150, 2, 150, ACK, "accept")
        },
    );
    let ack = both(
        "renewal_ack_changes_nothing_once_committed",
        "§11.3.2",
        "ack on a request of the current or the draining generation changes nothing.",
        2,
        |s| {
            let old = s.newest;
            s.sent(20, 1, 20, ACK, "accept")
                .offered(100)
                .sent_of(old, 110, 2, 110, ACK, "accept")
                .sent(120, 0, 120, ACK, "accept")
                .sent_of(old, 130, 3, 130, ACK, "accept")
                .sent(140, 1, 140, ACK, "accept")
                .sent_of(old, 150, 3, 130, ACK, "replay")
        },
    );
    let stale = both(
        "renewal_commits_by_a_stale_request",
        "§11.3.2",
        "A request of the offered generation that is out of time is recorded, so it commits.",
        0,
        |s| s.offered(100).sent(40_000, 0, 200, ACK, "stale").sent(40_001, 1, 40_000, 0, "accept"),
    );
    let nothing = both(
        "renewal_offer_changes_nothing_before_the_commit",
        "§11.3.2",
        "Before the commit requests of the old generation are judged as ever.",
        0,
        |s| {
            let old = s.newest;
            s.offered(100)
                .sent_of(old, 110, 1, 110, 0, "accept")
                .sent_of(old, 300_000, 2, 300_000, 0, "accept")
                .sent_of(old, 300_001, 2, 300_000, 0, "replay")
                .sent_of(old, 899_999, 3, 899_999, 0, "accept")
        },
    );
    let chain = both(
        "renewal_follows_renewal",
        "§11",
        "Generation follows generation, each from the one before.",
        5,
        |s| {
            let s = s.offered(100).sent(120, 0, 120, ACK, "accept");
            let s = s.offered(3_000).sent(3_010, 0, 3_010, ACK, "accept");
            let s = s.offered(6_000).shared(6_010, "accept").sent(6_020, 0, 6_020, ACK, "accept");
            let s = s.offered(9_000).sent(9_010, 0, 9_010, ACK, "accept");
            s.sent(9_020, 1, 9_020, 0, "accept")
        },
    );
    vec![use_, ack, stale, nothing, chain]
}

fn not_commits() -> Vec<Vector> {
    let ack = both(
        "renewal_offered_generation_needs_ack",
        "§11.3.2",
        "A request of an offered generation without ack is of a key that is not held.",
        0,
        |s| {
            s.offered(100)
                .sent(110, 0, 110, 0, "no_slot")
                .sent(120, 0, 110, ACK, "accept")
                .sent(130, 1, 130, 0, "accept")
        },
    );
    let limit = both(
        "renewal_limit_does_not_commit",
        "§11.3.2",
        "A request at the hard limit is not recorded, so it does not commit.",
        0,
        |s| {
            s.offered(100)
                .sent(110, LIMIT, 110, ACK, "limit")
                .sent(120, 0, 120, 0, "no_slot")
                .sent(130, 0, 130, ACK, "accept")
        },
    );
    let forged = both(
        "renewal_bad_tag_does_not_commit",
        "§7.2.2",
        "A request of the offered generation with a bad tag does not commit.",
        0,
        |s| {
            let s = s.offered(100);
            let frame = s.sealed(Request { of: s.newest, counter: 0, stamp: 110, flags: ACK });
            let forged = flip(&frame, frame.len() - 1, 0);
            let turned = flip(&frame, 3, 1);
            s.frame(110, &forged, "bad_tag")
                .frame(115, &turned, "no_slot")
                .sent(120, 1, 120, 0, "no_slot")
                .frame(130, &frame, "accept")
        },
    );
    let unasked = both(
        "renewal_without_an_offer_holds_nothing",
        "§11.3.2",
        "A generation that was not offered is not held, with ack or without.",
        1,
        |s| {
            let ahead = |by| Known { number: s.newest.number + by, ..s.newest };
            let (one, two) = (ahead(1), ahead(2));
            let back = Known { number: 0, ..one };
            s.clone()
                .sent_of(one, 20, 0, 20, ACK, "no_slot")
                .sent_of(one, 21, 0, 21, 0, "no_slot")
                .sent_of(two, 22, 0, 22, ACK, "no_slot")
                .sent_of(back, 23, 0, 23, 0, "no_slot")
                .sent(24, 1, 24, 0, "accept")
        },
    );
    let origin = both(
        "renewal_timestamp_is_not_below_the_origin",
        "§11.3.1",
        "A timestamp below the OFFER's lies in no slot of the new generation; the OFFER's own lies in the first.",
        0,
        |s| s.offered(100).sent(110, 0, 99, ACK, "no_slot").sent(110, 0, 100, ACK, "accept"),
    );
    vec![ack, limit, forged, unasked, origin]
}

fn keys() -> Vec<Vector> {
    let window = both(
        "renewal_begins_with_an_empty_window",
        "§11",
        "Counters begin at 0 with an empty window, and the old window stays while the old generation drains.",
        0,
        |s| {
            let old = s.newest;
            s.sent(20, 1, 20, 0, "accept")
                .sent(21, 100, 21, 0, "accept")
                .offered(100)
                .sent(110, 1, 110, ACK, "accept")
                .sent(111, 0, 111, ACK, "accept")
                .sent(112, 1, 112, ACK, "replay")
                .sent_of(old, 113, 1, 20, 0, "too_old")
                .sent_of(old, 114, 100, 21, 0, "replay")
                .sent_of(old, 115, 99, 21, 0, "accept")
        },
    );
    let generation = both(
        "renewal_key_is_of_the_generation",
        "§5.3.1",
        "A request of one generation under a key of another is a bad tag.",
        0,
        |s| {
            let old = s.newest;
            let s = s.offered(100);
            let new = s.newest;
            let of_old = Known { keys: old.keys, ..new };
            let of_new = Known { keys: new.keys, origin: new.origin, ..old };
            s.sent_of(of_old, 110, 0, 110, ACK, "bad_tag")
                .sent_of(of_new, 111, 1, 111, 0, "bad_tag")
                .sent(112, 0, 112, ACK, "accept")
        },
    );
    let derived = both(
        "renewal_key_comes_from_the_ratchet",
        "§11",
        "Keys of the next generation derived from GS_g itself, or without N, are not its keys.",
        0,
        |s| {
            let old = s.newest;
            let s = s.offered(100);
            let new = s.newest;
            let again = schedule(old.keys.gs, super::material::KEY_ID, new.number);
            let request = Request { of: new, counter: 0, stamp: 110, flags: ACK };
            let k_req = request_key(&slot_keys(&old.keys.rt, 0).0, new.number, 0);
            let of_rt = s.sealed_under(request, k_req);
            s.sent_of(Known { keys: again, ..new }, 110, 0, 110, ACK, "bad_tag")
                .frame(111, &of_rt, "bad_tag")
                .sent(112, 0, 112, ACK, "accept")
        },
    );
    vec![window, generation, derived]
}

fn offers() -> Vec<Vector> {
    let same = both(
        "renewal_offer_is_sent_again_byte_for_byte",
        "§11.2.3",
        "Until the commit it is the same OFFER, whatever randomness is at hand.",
        7,
        |s| s.offered(100).offered_again(1_100).offered_again(200_000),
    );
    let second = both(
        "renewal_offer_is_not_sent_again_within_a_second",
        "§11.2.3",
        "Less than 1 s after it was sent the OFFER is not sent again.",
        0,
        |s| {
            s.offered(100)
                .not_offered(101)
                .not_offered(1_099)
                .offered_again(1_100)
                .not_offered(2_099)
                .offered_again(2_100)
        },
    );
    let draining = both(
        "renewal_no_offer_while_draining",
        "§11.2.2",
        "None is made while the generation before drains, and one as soon as it does not.",
        0,
        |s| {
            s.offered(100)
                .sent(100, 0, 100, ACK, "accept")
                .not_offered(101)
                .not_offered(2_099)
                .offered(2_100)
                .sent(2_101, 0, 2_101, ACK, "accept")
        },
    );
    let mut last = Vector::new(
        "renewal_no_offer_in_the_last_generation",
        "§11.2.2",
        OP,
        "None is made in generation 65535.",
    );
    last =
        Script::from(1, 65535, ORIGIN).not_offered(100).sent(200, 1, 200, 0, "accept").case(last, "in 65535");
    last = Script::from(2, 65534, ORIGIN)
        .offered(100)
        .sent(200, 0, 200, ACK, "accept")
        .not_offered(5_000)
        .case(last, "in 65534");
    let mut form = Vector::new(
        "renewal_form_is_1_every_eighth_generation_or_hour",
        "§11.2.4",
        OP,
        "An OFFER has e_s when the next generation is divisible by 8 or the last Diffie-Hellman is an hour old.",
    );
    for (start, with_dh) in [(0, false), (6, false), (7, true), (8, false), (15, true)] {
        let script = Script::new(1, start).offered(100);
        assert_eq!(!script.share.is_empty(), with_dh, "the form of {start}");
        form = script.case(form, &format!("in {start}"));
    }
    form = Script::from(1, 65527, ORIGIN).offered(100).case(form, "in 65527");
    // The last Diffie-Hellman was the login, then the renewal to generation 8, 24 s after it.
    for (start, at, with_dh) in [
        (0, 3_599_999, false),
        (0, 3_600_000, true),
        (0, 3_700_000, true),
        (8, 3_590_000, false),
        (8, 3_600_000, true),
    ] {
        let times = [890_000, 1_780_000, 2_670_000, 3_560_000];
        let script = times.into_iter().fold(Script::new(1, start), Script::renewed).offered(at);
        assert_eq!(!script.share.is_empty(), with_dh, "the form at {at}");
        form = script.case(form, &format!("{at} ms later, from generation {start}"));
    }
    vec![same, second, draining, last, form]
}
