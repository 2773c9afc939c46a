//! TICKETs that a client keeps or not.

use super::{
    control_offer::{NOW, OP, Talk},
    material::{KEY_ID, bytes, flip},
};
use crate::{
    reference::{
        control::{TICKET, control_header, seal_control},
        schedule::Schedule,
    },
    vectors::vector::Vector,
};

fn ticket(of: (u16, Schedule), name: &str) -> Vec<u8> {
    seal_control(&of.1.ctls, control_header(KEY_ID, of.0, TICKET, NOW), &bytes(name, 117))
}

pub(super) fn vectors() -> Vec<Vector> {
    vec![kept(), once(), greatest(), late(), tampered()]
}

fn kept() -> Vector {
    let mut v = Vector::new(
        "control_ticket_is_kept_with_its_secret",
        "§11.1.3",
        OP,
        "A TICKET is kept with the RS of the generation in its header.",
    );
    for number in [0, 1, 9] {
        let talk = Talk::in_generation(number);
        let frame = ticket(talk.client.newest(), "a ticket");
        v = talk.frame(&frame, "ticket").case(v, &format!("generation {number}"));
    }
    v
}

fn once() -> Vector {
    let v = Vector::new(
        "control_ticket_comes_once",
        "§11.1.2",
        OP,
        "A second TICKET of one generation is not taken, the same or another.",
    );
    let talk = Talk::in_generation(2);
    let of = talk.client.newest();
    let (one, two) = (ticket(of, "a ticket"), ticket(of, "another"));
    let v = talk.clone().frame(&one, "ticket").frame(&one, "nothing").case(v, "the same");
    talk.frame(&one, "ticket").frame(&two, "nothing").case(v, "another")
}

fn greatest() -> Vector {
    let v = Vector::new(
        "control_ticket_of_the_greatest_generation_is_kept",
        "§11.1.3",
        OP,
        "A TICKET that comes after one of a later generation is not taken.",
    );
    let talk = Talk::in_generation(3);
    let old = talk.client.newest();
    let talk = talk.offered(NOW, None, true);
    let new = talk.client.newest();
    let (of_old, of_new) = (ticket(old, "old"), ticket(new, "new"));
    let v = talk.clone().frame(&of_new, "ticket").frame(&of_old, "nothing").case(v, "the new one first");
    talk.frame(&of_old, "ticket").frame(&of_new, "ticket").case(v, "the old one first")
}

fn late() -> Vector {
    let v = Vector::new(
        "control_ticket_of_a_generation_that_is_gone",
        "§11.1.1",
        OP,
        "A TICKET of a generation that the client does not hold is refused.",
    );
    let old = Talk::in_generation(1).client.newest();
    let ahead = Talk::in_generation(4).client.newest();
    let v = Talk::in_generation(3).frame(&ticket(old, "old"), "control").case(v, "two before");
    Talk::in_generation(3).frame(&ticket(ahead, "ahead"), "control").case(v, "one ahead")
}

fn tampered() -> Vector {
    let mut v = Vector::new(
        "control_ticket_is_authenticated",
        "§11.1.1",
        OP,
        "A changed TICKET is refused without effect; the right one is taken after it.",
    );
    let talk = Talk::in_generation(0);
    let good = ticket(talk.client.newest(), "a ticket");
    for at in [3, 15, 22, 28, 144, good.len() - 16, good.len() - 1] {
        let talk = talk.clone().frame(&flip(&good, at, 0), "control").frame(&good, "ticket");
        v = talk.case(v, &format!("byte {at}"));
    }
    v
}
