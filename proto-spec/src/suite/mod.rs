//! The algorithms of a session (SPEC §4): one file each, one row here.

pub(crate) mod gcm256;
pub(crate) mod hs256;

use mvt_lanes::HmacKey;

pub(crate) use self::gcm256::Scheduled;

use crate::{
    Reject,
    constants::{HEADER_BYTES, TAG_BYTES},
    header::Flags,
    secret::Secret,
    slot::request_key_input,
};

/// A tag of 16 bytes.
pub type Tag = [u8; TAG_BYTES];

/// A suite, a property of the key id (§4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Suite {
    /// HMAC-SHA256 truncated to 128 bits; the payload stays readable.
    Hs256 = 1,
    /// AES-256-GCM; the payload is encrypted.
    Gcm256 = 2,
}

impl Suite {
    /// Every suite with its name in configuration and reports.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Hs256, "hs256"), (Self::Gcm256, "gcm256")];

    /// The suite of a number on the wire.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.iter().map(|(suite, _)| *suite).find(|suite| *suite as u16 == id)
    }

    /// The suite of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(suite, _)| *suite)
    }

    /// The name in configuration and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "hs256",
            Self::Gcm256 => "gcm256",
        }
    }

    /// The flags of a frame of this suite (§4.2).
    #[must_use]
    pub const fn flags(self) -> Flags {
        match self {
            Self::Hs256 => Flags(0),
            Self::Gcm256 => Flags(Flags::SEALED),
        }
    }
}

/// K_req: the key of one request and its answer (§5.3). Wiped on drop.
#[derive(Debug)]
pub enum RequestKey {
    /// For [`Suite::Hs256`], as midstates.
    Hs256(HmacKey),
    /// For [`Suite::Gcm256`].
    Gcm256(Secret),
}

impl RequestKey {
    /// `HMAC(SK_j, 03 ‖ u16 generation ‖ u48 counter)` (§5.3.1).
    #[must_use]
    #[inline]
    pub fn derive(suite: Suite, slot_key: &HmacKey, generation: u16, counter: u64) -> Self {
        let key = Secret::new(mvt_lanes::mac(slot_key, &request_key_input(generation, counter)));
        Self::new(suite, key)
    }

    /// A request key from its 32 bytes.
    #[must_use]
    pub fn new(suite: Suite, key: Secret) -> Self {
        match suite {
            Suite::Hs256 => Self::Hs256(HmacKey::new(key.expose())),
            Suite::Gcm256 => Self::Gcm256(key),
        }
    }

    /// The key, where it is.
    #[inline]
    pub(crate) const fn borrow(&self) -> KeyRef<'_> {
        match self {
            Self::Hs256(key) => KeyRef::Hs256(key),
            Self::Gcm256(key) => KeyRef::Gcm256(key),
        }
    }

    /// Seals `frame` = header ‖ payload ‖ 16 bytes for the tag, in place; `bound_to` is empty for a request and the
    /// request's tag for an answer (§4.4).
    #[inline]
    pub fn seal(&self, frame: &mut [u8], bound_to: &[u8]) {
        match self {
            Self::Hs256(key) => hs256::seal(key, frame, bound_to),
            Self::Gcm256(key) => gcm256::seal(key, frame, bound_to),
        }
    }

    /// Opens `frame` in place: on success its payload is plaintext.
    ///
    /// # Errors
    /// `BadTag`, also when the sealed flag is not this suite's (§4.2); the payload is then not to be used.
    #[inline]
    pub fn open(&self, frame: &mut [u8], bound_to: &[u8]) -> Result<(), Reject> {
        self.borrow().open(frame, bound_to)
    }

    /// Checks a VERDICTS `frame`: this is the key of its first entry, `request_tags` are those of all (§7.4).
    ///
    /// # Errors
    /// `BadTag`.
    pub fn open_joint(&self, frame: &[u8], request_tags: &[u8]) -> Result<(), Reject> {
        self.borrow().open_joint(frame, request_tags)
    }
}

/// A request key where it is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyRef<'k> {
    Hs256(&'k HmacKey),
    Gcm256(&'k Secret),
    Scheduled(&'k Scheduled),
}

impl KeyRef<'_> {
    /// As [`RequestKey::open`].
    #[inline]
    pub(crate) fn open(self, frame: &mut [u8], bound_to: &[u8]) -> Result<(), Reject> {
        let flag_fits = Flags(frame[3]).sealed() == !matches!(self, Self::Hs256(_));
        let tag_holds = match self {
            Self::Hs256(key) => hs256::open(key, frame, bound_to),
            Self::Gcm256(key) => gcm256::open(key, frame, bound_to),
            Self::Scheduled(key) => key.open(frame, bound_to),
        };
        if flag_fits & tag_holds { Ok(()) } else { Err(Reject::BadTag) }
    }

    /// As [`RequestKey::open_joint`].
    pub(crate) fn open_joint(self, frame: &[u8], request_tags: &[u8]) -> Result<(), Reject> {
        let tag_holds = match self {
            Self::Hs256(key) => hs256::open(key, frame, request_tags),
            Self::Gcm256(key) => Scheduled::new(key).open_joint(frame, request_tags),
            Self::Scheduled(key) => key.open_joint(frame, request_tags),
        };
        if tag_holds { Ok(()) } else { Err(Reject::BadTag) }
    }
}

/// The tag of a whole frame.
#[must_use]
#[inline]
pub fn tag_of(frame: &[u8]) -> Tag {
    frame[frame.len() - TAG_BYTES..].try_into().expect("a frame ends with its tag")
}

/// The payload of a whole frame.
#[must_use]
#[inline]
pub fn payload_of(frame: &[u8]) -> &[u8] {
    &frame[HEADER_BYTES..frame.len() - TAG_BYTES]
}
