//! GCM256: AES-256-GCM under the request key, header and binding as associated bytes (SPEC §4.1).

use alloc::vec::Vec;

use aes_gcm::{
    AesGcm, KeyInit,
    aead::{AeadInOut, Nonce, Tag, consts::U12},
    aes::Aes256Enc,
};
use mvt_lanes::{Engine, HmacKey, MAC_BYTES};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::{
    constants::{HEADER_BYTES, TAG_BYTES},
    header::Flags,
    secret::Secret,
    slot::REQUEST_KEY_INPUT_BYTES,
};

/// AES-256-GCM that schedules no key for decryption of blocks, which GCM never does: half the set-up of a key that
/// serves one request.
type Cipher = AesGcm<Aes256Enc, U12>;

/// Lanes whose keys are derived at a time.
const SOME: usize = 16;
/// A header, and the tag of a request.
const ASSOCIATED_BYTES_MAX: usize = HEADER_BYTES + TAG_BYTES;

pub(crate) fn seal(key: &Secret, frame: &mut [u8], bound_to: &[u8]) {
    Scheduled::new(key).seal(frame, bound_to);
}

pub(crate) fn open(key: &Secret, frame: &mut [u8], bound_to: &[u8]) -> bool {
    Scheduled::new(key).open(frame, bound_to)
}

/// A request key with its schedule, made once for the request and its answer: for those who can spare the memory. Wiped on
/// drop.
#[derive(Clone)]
pub(crate) struct Scheduled(Cipher);

const _: () = assert!(size_of::<Scheduled>() <= 1104, "kept for every request that is answered alone");

impl Scheduled {
    pub(crate) fn new(key: &Secret) -> Self {
        Self(Cipher::new(key.expose().into()))
    }

    pub(crate) fn seal(&self, frame: &mut [u8], bound_to: &[u8]) {
        seal_with(&self.0, frame, bound_to);
    }

    pub(crate) fn open(&self, frame: &mut [u8], bound_to: &[u8]) -> bool {
        open_with(&self.0, frame, bound_to)
    }

    pub(super) fn open_joint(&self, frame: &[u8], request_tags: &[u8]) -> bool {
        let (signed, tag) = frame.split_at(frame.len() - TAG_BYTES);
        let made = joint_tag(&self.0, signed, request_tags);
        made.as_slice().ct_eq(tag).into()
    }
}

impl core::fmt::Debug for Scheduled {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("[redacted]")
    }
}

fn seal_with(cipher: &Cipher, frame: &mut [u8], bound_to: &[u8]) {
    let (header, payload, tag) = split(frame);
    let mut room = [0; ASSOCIATED_BYTES_MAX];
    let made = cipher
        .encrypt_inout_detached(&nonce(header), associated(header, bound_to, &mut room), payload.into())
        .expect("a payload is far below GCM's bound");
    tag.copy_from_slice(&made);
}

fn open_with(cipher: &Cipher, frame: &mut [u8], bound_to: &[u8]) -> bool {
    let (header, payload, tag) = split(frame);
    let mut room = [0; ASSOCIATED_BYTES_MAX];
    let associated = associated(header, bound_to, &mut room);
    let tag = Tag::<Cipher>::try_from(&*tag).expect("16 bytes");
    cipher.decrypt_inout_detached(&nonce(header), associated, payload.into(), &tag).is_ok()
}

/// The tag of a VERDICTS, which encrypts nothing (§7.4).
fn joint_tag(cipher: &Cipher, signed: &[u8], request_tags: &[u8]) -> Tag<Cipher> {
    let mut associated = Vec::with_capacity(signed.len() + request_tags.len());
    associated.extend_from_slice(signed);
    associated.extend_from_slice(request_tags);
    let nothing: &mut [u8] = &mut [];
    cipher
        .encrypt_inout_detached(&nonce(signed), &associated, nothing.into())
        .expect("associated bytes are far below GCM's bound")
}

/// Request keys of many frames, each scheduled once for the request and its answer, and whether its tag held.
pub(crate) struct Lanes {
    ciphers: Vec<Cipher>,
    holds: Vec<bool>,
}

impl Lanes {
    pub(crate) fn new(most: usize) -> Self {
        Self { ciphers: Vec::with_capacity(most), holds: Vec::with_capacity(most) }
    }

    /// Derives the keys of `count` requests; `request` gives slot key and key input.
    pub(crate) fn derive<'a>(
        &mut self,
        engine: Engine,
        count: usize,
        request: impl Fn(usize) -> (&'a HmacKey, [u8; REQUEST_KEY_INPUT_BYTES]),
    ) {
        let mut at = 0;
        while at < count {
            let some = (count - at).min(SOME);
            let mut slot_keys = [request(at).0; SOME];
            let mut inputs = [[0; REQUEST_KEY_INPUT_BYTES]; SOME];
            for lane in 0..some {
                (slot_keys[lane], inputs[lane]) = request(at + lane);
            }
            let mut keys = [[0; MAC_BYTES]; SOME];
            engine.derive_bytes(&slot_keys[..some], &inputs[..some], &mut keys[..some]);
            self.ciphers.extend(keys[..some].iter().map(|key| Cipher::new(key.into())));
            keys.as_flattened_mut().zeroize();
            at += some;
        }
    }

    /// Opens the request of a lane in place, in the order of lanes.
    pub(crate) fn open(&mut self, lane: usize, frame: &mut [u8]) {
        debug_assert_eq!(lane, self.holds.len());
        // §4.2: the sealed flag of the other suite is a bad tag.
        let flag_fits = Flags(frame[3]).sealed();
        self.holds.push(open_with(&self.ciphers[lane], frame, &[]) & flag_fits);
    }

    /// Whether the tag of a lane held.
    #[inline]
    pub(crate) fn held(&self, lane: usize) -> bool {
        self.holds[lane]
    }

    /// Seals the answer of a lane.
    pub(crate) fn seal(&self, lane: usize, frame: &mut [u8], bound_to: &[u8]) {
        seal_with(&self.ciphers[lane], frame, bound_to);
    }

    /// Seals a VERDICTS under the key of a lane.
    pub(crate) fn seal_joint(&self, lane: usize, frame: &mut [u8], request_tags: &[u8]) {
        let (signed, tag) = frame.split_at_mut(frame.len() - TAG_BYTES);
        tag.copy_from_slice(&joint_tag(&self.ciphers[lane], signed, request_tags));
    }

    /// Wipes every key.
    pub(crate) fn wipe(&mut self) {
        self.ciphers.clear();
        self.holds.clear();
    }
}

impl core::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Lanes").field("count", &self.holds.len()).finish_non_exhaustive()
    }
}

/// Byte 2 ‖ byte 3 ‖ op or status ‖ u16 0 ‖ timestamp.
fn nonce(header: &[u8]) -> Nonce<Cipher> {
    let mut nonce = [0u8; 12];
    nonce[..2].copy_from_slice(&header[2..4]);
    nonce[2..4].copy_from_slice(&header[14..16]);
    nonce[6..].copy_from_slice(&header[22..28]);
    nonce.into()
}

/// Header and what the frame is bound to, joined in `room` where there is something: a request is bound to nothing, and what is
/// written in pieces and read in blocks at once is waited for.
#[inline]
fn associated<'a>(header: &'a [u8], bound_to: &[u8], room: &'a mut [u8; ASSOCIATED_BYTES_MAX]) -> &'a [u8] {
    if bound_to.is_empty() {
        return header;
    }
    let length = HEADER_BYTES + bound_to.len();
    room[..HEADER_BYTES].copy_from_slice(header);
    room[HEADER_BYTES..length].copy_from_slice(bound_to);
    &room[..length]
}

fn split(frame: &mut [u8]) -> (&[u8], &mut [u8], &mut [u8]) {
    let (header, rest) = frame.split_at_mut(HEADER_BYTES);
    let (payload, tag) = rest.split_at_mut(rest.len() - TAG_BYTES);
    (header, payload, tag)
}
