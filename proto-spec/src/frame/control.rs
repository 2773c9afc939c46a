//! CTL: what renews a session, sealed under a key of its own for each direction and generation (SPEC §11.1).

use alloc::vec::Vec;

use crate::{
    Header, Reject,
    constants::{HEADER_BYTES, KEY_BYTES, TAG_BYTES, TICKET_BYTES},
    frame::Reader,
    header::{Flags, Kind, Role},
    secret::Secret,
    suite::{gcm256, payload_of},
};

/// What a CTL is: its op.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Control {
    /// The server offers the next generation.
    Offer = 1,
    /// The client's half of a Diffie-Hellman.
    Share = 2,
    /// The server gives a ticket.
    Ticket = 3,
}

impl Control {
    /// The meaning of an op on the wire.
    ///
    /// # Errors
    /// `Control` when it has none.
    pub const fn from_op(op: u16) -> Result<Self, Reject> {
        Ok(match op {
            1 => Self::Offer,
            2 => Self::Share,
            3 => Self::Ticket,
            _ => return Err(Reject::Control),
        })
    }

    /// Appends the frame with this payload to `out`, sealed under the control key of the sender's direction.
    pub fn seal(self, key: &Secret, about: About, payload: &[u8], out: &mut Vec<u8>) {
        let header = Header {
            kind: Kind::Ctl,
            flags: Flags(Flags::SEALED),
            key_id: about.key_id,
            generation: about.generation,
            op: self as u16,
            counter: 0,
            timestamp: about.timestamp,
            payload_bytes: payload.len(),
        };
        let start = out.len();
        out.extend_from_slice(&header.to_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(&[0; TAG_BYTES]);
        gcm256::seal(key, &mut out[start..], &[]);
    }
}

/// The fields of a CTL's header that differ from frame to frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Names the session.
    pub key_id: u64,
    /// The generation whose control key seals it.
    pub generation: u16,
    /// Server time, ms.
    pub timestamp: u64,
}

/// What a CTL says to its receiver.
#[derive(Debug)]
pub enum Says<'f> {
    /// To a client: the next generation.
    Offer(Offer),
    /// To a server: e_c.
    Share([u8; KEY_BYTES]),
    /// To a client.
    Ticket(&'f [u8; TICKET_BYTES]),
}

/// Opens `frame`, a CTL with this header, in place; `key` is the control key of the direction to `receiver` (§11.1.1).
///
/// # Errors
/// `Control`: not sealed, not under this key, or not exactly what this receiver is told.
pub fn open<'f>(
    receiver: Role,
    key: &Secret,
    header: &Header,
    frame: &'f mut [u8],
) -> Result<Says<'f>, Reject> {
    let opens = gcm256::open(key, frame, &[]);
    if !(opens & header.flags.sealed()) {
        return Err(Reject::Control);
    }
    let payload = payload_of(frame);
    let exact = |_| Reject::Control;
    match (Control::from_op(header.op)?, receiver) {
        (Control::Offer, Role::Client) => Offer::parse(payload).map(Says::Offer),
        (Control::Share, Role::Server) => payload.try_into().map(Says::Share).map_err(exact),
        (Control::Ticket, Role::Client) => payload.try_into().map(Says::Ticket).map_err(exact),
        _ => Err(Reject::Control),
    }
}

/// The payload of an OFFER.
#[derive(Debug)]
pub struct Offer {
    /// N: 32 random bytes.
    pub nonce: Secret,
    /// e_s, when the form is 1.
    pub public: Option<[u8; KEY_BYTES]>,
}

const FORM_PLAIN: u64 = 0;
const FORM_EXCHANGE: u64 = 1;

impl Offer {
    fn parse(payload: &[u8]) -> Result<Self, Reject> {
        Self::read(Reader::new(payload)).map_err(|_| Reject::Control)
    }

    fn read(mut reader: Reader<'_>) -> Result<Self, Reject> {
        let nonce = Secret::new(reader.take(KEY_BYTES)?.try_into().expect("taken as 32"));
        let public = match reader.uint(1)? {
            FORM_PLAIN => None,
            FORM_EXCHANGE => Some(reader.take(KEY_BYTES)?.try_into().expect("taken as 32")),
            _ => return Err(Reject::Control),
        };
        reader.end()?;
        Ok(Self { nonce, public })
    }

    /// Appends the OFFER to `out`.
    pub(crate) fn seal(&self, key: &Secret, about: About, out: &mut Vec<u8>) {
        let mut payload = zeroize::Zeroizing::new([0u8; 2 * KEY_BYTES + 1]);
        payload[..KEY_BYTES].copy_from_slice(self.nonce.expose());
        let mut length = KEY_BYTES + 1;
        if let Some(public) = &self.public {
            payload[KEY_BYTES] = FORM_EXCHANGE as u8;
            payload[length..].copy_from_slice(public);
            length += KEY_BYTES;
        }
        Control::Offer.seal(key, about, &payload[..length], out);
    }
}

/// Wipes the payload of `frame`, a CTL that was opened.
pub(crate) fn wipe(frame: &mut [u8]) {
    let end = frame.len() - TAG_BYTES;
    zeroize::Zeroize::zeroize(&mut frame[HEADER_BYTES..end]);
}
