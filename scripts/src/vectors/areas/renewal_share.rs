//! Renewals with an ephemeral Diffie-Hellman at a server.

use super::{
    material::{KEY_ID, LOW_ORDER, flip, key},
    renewal_script::{Known, OP, Script, both, client_ephemeral},
};
use crate::{
    hex::decode,
    reference::{
        control::{SHARE, control_header, seal_control},
        frame::{ACK, Header},
        hkdf::array,
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};

fn other_key() -> [u8; 32] {
    KeyPair::new(key("another e_c")).public
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = shares();
    all.extend(refusals());
    all.extend(points());
    all
}

fn shares() -> Vec<Vector> {
    let first = both(
        "renewal_share_comes_first",
        "§11.2.6",
        "With form 1 the new generation is held once SHARE came, and not before.",
        7,
        |s| {
            s.offered(100)
                .sent(110, 0, 110, ACK, "no_slot")
                .shared(120, "accept")
                .sent(130, 0, 110, ACK, "accept")
                .sent(140, 1, 140, 0, "accept")
        },
    );
    let same = both(
        "renewal_share_again_changes_nothing",
        "§11.2.6",
        "The same SHARE again changes nothing, before the commit or after, until its generation has drained.",
        15,
        |s| {
            s.offered(100)
                .shared(110, "accept")
                .shared(111, "accept")
                .sent(120, 0, 120, ACK, "accept")
                .shared(130, "accept")
                .sent(140, 0, 120, ACK, "replay")
                .sent(141, 1, 141, 0, "accept")
                .shared(2_199, "accept")
                .shared(2_200, "control")
                .sent(2_201, 2, 2_201, 0, "accept")
        },
    );
    let other = both(
        "renewal_first_share_decides",
        "§11.2.6",
        "Another SHARE after the first is refused, and the keys are those of the first.",
        7,
        |s| {
            let old = s.newest;
            let s = s.offered(100).shared(110, "accept");
            let second = s.share_of(old, 100, &other_key());
            s.frame(111, &second, "control")
                .sent(120, 0, 120, ACK, "accept")
                .frame(130, &second, "control")
                .sent(140, 1, 140, 0, "accept")
        },
    );
    let bound = both(
        "renewal_keys_are_of_the_share",
        "§11",
        "A request under the keys of another e_c is a bad tag.",
        7,
        |s| {
            let mut other = s.client.clone().with_ephemeral(KeyPair::new(key("another e_c")));
            let s = s.offered(100).shared(110, "accept");
            other.told(&s.offer);
            let wrong = Known { keys: other.newest().1, ..s.newest };
            s.sent_of(wrong, 120, 0, 120, ACK, "bad_tag").sent(121, 0, 121, ACK, "accept")
        },
    );
    vec![first, same, other, bound]
}

fn refusals() -> Vec<Vector> {
    let timestamp = both(
        "renewal_share_echoes_the_timestamp",
        "§11.2.6",
        "A SHARE with another timestamp than the OFFER's is refused and decides nothing.",
        7,
        |s| {
            let old = s.newest;
            let s = s.offered(100);
            let e_c = client_ephemeral().public;
            let (before, after) = (s.share_of(old, 99, &e_c), s.share_of(old, 101, &e_c));
            s.frame(110, &before, "control")
                .frame(111, &after, "control")
                .shared(112, "accept")
                .sent(113, 0, 113, ACK, "accept")
        },
    );
    let unasked = both(
        "renewal_share_nobody_asked_for",
        "§11.2.6",
        "A SHARE without an OFFER, or after an OFFER of form 0, is refused and changes nothing.",
        0,
        |s| {
            let old = s.newest;
            let e_c = client_ephemeral().public;
            let early = s.share_of(old, 20, &e_c);
            let s = s.frame(20, &early, "control").offered(100);
            let late = s.share_of(old, 100, &e_c);
            s.frame(110, &late, "control").sent(120, 0, 120, ACK, "accept")
        },
    );
    let sealed = both(
        "renewal_share_is_authenticated",
        "§11.1.1",
        "A SHARE with a bit turned, without sealed or under another key is refused; the right one still counts.",
        7,
        |s| {
            let old = s.newest;
            let s = s.offered(100);
            let e_c = client_ephemeral().public;
            let share = s.share.clone();
            let header = control_header(KEY_ID, old.number, SHARE, s.time(100));
            let of_server = seal_control(&old.keys.ctls, header, &e_c);
            let readable = seal_control(&old.keys.ctlc, Header { flags: 0, ..header }, &e_c);
            let of_next = seal_control(&s.newest.keys.ctlc, header, &e_c);
            s.frame(110, &flip(&share, 40, 0), "control")
                .frame(111, &flip(&share, share.len() - 1, 7), "control")
                .frame(112, &of_server, "control")
                .frame(113, &readable, "control")
                .frame(114, &of_next, "control")
                .shared(115, "accept")
                .sent(116, 0, 116, ACK, "accept")
        },
    );
    let foreign = both(
        "renewal_control_frame_of_another_session",
        "§11.1.1",
        "A CTL of another key id, of a generation that is not held, or the server's own OFFER sent back is refused.",
        7,
        |s| {
            let old = s.newest;
            let s = s.offered(100);
            let e_c = client_ephemeral().public;
            let stamp = s.time(100);
            let seal = |key_id, generation| {
                let header = control_header(key_id, generation, SHARE, stamp);
                seal_control(&old.keys.ctlc, header, &e_c)
            };
            let offer = s.offer.clone();
            s.frame(110, &seal(KEY_ID + 1, old.number), "control")
                .frame(111, &seal(KEY_ID, old.number + 1), "control")
                .frame(112, &seal(KEY_ID, old.number - 1), "control")
                .frame(113, &offer, "control")
                .shared(114, "accept")
                .sent(115, 0, 115, ACK, "accept")
        },
    );
    vec![timestamp, unasked, sealed, foreign]
}

fn points() -> Vec<Vector> {
    let mut ends = Vector::new(
        "renewal_share_of_a_bad_point_ends_the_session",
        "§11.2.6",
        OP,
        "A SHARE whose e_c is not canonical or of low order ends the session.",
    );
    for (i, point) in LOW_ORDER.iter().enumerate() {
        let e_c: [u8; 32] = array(&decode(point).expect("hex"));
        ends = ended_by(e_c).case(ends, &format!("point {i}"));
    }
    let mut high = client_ephemeral().public;
    high[31] |= 0x80;
    ends = ended_by(high).case(ends, "a good point with bit 255");
    let mut above = [0xff; 32];
    above[0] = 0xf6;
    above[31] = 0x7f;
    ends = ended_by(above).case(ends, "9, written as p + 9");
    vec![ends]
}

fn ended_by(e_c: [u8; 32]) -> Script {
    let s = Script::new(1, 7);
    let old = s.newest;
    let s = s.offered(100);
    let share = s.share_of(old, 100, &e_c);
    s.frame(110, &share, "control").sent_of(old, 120, 1, 120, 0, "unknown_key").sent(
        121,
        0,
        121,
        ACK,
        "unknown_key",
    )
}
