//! LOST: "I do not hold this key", authentic without state (SPEC §9).

use mvt_lanes::{HmacKey, mac, mac_parts};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    Header, Reject,
    constants::{FRAME_BYTES_MIN, HEADER_BYTES, TAG_BYTES},
    header::{Flags, Kind, key_id_of},
    schedule,
    secret::Secret,
    suite::{Tag, tag_of},
};

/// The fields of the request's header that a LOST echoes: key id and generation, counter and timestamp (§3.2.7).
const ECHOED: [core::ops::Range<usize>; 2] = [4..14, 16..28];

/// The key that makes the LOST of one key id believable to its client: wiped on drop, not printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct LostKey([u8; TAG_BYTES]);

impl LostKey {
    /// From the bytes of a HELLO_R (§10.2).
    #[must_use]
    pub const fn new(bytes: [u8; TAG_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the HELLO_R.
    #[must_use]
    pub const fn expose(&self) -> &[u8; TAG_BYTES] {
        &self.0
    }

    fn tag(&self, request_header: &[u8], request_tag: &Tag) -> Tag {
        let made = mac_parts(&HmacKey::new(&self.0), &[b"mvt1 lost", request_header, request_tag]);
        made[..TAG_BYTES].try_into().expect("16 of 32 bytes")
    }

    /// Whether `frame`, a LOST, answers the request of this header and tag (§9.3).
    ///
    /// # Errors
    /// `Field`: it does not echo the request. `BadTag`: a decoy or a forgery.
    pub fn verify(&self, frame: &[u8], request_header: &[u8], request_tag: &Tag) -> Result<(), Reject> {
        // The tag covers the request's header, so the echo in this one is judged by itself (§3.2.7).
        if ECHOED.into_iter().any(|field| frame[field.clone()] != request_header[field]) {
            return Err(Reject::Field);
        }
        let made = self.tag(request_header, request_tag);
        if made.ct_eq(&tag_of(frame)).into() { Ok(()) } else { Err(Reject::BadTag) }
    }
}

impl core::fmt::Debug for LostKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("LostKey([redacted])")
    }
}

/// What a node needs to answer LOST: derived once from its reset secret.
#[derive(Debug)]
pub struct LostKeys {
    node: HmacKey,
    decoy: HmacKey,
}

impl LostKeys {
    /// NK and DK of `node_slot` (§9).
    #[must_use]
    pub fn new(reset_secret: &Secret, node_slot: u16) -> Self {
        let key =
            |label| HmacKey::new(schedule::label(reset_secret, label, &node_slot.to_be_bytes()).expose());
        Self { node: key("lost node"), decoy: key("decoy node") }
    }

    /// The lost_key that a login grants for `key_id`.
    #[must_use]
    pub fn lost_key(&self, key_id: u64) -> LostKey {
        Self::key_of(&self.node, key_id)
    }

    fn key_of(key: &HmacKey, key_id: u64) -> LostKey {
        LostKey(mac(key, &key_id.to_be_bytes())[..TAG_BYTES].try_into().expect("16 of 32 bytes"))
    }

    /// The LOST for `request`, a whole REQ as received; a decoy unless `genuine` (§9.1).
    #[must_use]
    pub fn answer(&self, request: &[u8], genuine: bool) -> [u8; FRAME_BYTES_MIN] {
        let key = Self::key_of(if genuine { &self.node } else { &self.decoy }, key_id_of(request));
        let mut frame = [0u8; FRAME_BYTES_MIN];
        let echo = |range: core::ops::Range<usize>| &request[range];
        let header = Header {
            kind: Kind::Lost,
            flags: Flags(0),
            key_id: key_id_of(request),
            generation: u16::from_be_bytes([request[12], request[13]]),
            op: 0,
            counter: 0,
            timestamp: 0,
            payload_bytes: 0,
        };
        frame[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        frame[16..28].copy_from_slice(echo(16..28));
        frame[HEADER_BYTES..].copy_from_slice(&key.tag(echo(0..HEADER_BYTES), &tag_of(request)));
        frame
    }
}
