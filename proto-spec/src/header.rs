//! The 28-byte frame header (SPEC §3).

use crate::{
    Reject,
    constants::{
        FRAME_BYTES_MAX, FRAME_BYTES_MIN, HEADER_BYTES, LENGTH_FIELD_BYTES, TAG_BYTES, U48_MAX, VERSION,
    },
};

/// Who reads a frame: decides which kinds are expected (§3.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The receiver is a client.
    Client,
    /// The receiver is a server.
    Server,
}

/// Which header fields a kind uses; the others must be 0 (§3.2.7).
struct Uses {
    kind: Kind,
    receiver: Role,
    flags: u8,
    key_id: bool,
    op: bool,
    counter: bool,
    timestamp: bool,
    payload: bool,
}

/// The kind of a frame, low nibble of byte 2 (§3.1). Kinds of later sections join with their section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A request.
    Req = 1,
    /// The answer to one request.
    Resp = 2,
    /// An authenticated refusal of one request.
    Err = 3,
    /// The answer to several requests (§7.4).
    Verdicts = 6,
    /// What renews a session: OFFER, SHARE, TICKET (§11.1).
    Ctl = 4,
    /// The first message of a login.
    Hello = 8,
    /// The answer to a HELLO.
    HelloR = 9,
    /// A HELLO, a RESUME or a RECOVER is to be repeated with a cookie, or later.
    Retry = 10,
    /// Asks for a new session with a ticket (§12.3).
    Resume = 11,
    /// The answer to a RESUME.
    ResumeR = 12,
    /// Asks for a new session and a new identity with the recovery secret (§13.2).
    Recover = 13,
    /// The answer to a RECOVER.
    RecoverR = 14,
    /// The server does not hold the key.
    Lost = 15,
}

static KINDS: [Uses; 14] = {
    use Kind::{
        Ctl, Err, Hello, HelloR, Lost, Recover, RecoverR, Req, Resp, Resume, ResumeR, Retry, Verdicts,
    };
    use Role::{Client, Server};
    const REQ_FLAGS: u8 = Flags::SEALED | Flags::ACK | Flags::LAST | Flags::JOINT;
    const fn row(kind: Kind, receiver: Role, flags: u8, used: [bool; 5]) -> Uses {
        let [key_id, op, counter, timestamp, payload] = used;
        Uses { kind, receiver, flags, key_id, op, counter, timestamp, payload }
    }
    // Used fields: key id and generation, op or status, counter, timestamp, payload.
    [
        row(Req, Server, REQ_FLAGS, [true, true, true, true, true]),
        row(Resp, Client, Flags::SEALED, [true, true, true, true, true]),
        row(Err, Client, Flags::SEALED, [true, true, true, true, false]),
        row(Ctl, Server, Flags::SEALED, [true, true, false, true, true]),
        row(Ctl, Client, Flags::SEALED, [true, true, false, true, true]),
        row(Verdicts, Client, 0, [true, false, true, true, true]),
        row(Hello, Server, 0, [false, true, true, false, true]),
        row(HelloR, Client, 0, [false, false, true, false, true]),
        row(Retry, Client, 0, [false, true, true, false, true]),
        row(Resume, Server, 0, [false, true, true, false, true]),
        row(ResumeR, Client, 0, [false, false, true, false, true]),
        row(Recover, Server, 0, [false, true, true, false, true]),
        row(RecoverR, Client, 0, [false, false, true, false, true]),
        row(Lost, Client, 0, [true, false, true, true, false]),
    ]
};

/// The row of [`KINDS`] for each receiver and number of a kind; one past the end where there is none.
const ROWS: [[u8; 16]; 2] = {
    let mut rows = [[KINDS.len() as u8; 16]; 2];
    let mut row = 0;
    while row < KINDS.len() {
        rows[KINDS[row].receiver as usize][KINDS[row].kind as usize] = row as u8;
        row += 1;
    }
    rows
};

/// Flag bits, byte 3 (§3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The payload is encrypted.
    pub const SEALED: u8 = 0x01;
    /// The sender holds this offered generation and saw no answer under it yet (§11.3.1).
    pub const ACK: u8 = 0x02;
    /// The last request of this generation (§11.3.1).
    pub const LAST: u8 = 0x04;
    /// The request may be answered together with others (§7.4).
    pub const JOINT: u8 = 0x08;

    /// Whether the payload is encrypted.
    #[must_use]
    pub const fn sealed(self) -> bool {
        self.0 & Self::SEALED != 0
    }

    /// Whether the request may be answered together with others.
    #[must_use]
    pub const fn joint(self) -> bool {
        self.0 & Self::JOINT != 0
    }

    /// Whether the sender holds an offered generation.
    #[must_use]
    pub const fn ack(self) -> bool {
        self.0 & Self::ACK != 0
    }

    /// Whether this is the last request of its generation.
    #[must_use]
    pub const fn last(self) -> bool {
        self.0 & Self::LAST != 0
    }

    /// These flags and those of `bits`.
    #[must_use]
    pub const fn with(self, bits: u8) -> Self {
        Self(self.0 | bits)
    }
}

/// A frame header whose bounds hold: version 1, a kind for this role, permitted flags, unused fields 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// Permitted flags.
    pub flags: Flags,
    /// Names the session; 0 in login frames.
    pub key_id: u64,
    /// Number of renewals so far.
    pub generation: u16,
    /// Op of a request, status of an answer.
    pub op: u16,
    /// Request count within the generation, 48 bits.
    pub counter: u64,
    /// Milliseconds on the server's timescale, 48 bits.
    pub timestamp: u64,
    /// Bytes of payload, 0 to 16384.
    pub payload_bytes: usize,
}

impl Header {
    /// Bytes of the whole frame, 44 to 16428.
    #[must_use]
    pub const fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.payload_bytes + TAG_BYTES
    }

    /// Reads and judges the header of `frame`, which is one whole frame as the framer cut it.
    ///
    /// # Errors
    /// `Length`, `Version`, `Kind`, `Flags` or `Field`, in this order (§3.2).
    #[inline]
    pub fn parse(frame: &[u8], role: Role) -> Result<Self, Reject> {
        Self::parse_here(frame, role)
    }

    /// [`Header::parse`] as a part of its caller: for those that keep a header for each of many frames. Given back through memory
    /// in small fields and copied from there in large ones, it would wait for its own stores.
    ///
    /// # Errors
    /// As [`Header::parse`].
    #[inline(always)]
    pub fn parse_here(frame: &[u8], role: Role) -> Result<Self, Reject> {
        let Some(bytes) = frame.first_chunk::<HEADER_BYTES>() else { return Err(Reject::Length) };
        if frame.len() < FRAME_BYTES_MIN || frame.len() > FRAME_BYTES_MAX {
            return Err(Reject::Length);
        }
        if usize::from(u16::from_be_bytes([bytes[0], bytes[1]])) != frame.len() - LENGTH_FIELD_BYTES {
            return Err(Reject::Length);
        }
        let uses = judge_kind_and_flags(bytes[2], bytes[3], role)?;
        let header = Self {
            kind: uses.kind,
            flags: Flags(bytes[3]),
            key_id: read_u64(bytes, 4),
            generation: u16::from_be_bytes([bytes[12], bytes[13]]),
            op: u16::from_be_bytes([bytes[14], bytes[15]]),
            // 48 bits each: read with the two bytes before them.
            counter: read_u64(bytes, 14) & U48_MAX,
            timestamp: read_u64(bytes, 20) & U48_MAX,
            payload_bytes: frame.len() - FRAME_BYTES_MIN,
        };
        let unused_is_zero = (uses.key_id == (header.key_id != 0))
            && (uses.key_id || header.generation == 0)
            && (uses.op || header.op == 0)
            && (uses.counter || header.counter == 0)
            && (uses.timestamp || header.timestamp == 0)
            && (uses.payload || header.payload_bytes == 0)
            // The first generation was never offered.
            && !(header.flags.ack() && header.generation == 0);
        if unused_is_zero { Ok(header) } else { Err(Reject::Field) }
    }

    /// The header's bytes. Counter and timestamp are cut to 48 bits by the callers' limits.
    #[must_use]
    #[inline]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        debug_assert!(self.counter <= U48_MAX && self.timestamp <= U48_MAX);
        let length = (self.frame_bytes() - LENGTH_FIELD_BYTES) as u64;
        let kind = u64::from(VERSION << 4 | self.kind as u8);
        // In words of eight bytes: what reads the header back soon after reads as much at once, and a load of bytes
        // that were stored in smaller pieces waits for all of them.
        let words = [
            length << 48 | kind << 40 | u64::from(self.flags.0) << 32 | self.key_id >> 32,
            self.key_id << 32 | u64::from(self.generation) << 16 | u64::from(self.op),
            self.counter << 16 | self.timestamp >> 32,
        ];
        let mut bytes = [0u8; HEADER_BYTES];
        for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *to = word.to_be_bytes();
        }
        bytes[24..].copy_from_slice(&(self.timestamp as u32).to_be_bytes());
        bytes
    }
}

/// Judges bytes 2 and 3 (§3.2.2 to §3.2.4), which a framer can do before the rest has arrived.
///
/// # Errors
/// `Version`, `Kind` or `Flags`.
pub(crate) fn judge_start(version_kind: u8, flags: u8, role: Role) -> Result<(), Reject> {
    judge_kind_and_flags(version_kind, flags, role).map(|_| ())
}

fn judge_kind_and_flags(version_kind: u8, flags: u8, role: Role) -> Result<&'static Uses, Reject> {
    if version_kind >> 4 != VERSION {
        return Err(Reject::Version);
    }
    let row = ROWS[role as usize][usize::from(version_kind & 0x0f)];
    let uses = KINDS.get(usize::from(row)).ok_or(Reject::Kind)?;
    let both = Flags::ACK | Flags::LAST;
    if flags & !uses.flags != 0 || flags & both == both { Err(Reject::Flags) } else { Ok(uses) }
}

/// The eight bytes from `at` on.
#[inline]
const fn read_u64(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    match bytes.split_at(at).1.first_chunk() {
        Some(eight) => u64::from_be_bytes(*eight),
        None => unreachable!(),
    }
}

/// The key id of a frame that is at least a header long.
#[must_use]
pub fn key_id_of(frame: &[u8]) -> u64 {
    frame.first_chunk().map_or(0, |bytes| read_u64(bytes, 4))
}

/// The counter of a header.
#[inline]
pub(crate) fn counter_of(header: &[u8; HEADER_BYTES]) -> u64 {
    read_u64(header, 14) & U48_MAX
}

/// The shard byte of a key id (§3.1).
#[must_use]
pub const fn shard_of(key_id: u64) -> u8 {
    (key_id >> 40) as u8
}

/// The node slot of a key id (§3.1).
#[must_use]
pub const fn node_slot_of(key_id: u64) -> u16 {
    (key_id >> 48) as u16
}

/// A key id from its parts; `random` is cut to 40 bits, and 0 is avoided by the caller (§3.1).
#[must_use]
pub const fn key_id(node_slot: u16, shard: u8, random: u64) -> u64 {
    (node_slot as u64) << 48 | (shard as u64) << 40 | random & 0xff_ffff_ffff
}
