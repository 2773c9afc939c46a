//! Frame layout, judged by the receiver's role (§3).

use super::reject::Reject;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 28;
/// Bytes of a tag.
pub const TAG_BYTES: usize = 16;
/// Flag: the payload is encrypted.
pub const SEALED: u8 = 0x01;
/// Flag: the sender holds this offered generation, unanswered yet.
pub const ACK: u8 = 0x02;
/// Flag: the last request of this generation.
pub const LAST: u8 = 0x04;
/// Flag: this request may be answered together with others.
pub const JOINT: u8 = 0x08;

/// Who reads a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Receives what clients send.
    Server,
    /// Receives what servers send.
    Client,
}

/// A row of the kind table: number, name, receivers, flags defined, fields that must be 0.
#[derive(Debug)]
pub struct Kind {
    /// The low nibble of byte 2.
    pub number: u8,
    /// The name in §3.1.
    pub name: &'static str,
    to_server: bool,
    to_client: bool,
    flags: u8,
    zero: &'static [Zero],
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Zero {
    KeyId,
    Generation,
    Op,
    Counter,
    Timestamp,
    Payload,
}
use Zero::{Counter, Generation, KeyId, Op, Payload, Timestamp};

const fn kind(number: u8, name: &'static str, to: &str, flags: u8, zero: &'static [Zero]) -> Kind {
    let to = to.as_bytes()[0];
    Kind {
        number,
        name,
        to_server: matches!(to, b's' | b'b'),
        to_client: matches!(to, b'c' | b'b'),
        flags,
        zero,
    }
}

/// Every assigned kind (§3.1, §3.2.4, §3.2.7); `to` is the s(erver), the c(lient), b(oth), or - while its section is not in force.
pub const KINDS: [Kind; 14] = [
    kind(0x1, "REQ", "s", SEALED | ACK | LAST | JOINT, &[]),
    kind(0x2, "RESP", "c", SEALED, &[]),
    kind(0x3, "ERR", "c", SEALED, &[Payload]),
    kind(0x4, "CTL", "b", SEALED, &[Counter]),
    kind(0x5, "NOTIFY", "-", SEALED, &[]),
    kind(0x6, "VERDICTS", "c", 0, &[Op]),
    kind(0x8, "HELLO", "s", 0, &[KeyId, Generation, Timestamp]),
    kind(0x9, "HELLO_R", "c", 0, &[KeyId, Generation, Op, Timestamp]),
    kind(0xa, "RETRY", "c", 0, &[KeyId, Generation, Timestamp]),
    kind(0xb, "RESUME", "s", 0, &[KeyId, Generation, Timestamp]),
    kind(0xc, "RESUME_R", "c", 0, &[KeyId, Generation, Op, Timestamp]),
    kind(0xd, "RECOVER", "s", 0, &[KeyId, Generation, Timestamp]),
    kind(0xe, "RECOVER_R", "c", 0, &[KeyId, Generation, Op, Timestamp]),
    kind(0xf, "LOST", "c", 0, &[Op, Payload]),
];

/// The row of a name.
pub fn kind_named(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.name == name)
}

/// The fields of a header; counter and timestamp are below 2^48.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Low nibble of byte 2.
    pub kind: u8,
    /// Byte 3.
    pub flags: u8,
    /// Bytes 4 to 11.
    pub key_id: u64,
    /// Bytes 12 and 13.
    pub generation: u16,
    /// Bytes 14 and 15: op or status.
    pub op: u16,
    /// Bytes 16 to 21.
    pub counter: u64,
    /// Bytes 22 to 27.
    pub timestamp: u64,
}

impl Header {
    /// A header of the kind called `name`, all else 0.
    pub fn of(name: &str) -> Self {
        Self { kind: kind_named(name).expect("a kind of §3.1").number, ..Self::default() }
    }

    /// The 28 bytes of a header before `payload_bytes` of payload, a tag included in its length.
    pub fn encode(&self, payload_bytes: usize) -> [u8; HEADER_BYTES] {
        let length = u16::try_from(HEADER_BYTES - 2 + payload_bytes + TAG_BYTES).expect("length is a u16");
        let mut out = [0; HEADER_BYTES];
        out[0..2].copy_from_slice(&length.to_be_bytes());
        out[2] = 0x10 | self.kind;
        out[3] = self.flags;
        out[4..12].copy_from_slice(&self.key_id.to_be_bytes());
        out[12..14].copy_from_slice(&self.generation.to_be_bytes());
        out[14..16].copy_from_slice(&self.op.to_be_bytes());
        out[16..22].copy_from_slice(&self.counter.to_be_bytes()[2..]);
        out[22..28].copy_from_slice(&self.timestamp.to_be_bytes()[2..]);
        out
    }

    /// The fields of the first 28 bytes, unjudged.
    pub fn decode(frame: &[u8]) -> Self {
        let number = |from: usize, to: usize| frame[from..to].iter().fold(0, |n, b| n << 8 | u64::from(*b));
        Self {
            kind: frame[2] & 0xf,
            flags: frame[3],
            key_id: number(4, 12),
            generation: number(12, 14) as u16,
            op: number(14, 16) as u16,
            counter: number(16, 22),
            timestamp: number(22, 28),
        }
    }
}

/// What the first bytes of a stream hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// Not yet a frame: at least so many bytes are needed in all.
    Need(usize),
    /// A frame of this many payload bytes.
    Frame(Header, usize),
}

/// Judges the frame that starts `bytes` by 3.2.1 to 3.2.4 and 3.2.7, in that order.
pub fn parse(role: Role, bytes: &[u8]) -> Result<Parsed, Reject> {
    let Some(length) = bytes.get(..2) else { return Ok(Parsed::Need(2)) };
    let length = usize::from(length[0]) << 8 | usize::from(length[1]);
    if !(42..=16426).contains(&length) {
        return Err(Reject::Length);
    }
    let total = length + 2;
    if bytes.len() < total {
        return Ok(Parsed::Need(total));
    }
    if bytes[2] >> 4 != 1 {
        return Err(Reject::Version);
    }
    let header = Header::decode(bytes);
    let kind = KINDS.iter().find(|k| k.number == header.kind).ok_or(Reject::Kind)?;
    if !(if role == Role::Server { kind.to_server } else { kind.to_client }) {
        return Err(Reject::Kind);
    }
    if header.flags & !kind.flags != 0 || header.flags & (ACK | LAST) == ACK | LAST {
        return Err(Reject::Flags);
    }
    let payload_bytes = total - HEADER_BYTES - TAG_BYTES;
    let clear = |zero: &Zero| match zero {
        KeyId => header.key_id == 0,
        Generation => header.generation == 0,
        Op => header.op == 0,
        Counter => header.counter == 0,
        Timestamp => header.timestamp == 0,
        Payload => payload_bytes == 0,
    };
    let unused_are_zero = kind.zero.iter().all(clear);
    let key_id_is_one = kind.zero.contains(&KeyId) || header.key_id != 0;
    let ack_is_later = header.flags & ACK == 0 || header.generation != 0;
    if unused_are_zero && key_id_is_one && ack_is_later {
        Ok(Parsed::Frame(header, payload_bytes))
    } else {
        Err(Reject::Field)
    }
}

/// Header bytes, payload and tag of a whole frame.
pub fn parts(frame: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let tag = frame.len() - TAG_BYTES;
    (&frame[..HEADER_BYTES], &frame[HEADER_BYTES..tag], &frame[tag..])
}
