//! OFFERs that a client takes or refuses.

use super::{
    control::bad_points,
    material::{KEY_ID, ORIGIN, flip, key, key_id},
};
use crate::{
    hex::encode,
    reference::{
        control::{Control, OFFER, TICKET, control_header, seal_control},
        renewal::{Client, Told},
        schedule::schedule,
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

pub(super) const OP: &str = "take_controls";

/// OFFERs to a client, each with what it tells.
#[derive(Clone)]
pub(super) struct Talk {
    first: u16,
    /// The client itself.
    pub(super) client: Client,
    frames: Vec<Vec<u8>>,
    told: Vec<Value>,
}

fn ephemeral() -> KeyPair {
    KeyPair::new(key("e_c"))
}

impl Talk {
    /// A client that took its generation from OFFERs of 1 s each.
    pub(super) fn in_generation(number: u16) -> Self {
        let mut talk = Self::from(0);
        for step in 1..=u64::from(number) {
            talk = talk.offered(ORIGIN + step * 1_000, step.is_multiple_of(8).then(e_s), true);
        }
        talk
    }

    /// A client whose first generation is any, and begins at [`ORIGIN`].
    fn from(first: u16) -> Self {
        let keys = schedule(key("gs of an offer"), KEY_ID, first);
        let client = Client::new(KEY_ID, (first, keys), ORIGIN, ephemeral());
        Self { first, client, frames: Vec::new(), told: Vec::new() }
    }

    /// An OFFER of the newest generation, with a time.
    fn offer(&self, stamp: u64, e_s: Option<[u8; 32]>) -> Vec<u8> {
        let (number, keys) = self.client.newest();
        let header = control_header(KEY_ID, number, OFFER, stamp);
        seal_control(&keys.ctls, header, &Control::Offer(key("N"), e_s).payload())
    }

    pub(super) fn offered(self, stamp: u64, e_s: Option<[u8; 32]>, is_taken: bool) -> Self {
        let frame = self.offer(stamp, e_s);
        let told = if is_taken { "renewed" } else { "control" };
        self.frame(&frame, told)
    }

    pub(super) fn frame(mut self, frame: &[u8], verdict: &str) -> Self {
        let told = match self.client.told(frame) {
            Told::Renewed(share) => ("renewed", json!({ "renewed": encode(&share) })),
            Told::Ticket(ticket, rs) => ("ticket", json!({ "ticket": encode(&ticket), "rs": encode(&rs) })),
            Told::Nothing => ("nothing", json!("nothing")),
            Told::Broken => ("broken", json!("broken")),
            Told::Refused => ("control", json!("control")),
        };
        assert_eq!(told.0, verdict, "OFFER {}", self.frames.len());
        self.frames.push(frame.to_vec());
        self.told.push(told.1);
        self
    }

    pub(super) fn case(self, vector: Vector, comment: &str) -> Vector {
        let frames: Vec<String> = self.frames.iter().map(|frame| encode(frame)).collect();
        let (generation, keys) = self.client.newest();
        let inputs = json!({
            "gs": encode(&key("gs of an offer")),
            "key_id": key_id(KEY_ID),
            "generation": self.first,
            "origin": ORIGIN,
            "client_ephemeral_private": encode(&ephemeral().private),
            "frames": frames,
        });
        let gives = json!({ "told": self.told, "generation": generation, "gs": encode(&keys.gs) });
        vector.gives(comment, inputs, gives)
    }
}

fn e_s() -> [u8; 32] {
    KeyPair::new(key("e_s")).public
}

pub(super) const NOW: u64 = ORIGIN + 600_000;

pub(super) fn vectors() -> Vec<Vector> {
    vec![taken(), again(), different(), form(), time(), newest(), tampered(), points()]
}

fn taken() -> Vector {
    let v = Vector::new(
        "control_offer_is_taken",
        "§11.2.5",
        OP,
        "A good OFFER gives the client its next generation, and with form 1 a SHARE to send first.",
    );
    let v = Talk::in_generation(0).offered(NOW, None, true).case(v, "form 0");
    let v = Talk::in_generation(0).offered(NOW, Some(e_s()), true).case(v, "form 1 for generation 1");
    let v = Talk::in_generation(7).offered(NOW, Some(e_s()), true).case(v, "form 1 for generation 8");
    let v = Talk::in_generation(17).offered(NOW, None, true).case(v, "form 0 for generation 18");
    let v = Talk::in_generation(4).offered(ORIGIN + 4_000, None, true).case(v, "at the origin");
    Talk::from(65534).offered(NOW, None, true).case(v, "form 0 for generation 65535")
}

fn again() -> Vector {
    let mut v = Vector::new(
        "control_offer_again_changes_nothing",
        "§11.2.5",
        OP,
        "The same OFFER again changes nothing.",
    );
    for (name, e_s) in [("form 0", None), ("form 1", Some(e_s()))] {
        let talk = Talk::in_generation(0);
        let offer = talk.offer(NOW, e_s);
        v = talk.frame(&offer, "renewed").frame(&offer, "nothing").frame(&offer, "nothing").case(v, name);
    }
    v
}

fn different() -> Vector {
    let v = Vector::new(
        "control_offer_that_differs_is_fatal",
        "§11.2.5",
        OP,
        "A different OFFER for the same generation ends the session: after it nothing is taken.",
    );
    let talk = Talk::in_generation(0);
    let (first, later) = (talk.offer(NOW, None), talk.offer(NOW + 1, None));
    let with_dh = talk.offer(NOW, Some(e_s()));
    let ended = |second: &[u8]| ended_talk(&talk, &first, second).frame(&first, "control");
    let v = ended(&later).case(v, "another time");
    let v = ended(&with_dh).case(v, "another form");
    // Erased keys are no keys: what is sealed under zeros opens nothing.
    let mut erased = ended_talk(&talk, &first, &later);
    for generation in [0, 1, 2] {
        let header = control_header(KEY_ID, generation, OFFER, NOW);
        let forged = seal_control(&[0; 32], header, &Control::Offer([0; 32], None).payload());
        erased = erased.frame(&forged, "control");
        let header = control_header(KEY_ID, generation, TICKET, NOW);
        erased = erased.frame(&seal_control(&[0; 32], header, &[0; 117]), "control");
    }
    let v = erased.case(v, "then forged under zeros");
    // What does not open is not an OFFER of the server.
    let forged = flip(&later, 40, 0);
    talk.frame(&first, "renewed").frame(&forged, "control").frame(&first, "nothing").case(v, "forged")
}

fn ended_talk(talk: &Talk, first: &[u8], second: &[u8]) -> Talk {
    talk.clone().frame(first, "renewed").frame(second, "broken")
}

fn form() -> Vector {
    let mut v = Vector::new(
        "control_offer_of_an_eighth_generation_has_form_1",
        "§11.2.4",
        OP,
        "A client refuses form 0 when the next generation is divisible by 8, and takes form 1 after that.",
    );
    for (name, talk) in [
        ("in 7", Talk::in_generation(7)),
        ("in 15", Talk::in_generation(15)),
        ("in 65527", Talk::from(65527)),
    ] {
        v = talk.offered(NOW, None, false).offered(NOW, Some(e_s()), true).case(v, name);
    }
    v
}

fn time() -> Vector {
    let v = Vector::new(
        "control_offer_is_not_older_than_its_generation",
        "§11.2.5",
        OP,
        "An OFFER with a timestamp below T_g is refused.",
    );
    let v = Talk::in_generation(4).offered(ORIGIN + 3_999, None, false).case(v, "by 1 ms");
    let v = Talk::in_generation(0).offered(ORIGIN - 1, None, false).case(v, "generation 0");
    Talk::in_generation(4).offered(0, None, false).offered(NOW, None, true).case(v, "0")
}

fn newest() -> Vector {
    let v = Vector::new(
        "control_offer_is_of_the_newest_generation",
        "§11.2.5",
        OP,
        "An OFFER of a generation the client left, or has not reached, is not taken.",
    );
    let old = Talk::in_generation(0).offer(NOW, None);
    let v = Talk::in_generation(2).frame(&old, "control").case(v, "two before");
    let v =
        Talk::from(65535).offered(NOW, Some(e_s()), false).case(v, "of the last one, that nothing follows");
    let ahead = Talk::in_generation(3).offer(NOW, None);
    Talk::in_generation(2).frame(&ahead, "control").offered(NOW, None, true).case(v, "one ahead")
}

fn tampered() -> Vector {
    let mut v = Vector::new(
        "control_offer_is_authenticated",
        "§11.1.1",
        OP,
        "A changed OFFER is refused without effect; the right one is taken after it.",
    );
    let talk = Talk::in_generation(0);
    for (name, e_s) in [("form 0", None), ("form 1", Some(e_s()))] {
        let good = talk.offer(NOW, e_s);
        for at in [3, 15, 22, 28, 60, good.len() - 16, good.len() - 1] {
            let talk = talk.clone().frame(&flip(&good, at, 0), "control").frame(&good, "renewed");
            v = talk.case(v, &format!("{name}, byte {at}"));
        }
    }
    v
}

fn points() -> Vector {
    let mut v = Vector::new(
        "control_offer_of_a_bad_point_is_fatal",
        "§11.2.6",
        OP,
        "An OFFER whose e_s is not canonical or of low order ends the session.",
    );
    for (name, point) in bad_points() {
        let talk = Talk::in_generation(0);
        let (bad, good) = (talk.offer(NOW, Some(point)), talk.offer(NOW, Some(e_s())));
        v = talk.frame(&bad, "broken").frame(&good, "control").case(v, &name);
    }
    v
}
