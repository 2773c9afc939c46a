//! Tickets, the ring of their keys, revocations (§12.1, §12.2).

use super::{
    hkdf::{array, sha256},
    label::label32,
    reject::Reject,
    suite::{Suite, gcm_open, gcm_seal},
};

/// Bytes of a ticket.
pub const TICKET_BYTES: usize = 117;
/// Bytes before what is sealed.
const PLAIN_BYTES: usize = 29;
/// Policy: psk alone is allowed.
pub const PSK_ALONE: u16 = 1;

/// What a ticket seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Of the session.
    pub suite: u16,
    /// §12.1.1.
    pub client_id: [u8; 16],
    /// RS_g.
    pub rs: [u8; 32],
    /// When it was sealed.
    pub issued: u64,
    /// From when it is refused.
    pub expires: u64,
    /// When the client last proved its identity.
    pub authenticated: u64,
    /// g.
    pub generation: u16,
    /// Bit 0 or none.
    pub policy: u16,
}

/// §12.1.1.
pub fn client_id(name: &[u8]) -> [u8; 16] {
    array(&sha256(&[b"mvt1 client", name].concat())[..16])
}

/// The id of a ticket key.
pub fn ticket_key_id(key: &[u8; 32]) -> [u8; 4] {
    array(&sha256(&[b"mvt1 ticket key".as_slice(), key].concat())[..4])
}

fn u48(number: u64) -> [u8; 6] {
    array(&number.to_be_bytes()[2..])
}

/// The bytes before what is sealed.
pub fn plain_part(version: u8, key: &[u8; 32], nonce: &[u8; 24]) -> Vec<u8> {
    [[version].as_slice(), &ticket_key_id(key), nonce].concat()
}

/// Seals any text after any plain part: vectors seal what nobody should.
pub fn seal_parts(key: &[u8; 32], plain: &[u8], text: &[u8]) -> Vec<u8> {
    let sealed = gcm_seal(&label32(key, "ticket", plain), [0; 12], plain, text);
    [plain, &sealed].concat()
}

impl Ticket {
    /// The sealed fields.
    pub fn text(&self) -> Vec<u8> {
        [
            self.suite.to_be_bytes().as_slice(),
            &self.client_id,
            &self.rs,
            &u48(self.issued),
            &u48(self.expires),
            &u48(self.authenticated),
            &self.generation.to_be_bytes(),
            &self.policy.to_be_bytes(),
        ]
        .concat()
    }

    /// The 117 bytes.
    pub fn seal(&self, key: &[u8; 32], nonce: &[u8; 24]) -> Vec<u8> {
        seal_parts(key, &plain_part(1, key, nonce), &self.text())
    }
}

/// A key of the ring.
#[derive(Debug, Clone, Copy)]
pub struct RingKey {
    /// 32 bytes, not all zero.
    pub key: [u8; 32],
    /// From when it seals.
    pub seals_from: u64,
    /// Until when it opens.
    pub opens_until: u64,
}

/// §12.1.2.
pub fn ring_is_good(keys: &[RingKey]) -> bool {
    let ids: Vec<[u8; 4]> = keys.iter().map(|key| ticket_key_id(&key.key)).collect();
    let repeats = ids.iter().enumerate().any(|(i, id)| ids[..i].contains(id));
    !repeats && keys.iter().all(|key| key.key != [0; 32])
}

/// §12.1.3: the key that seals at `now`.
pub fn sealing_key(keys: &[RingKey], now: u64) -> Option<&RingKey> {
    let usable = keys.iter().filter(|key| key.seals_from <= now && now < key.opens_until);
    usable.max_by_key(|key| key.seals_from)
}

/// §12.1.4.
pub fn expiry(key: &RingKey, now: u64, life: u64, authenticated: u64) -> u64 {
    key.opens_until.min(now + life).min(authenticated + 86_400_000)
}

/// §12.2.1: a client id, and the time up to which its authentications ended.
pub type Revocation = ([u8; 16], u64);

/// Opens and judges a ticket (§12.1.5).
pub fn open_ticket(
    ring: &[RingKey],
    revoked: &[Revocation],
    now: u64,
    ticket: &[u8],
) -> Result<Ticket, Reject> {
    if ticket.len() != TICKET_BYTES || ticket[0] != 1 {
        return Err(Reject::Ticket);
    }
    let key = ring
        .iter()
        .find(|key| ticket_key_id(&key.key) == ticket[1..5] && now < key.opens_until)
        .ok_or(Reject::Ticket)?;
    let (plain, sealed) = ticket.split_at(PLAIN_BYTES);
    let text = gcm_open(&label32(&key.key, "ticket", plain), [0; 12], plain, sealed).ok_or(Reject::Ticket)?;
    let number = |from: usize, to: usize| text[from..to].iter().fold(0, |n, b| n << 8 | u64::from(*b));
    let opened = Ticket {
        suite: number(0, 2) as u16,
        client_id: array(&text[2..18]),
        rs: array(&text[18..50]),
        issued: number(50, 56),
        expires: number(56, 62),
        authenticated: number(62, 68),
        generation: number(68, 70) as u16,
        policy: number(70, 72) as u16,
    };
    let good = now < opened.expires
        && opened.issued <= now + 5_000
        && opened.policy & !PSK_ALONE == 0
        && Suite::of(opened.suite.into()).is_some();
    if !good {
        return Err(Reject::Ticket);
    }
    let ended = |(id, time): &Revocation| *id == opened.client_id && opened.authenticated <= *time;
    if revoked.iter().any(ended) { Err(Reject::Revoked) } else { Ok(opened) }
}
