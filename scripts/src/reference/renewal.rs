//! From one generation to the next (§11), and how long the old one drains (§11.3.4).

use super::{
    control::{Control, SHARE, control_header, open_control, seal_control},
    frame::Role,
    hkdf::extract,
    point::shared,
    reject::Reject,
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

/// One generation at a client that gets OFFERs.
#[derive(Debug, Clone)]
pub struct Client {
    /// Keys of the newest generation.
    pub keys: Schedule,
    /// The session.
    pub key_id: u64,
    /// The newest generation.
    pub generation: u16,
    /// Its origin.
    pub origin: u64,
    /// Used if an OFFER is of form 1.
    pub ephemeral: KeyPair,
}

/// What a client has after an OFFER.
#[derive(Debug, Clone)]
pub struct Renewed {
    /// Keys of the offered generation.
    pub keys: Schedule,
    /// Its origin.
    pub origin: u64,
    /// The SHARE to send first, of form 1.
    pub share: Option<Vec<u8>>,
}

impl Client {
    /// Takes an OFFER.
    pub fn take(&self, frame: &[u8]) -> Result<Renewed, Reject> {
        let (header, control) = open_control(Role::Client, &self.keys, frame)?;
        let Control::Offer(n, e_s) = control else { return Err(Reject::Control) };
        if header.key_id != self.key_id
            || header.generation != self.generation
            || header.timestamp < self.origin
            || self.generation == u16::MAX
        {
            return Err(Reject::Control);
        }
        let dh = match e_s {
            None if (self.generation + 1).is_multiple_of(8) => return Err(Reject::Control),
            None => None,
            Some(e_s) => {
                let secret = shared(&self.ephemeral, &e_s).ok_or(Reject::Control)?;
                Some([secret, self.ephemeral.public, e_s])
            }
        };
        let gs = next_secret(&self.keys.rt, &n, dh);
        let share = dh.map(|_| {
            let header = control_header(self.key_id, self.generation, SHARE, header.timestamp);
            seal_control(&self.keys.ctlc, header, &self.ephemeral.public)
        });
        let keys = schedule(gs, self.key_id, self.generation + 1);
        Ok(Renewed { keys, origin: header.timestamp, share })
    }
}
