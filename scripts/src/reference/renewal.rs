//! From one generation to the next (§11), and how long the old one drains (§11.3.4).

use super::{
    control::{Control, SHARE, control_header, open_control, seal_control},
    frame::{Header, Role},
    hkdf::extract,
    point::shared,
    schedule::{Schedule, schedule},
    x25519::KeyPair,
};

/// `GS_{g+1} = HKDF-Extract(salt = RT_g, ikm = N [‖ X25519(e_c, e_s) ‖ e_c ‖ e_s])`; `dh` is the last three.
pub fn next_secret(rt: &[u8; 32], n: &[u8; 32], dh: Option<[[u8; 32]; 3]>) -> [u8; 32] {
    extract(rt, &[n.as_slice(), &dh.map(|three| three.concat()).unwrap_or_default()].concat())
}

/// 11.2.4, of an offer for generation `next` when the last Diffie-Hellman is `age` ms old.
pub fn form(next: u16, age: u64) -> u8 {
    u8::from(next.is_multiple_of(8) || age >= 3_600_000)
}

/// 11.3.4, `d` ms after the OFFER.
pub fn drain_ms(d: u64) -> u64 {
    (2_000 + 4 * d).min(30_000)
}

/// What a control frame told a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The next generation; a SHARE to send first, of form 1.
    Renewed(Vec<u8>),
    /// A ticket, with the RS of its generation.
    Ticket(Vec<u8>, [u8; 32]),
    /// Nothing new.
    Nothing,
    /// The session is erased (11.2.5, 11.2.6).
    Broken,
    /// Refused, without effect.
    Refused,
}

/// A generation at a client.
#[derive(Debug, Clone, Copy)]
struct Held {
    number: u16,
    origin: u64,
    keys: Schedule,
}

/// A client that gets control frames.
#[derive(Debug, Clone)]
pub struct Client {
    key_id: u64,
    ephemeral: KeyPair,
    newest: Held,
    /// The generation before, and the OFFER that ended it.
    before: Option<(Held, Vec<u8>)>,
    /// Generation of the newest ticket.
    ticket_of: Option<u16>,
    is_broken: bool,
}

impl Client {
    /// A client whose first generation is given; the ephemeral key serves every OFFER of form 1.
    pub fn new(key_id: u64, (number, keys): (u16, Schedule), origin: u64, ephemeral: KeyPair) -> Self {
        let newest = Held { number, origin, keys };
        Self { key_id, ephemeral, newest, before: None, ticket_of: None, is_broken: false }
    }

    /// The newest generation.
    pub fn newest(&self) -> (u16, Schedule) {
        (self.newest.number, self.newest.keys)
    }

    /// Another ephemeral key from here on.
    pub fn with_ephemeral(self, ephemeral: KeyPair) -> Self {
        Self { ephemeral, ..self }
    }

    /// Takes in a control frame.
    pub fn told(&mut self, frame: &[u8]) -> Told {
        let told = if self.is_broken { Told::Refused } else { self.judge(frame) };
        self.is_broken |= told == Told::Broken;
        told
    }

    fn judge(&mut self, frame: &[u8]) -> Told {
        let number = Header::decode(frame).generation;
        let is_before = self.before.as_ref().is_some_and(|(before, _)| before.number == number);
        let held = if is_before { self.before.as_ref().expect("is there").0 } else { self.newest };
        let Ok((header, control)) = open_control(Role::Client, &held.keys, frame) else {
            return Told::Refused;
        };
        if header.key_id != self.key_id || header.generation != held.number {
            return Told::Refused;
        }
        let (n, e_s) = match control {
            Control::Offer(n, e_s) => (n, e_s),
            Control::Ticket(ticket) => return self.keep(held, ticket),
            Control::Share(_) => unreachable!("not for a client"),
        };
        if let Some((_, offer)) = self.before.as_ref().filter(|_| is_before) {
            return if offer == frame { Told::Nothing } else { Told::Broken };
        }
        let plain_eighth = e_s.is_none() && held.number % 8 == 7;
        if header.timestamp < held.origin || held.number == u16::MAX || plain_eighth {
            return Told::Refused;
        }
        self.take(frame, header.timestamp, &n, e_s)
    }

    /// 11.1.3: the ticket of the greatest generation, and one for each (11.1.2).
    fn keep(&mut self, held: Held, ticket: Vec<u8>) -> Told {
        if self.ticket_of.is_some_and(|of| of >= held.number) {
            return Told::Nothing;
        }
        self.ticket_of = Some(held.number);
        Told::Ticket(ticket, held.keys.rs)
    }

    fn take(&mut self, frame: &[u8], origin: u64, n: &[u8; 32], e_s: Option<[u8; 32]>) -> Told {
        let Held { number, keys, .. } = self.newest;
        let mut share = Vec::new();
        let mut dh = None;
        if let Some(e_s) = e_s {
            let Some(secret) = shared(&self.ephemeral, &e_s) else { return Told::Broken };
            dh = Some([secret, self.ephemeral.public, e_s]);
            let header = control_header(self.key_id, number, SHARE, origin);
            share = seal_control(&keys.ctlc, header, &self.ephemeral.public);
        }
        let next = schedule(next_secret(&keys.rt, n, dh), self.key_id, number + 1);
        self.before = Some((self.newest, frame.to_vec()));
        self.newest = Held { number: number + 1, origin, keys: next };
        Told::Renewed(share)
    }
}
