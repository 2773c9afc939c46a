//! Control frames (§11.1).

use super::{
    frame::{HEADER_BYTES, Header, Parsed, Role, SEALED, parse},
    hkdf::array,
    reject::Reject,
    schedule::Schedule,
    suite::{gcm_nonce, gcm_open, gcm_seal},
    ticket::TICKET_BYTES,
};

/// op of an OFFER.
pub const OFFER: u16 = 1;
/// op of a SHARE.
pub const SHARE: u16 = 2;
/// op of a TICKET.
pub const TICKET: u16 = 3;

/// What a control frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// N, and e_s with form 1.
    Offer([u8; 32], Option<[u8; 32]>),
    /// e_c.
    Share([u8; 32]),
    /// A ticket.
    Ticket(Vec<u8>),
}

impl Control {
    /// The op of the table.
    pub fn op(&self) -> u16 {
        match self {
            Self::Offer(..) => OFFER,
            Self::Share(_) => SHARE,
            Self::Ticket(_) => TICKET,
        }
    }

    /// The payload of the table.
    pub fn payload(&self) -> Vec<u8> {
        match self {
            Self::Offer(n, None) => [n.as_slice(), &[0]].concat(),
            Self::Offer(n, Some(e_s)) => [n.as_slice(), &[1], e_s].concat(),
            Self::Share(e_c) => e_c.to_vec(),
            Self::Ticket(ticket) => ticket.clone(),
        }
    }

    fn read(role: Role, op: u16, payload: &[u8]) -> Option<Self> {
        match (role, op, payload.len()) {
            (Role::Client, OFFER, 33) if payload[32] == 0 => Some(Self::Offer(array(&payload[..32]), None)),
            (Role::Client, OFFER, 65) if payload[32] == 1 => {
                Some(Self::Offer(array(&payload[..32]), Some(array(&payload[33..]))))
            }
            (Role::Server, SHARE, 32) => Some(Self::Share(array(payload))),
            (Role::Client, TICKET, TICKET_BYTES) => Some(Self::Ticket(payload.to_vec())),
            _ => None,
        }
    }
}

/// The header of a control frame of a generation.
pub fn control_header(key_id: u64, generation: u16, op: u16, timestamp: u64) -> Header {
    Header { flags: SEALED, key_id, generation, op, timestamp, ..Header::of("CTL") }
}

/// Seals any payload under any header: vectors seal what nobody should.
pub fn seal_control(key: &[u8; 32], header: Header, payload: &[u8]) -> Vec<u8> {
    let bytes = header.encode(payload.len());
    let body = gcm_seal(key, gcm_nonce(&bytes), &bytes, payload);
    [bytes.as_slice(), &body].concat()
}

/// A control frame under the keys of its generation; `role` is the receiver's.
pub fn open_control(role: Role, keys: &Schedule, frame: &[u8]) -> Result<(Header, Control), Reject> {
    let Parsed::Frame(header, _) = parse(role, frame)? else { return Err(Reject::Length) };
    assert_eq!(header.kind, Header::of("CTL").kind, "only control frames come here");
    if header.flags != SEALED {
        return Err(Reject::Control);
    }
    let key = if role == Role::Server { &keys.ctlc } else { &keys.ctls };
    let bytes = &frame[..HEADER_BYTES];
    let payload = gcm_open(key, gcm_nonce(bytes), bytes, &frame[HEADER_BYTES..]).ok_or(Reject::Control)?;
    let control = Control::read(role, header.op, &payload).ok_or(Reject::Control)?;
    Ok((header, control))
}
