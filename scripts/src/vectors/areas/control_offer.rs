//! OFFERs that a client takes or refuses.

use super::{
    control::bad_points,
    material::{KEY_ID, ORIGIN, key, key_id},
};
use crate::{
    hex::encode,
    reference::{
        control::{Control, OFFER, control_header, seal_control},
        schedule::schedule,
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

const OP: &str = "take_offer";
const T: u64 = ORIGIN + 1_000_000;

/// An OFFER of a generation to a client whose newest one is `newest` and began at [`T`].
fn case(newest: u16, of: u16, stamp: u64, e_s: Option<[u8; 32]>) -> Value {
    let gs = key("gs of an offer");
    let keys = schedule(gs, KEY_ID, of);
    let header = control_header(KEY_ID, of, OFFER, stamp);
    let frame = seal_control(&keys.ctls, header, &Control::Offer(key("N"), e_s).payload());
    json!({
        "gs": encode(&gs),
        "key_id": key_id(KEY_ID),
        "generation": newest,
        "origin": T,
        "client_ephemeral_private": encode(&key("e_c")),
        "frame": encode(&frame),
    })
}

pub(super) fn vectors() -> Vec<Vector> {
    let e_s = KeyPair::new(key("e_s")).public;
    let now = T + 600_000;
    let taken = Vector::new(
        "control_offer_is_taken",
        "§11.2.5",
        OP,
        "A good OFFER gives the client its next generation.",
    )
    .ok("form 0", case(4, 4, now, None))
    .ok("form 1 for generation 8", case(7, 7, now, Some(e_s)))
    .ok("form 1 for generation 5", case(4, 4, now, Some(e_s)))
    .ok("generation 65534", case(65534, 65534, now, None))
    .ok("at the origin", case(4, 4, T, None));
    let form = Vector::new(
        "control_offer_of_an_eighth_generation_has_form_1",
        "§11.2.4",
        OP,
        "A client refuses form 0 when the next generation is divisible by 8.",
    )
    .reject("8", case(7, 7, now, None), "control")
    .reject("16", case(15, 15, now, None), "control")
    .reject("65528", case(65527, 65527, now, None), "control");
    let time = Vector::new(
        "control_offer_is_not_older_than_its_generation",
        "§11.2.5",
        OP,
        "An OFFER with a timestamp below T_g is refused.",
    )
    .reject("by 1 ms", case(4, 4, T - 1, None), "control")
    .reject("0", case(4, 4, 0, None), "control");
    let newest = Vector::new(
        "control_offer_is_of_the_newest_generation",
        "§11.2.5",
        OP,
        "An OFFER of another generation than the newest is not taken.",
    )
    .reject("the one before", case(4, 3, now, None), "control")
    .reject("the next", case(4, 5, now, None), "control");
    let mut points = Vector::new(
        "control_offer_of_a_bad_point_is_refused",
        "§11.2.6",
        OP,
        "An OFFER whose e_s is not canonical or of low order is refused.",
    );
    for (name, point) in bad_points() {
        points = points.reject(name, case(7, 7, now, Some(point)), "control");
    }
    vec![taken, form, time, newest, points]
}
