//! The end of a generation: last request, drain, hard limit.

use super::{
    material::flip,
    renewal_script::{HARD_MS, LIMIT, OP, Request, Script, both},
};
use crate::{
    reference::frame::{ACK, LAST},
    vectors::vector::Vector,
};

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = last();
    all.extend(not_last());
    all.push(order());
    all.extend(drains());
    all.push(cut());
    all.push(not_cut());
    all
}

fn last() -> Vec<Vector> {
    let ends = both(
        "renewal_last_ends_a_generation",
        "§11.3.3",
        "After the last request of an old generation a greater counter is EXPIRED, a smaller one is judged as ever.",
        0,
        |s| {
            let old = s.newest;
            s.offered(100)
                .sent_of(old, 110, 5, 110, LAST, "accept")
                .sent_of(old, 111, 6, 111, 0, "ended")
                .sent_of(old, 112, 4, 112, 0, "accept")
                .sent_of(old, 113, 5, 110, LAST, "replay")
                .sent(120, 0, 120, ACK, "accept")
                .sent_of(old, 121, 6, 111, 0, "ended")
                .sent_of(old, 122, 3, 122, 0, "accept")
                .sent(123, 6, 123, 0, "accept")
        },
    );
    let in_drain = both(
        "renewal_last_may_come_in_the_drain",
        "§11.3.3",
        "The last request may come after the commit.",
        0,
        |s| {
            let old = s.newest;
            s.offered(100)
                .sent(110, 0, 110, ACK, "accept")
                .sent_of(old, 111, 1, 111, 0, "accept")
                .sent_of(old, 112, 2, 112, LAST, "accept")
                .sent_of(old, 113, 3, 113, 0, "ended")
        },
    );
    let first = both(
        "renewal_first_last_decides",
        "§11.3.3",
        "A second request marked last changes nothing, be its counter smaller or greater.",
        0,
        |s| {
            let old = s.newest;
            s.offered(100)
                .sent_of(old, 110, 5, 110, LAST, "accept")
                .sent_of(old, 111, 2, 111, LAST, "accept")
                .sent_of(old, 112, 7, 112, LAST, "ended")
                .sent_of(old, 113, 4, 113, 0, "accept")
                .sent_of(old, 114, 6, 114, 0, "ended")
        },
    );
    let stale = both(
        "renewal_last_may_be_stale",
        "§11.3.3",
        "A request marked last that is out of time is recorded, so it decides.",
        0,
        |s| {
            let old = s.newest;
            s.offered(100)
                .sent_of(old, 40_000, 5, 200, LAST, "stale")
                .sent_of(old, 40_001, 6, 40_000, 0, "ended")
                .sent_of(old, 40_002, 4, 40_000, 0, "accept")
        },
    );
    vec![ends, in_drain, first, stale]
}

fn not_last() -> Vec<Vector> {
    let ignored = both(
        "renewal_last_without_an_offer_is_ignored",
        "§11.3.3",
        "last means nothing where no next generation is offered, also once one is.",
        1,
        |s| {
            let old = s.newest;
            let s = s.sent(20, 1, 20, LAST, "accept").sent(21, 2, 21, 0, "accept");
            s.offered(100)
                .sent_of(old, 110, 3, 110, 0, "accept")
                .sent(120, 0, 120, ACK, "accept")
                .sent(121, 1, 121, LAST, "accept")
                .sent(122, 2, 122, 0, "accept")
                .sent_of(old, 123, 4, 123, 0, "accept")
        },
    );
    let forged = both(
        "renewal_last_with_a_bad_tag_decides_nothing",
        "§7.2.2",
        "A request marked last with a bad tag, or marked on the way, decides nothing.",
        0,
        |s| {
            let old = s.newest;
            let s = s.offered(100);
            let marked = s.sealed(Request { of: old, counter: 1, stamp: 110, flags: LAST });
            let plain = s.sealed(Request { of: old, counter: 2, stamp: 110, flags: 0 });
            s.frame(110, &flip(&marked, marked.len() - 1, 0), "bad_tag")
                .frame(111, &flip(&plain, 3, 2), "bad_tag")
                .frame(112, &flip(&marked, 3, 2), "bad_tag")
                .sent_of(old, 113, 9, 113, 0, "accept")
        },
    );
    let limit = both(
        "renewal_last_at_the_limit_decides_nothing",
        "§11.3.3",
        "A request marked last at the hard limit is not recorded, so it decides nothing.",
        0,
        |s| {
            let old = s.newest;
            s.offered(100).sent_of(old, 110, LIMIT, 110, LAST, "limit").sent_of(
                old,
                111,
                LIMIT - 1,
                111,
                0,
                "accept",
            )
        },
    );
    vec![ignored, forged, limit]
}

fn order() -> Vector {
    both(
        "renewal_ended_is_judged_after_replay_before_stale",
        "§11.3.3",
        "The order is tag, limit, window, EXPIRED, time; what is EXPIRED is not recorded.",
        0,
        |s| {
            let old = s.newest;
            let s = s.sent(20, 9, 20, 0, "accept").offered(100);
            let forged = s.sealed(Request { of: old, counter: 8, stamp: 110, flags: 0 });
            s.sent_of(old, 110, 5, 110, LAST, "accept")
                .frame(111, &flip(&forged, forged.len() - 1, 0), "bad_tag")
                .sent_of(old, 112, LIMIT, 112, 0, "limit")
                .sent_of(old, 113, 9, 20, 0, "replay")
                .sent_of(old, 114, 8, 110, 0, "ended")
                .sent_of(old, 115, 8, 110, 0, "ended")
                .sent_of(old, 40_000, 7, 110, 0, "ended")
                .sent_of(old, 40_001, 4000, 40_000, 0, "ended")
                .sent_of(old, 40_002, 4, 40_000, 0, "accept")
        },
    )
}

fn drains() -> Vec<Vector> {
    let mut drain = Vector::new(
        "renewal_drain_ends",
        "§11.3.4",
        OP,
        "The old generation drains for 2000 + 4 d ms, at most 30000; d is the time from the OFFER to the commit.",
    );
    for (d, ms) in [(0, 2_000), (1, 2_004), (100, 2_400), (6_999, 29_996), (7_000, 30_000), (60_000, 30_000)]
    {
        for suite in [1, 2] {
            let s = Script::new(suite, 0);
            let old = s.newest;
            let (commit, end) = (100 + d, 100 + d + ms);
            drain = s
                .offered(100)
                .sent(commit, 0, commit, ACK, "accept")
                .sent_of(old, end - 1, 1, end - 1, 0, "accept")
                .sent_of(old, end, 2, end, 0, "no_slot")
                .sent(end, 1, end, 0, "accept")
                .case(drain, &format!("d = {d}, suite {suite}"));
        }
    }
    let hard = both(
        "renewal_drain_ends_at_the_hard_limit",
        "§11.3.4",
        "The old generation does not drain beyond its own hard limit; the new one goes on.",
        0,
        |s| {
            let old = s.newest;
            s.offered(HARD_MS - 10_000)
                .sent(HARD_MS - 5_000, 0, HARD_MS - 5_000, ACK, "accept")
                .sent_of(old, HARD_MS - 1, 1, HARD_MS - 1, 0, "accept")
                .sent_of(old, HARD_MS, 2, HARD_MS, 0, "no_slot")
                .sent(HARD_MS, 1, HARD_MS, 0, "accept")
                .sent(2 * HARD_MS - 10_001, 2, 2 * HARD_MS - 10_001, 0, "accept")
                .sent(2 * HARD_MS - 10_000, 3, 2 * HARD_MS - 10_000, 0, "unknown_key")
        },
    );
    let dead = both(
        "renewal_hard_limit_without_a_commit_erases_both",
        "§11.3.5",
        "At the hard limit of age without a commit the offered generation goes with the current one.",
        0,
        |s| {
            let old = s.newest;
            s.offered(HARD_MS - 1_000)
                .sent_of(old, HARD_MS - 1, 1, HARD_MS - 1, 0, "accept")
                .sent(HARD_MS, 0, HARD_MS, ACK, "unknown_key")
                .sent_of(old, HARD_MS, 2, HARD_MS, 0, "unknown_key")
                .not_offered(HARD_MS + 1)
        },
    );
    vec![drain, hard, dead]
}

const CUT: &str = "§11.3.8";

/// Of a server that takes the permission: one that does not goes on draining.
fn cut() -> Vector {
    let whole = |s: Script| {
        let old = s.newest;
        s.offered(100)
            .sent_of(old, 105, 1, 105, 0, "accept")
            .sent_of(old, 110, 2, 110, LAST, "accept")
            .sent(120, 0, 120, ACK, "accept")
            .sent_of(old, 125, 2, 110, LAST, "replay")
            .not_offered(130)
            .sent_of(old, 130, 1, 105, 0, "replay")
            .sent_of(old, 131, 1, 105, 0, "no_slot")
            .offered(131)
            .sent_of(old, 132, 2, 110, LAST, "no_slot")
            .sent(132, 0, 132, ACK, "accept")
    };
    let late = |s: Script| {
        let old = s.newest;
        s.offered(100)
            .sent(120, 0, 120, ACK, "accept")
            .sent_of(old, 125, 2, 110, LAST, "accept")
            .not_offered(130)
            .sent_of(old, 131, 1, 105, 0, "accept")
            .not_offered(140)
            .sent_of(old, 141, 1, 105, 0, "no_slot")
            .offered(150)
    };
    let mut vector = Vector::new(
        "renewal_drain_is_cut_short",
        CUT,
        OP,
        "Asked to offer again, a server ends a drain with its millisecond once every counter up to the last one is recorded.",
    );
    for suite in [1, 2] {
        vector = whole(Script::new(suite, 0)).case(vector, &format!("in order, suite {suite}"));
        vector = late(Script::new(suite, 0)).case(vector, &format!("last first, suite {suite}"));
    }
    vector
}

fn not_cut() -> Vector {
    let without_last = |s: Script| {
        let old = s.newest;
        s.offered(100)
            .sent_of(old, 105, 1, 105, 0, "accept")
            .sent(120, 0, 120, ACK, "accept")
            .not_offered(130)
            .sent_of(old, 131, 2, 110, LAST, "accept")
    };
    let with_a_hole = |s: Script| {
        let old = s.newest;
        s.offered(100)
            .sent_of(old, 110, 2, 110, LAST, "accept")
            .sent_of(old, 111, 2, 110, LAST, "replay")
            .sent(120, 0, 120, ACK, "accept")
            .not_offered(130)
            .sent_of(old, 2_119, 1, 105, 0, "accept")
    };
    let offered_twice = |s: Script| {
        let old = s.newest;
        s.offered(100)
            .offered_again(1_100)
            .sent_of(old, 1_105, 1, 1_105, LAST, "accept")
            .sent(1_110, 0, 1_110, ACK, "accept")
            .not_offered(1_120)
            .sent_of(old, 1_121, 1, 1_105, LAST, "replay")
    };
    let mut vector = Vector::new(
        "renewal_drain_is_not_cut_short",
        CUT,
        OP,
        "Without the last request, or one before it, or after an OFFER that was sent twice, the old generation drains to its end.",
    );
    for suite in [1, 2] {
        vector = without_last(Script::new(suite, 0)).case(vector, &format!("no last, suite {suite}"));
        vector = with_a_hole(Script::new(suite, 0)).case(vector, &format!("a hole, suite {suite}"));
        vector = offered_twice(Script::new(suite, 0)).case(vector, &format!("offered twice, suite {suite}"));
    }
    vector
}
