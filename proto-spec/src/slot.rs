//! Slots of time and their keys (SPEC §5.2).

use mvt_lanes::HmacKey;
use zeroize::Zeroize;

use crate::{Reject, constants::SLOT_BITS, schedule::hmac, secret::Secret};

/// Bytes of the input of a request key: `03 ‖ u16 generation ‖ u48 counter` (§5.3.1).
pub const REQUEST_KEY_INPUT_BYTES: usize = 9;

/// The input from which HMAC under a slot key makes K_req (§5.3.1).
#[must_use]
#[inline]
pub fn request_key_input(generation: u16, counter: u64) -> [u8; REQUEST_KEY_INPUT_BYTES] {
    // As one word: what copies it soon after reads eight bytes at once, and would wait for each that was stored alone.
    let word = 3 << 56 | u64::from(generation) << 40 | (counter >> 8 & 0xff_ffff_ffff);
    let mut input = [counter as u8; REQUEST_KEY_INPUT_BYTES];
    input[..8].copy_from_slice(&word.to_be_bytes());
    input
}

/// Which held key a timestamp selects.
#[derive(Debug)]
pub enum SlotKey {
    /// SK of the slot before the current one.
    Previous,
    /// SK of the current slot.
    Current,
    /// SK of the slot after it, derived for this frame only.
    Next(HmacKey),
}

/// Which held key a timestamp selects, without the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Previous,
    Current,
    Next,
}

impl Slot {
    /// Where slot `asked` stands beside the current slot `held` (§5.2.2).
    ///
    /// # Errors
    /// `NoSlot` when it is not previous, current or next.
    #[inline]
    pub(crate) const fn of(held: u32, asked: u32) -> Result<Self, Reject> {
        // In 64 bits, where the neighbours of the last slot do not wrap.
        let (held, asked) = (held as u64, asked as u64);
        if asked == held {
            Ok(Self::Current)
        } else if asked + 1 == held {
            Ok(Self::Previous)
        } else if asked == held + 1 {
            Ok(Self::Next)
        } else {
            Err(Reject::NoSlot)
        }
    }
}

/// SK of the current slot and of the one before it; all zero and unused where there was none before.
#[derive(Debug)]
pub(crate) struct HeldKeys {
    pub(crate) current: HmacKey,
    pub(crate) previous: HmacKey,
}

impl HeldKeys {
    /// The keys at slot 0; `chain` is CK_0 and becomes CK_1.
    pub(crate) fn new(chain: &mut Secret) -> Self {
        let current = step(chain, 0);
        Self { current, previous: HmacKey::blank() }
    }

    /// Moves to slot `index`, one past the current; `chain` is its CK and becomes the next one's.
    pub(crate) fn step(&mut self, chain: &mut Secret, index: u32) {
        self.previous = core::mem::replace(&mut self.current, step(chain, index));
    }
}

/// The slot keys of one generation at one receiver: previous, current, and the chain to the next.
///
/// Invariant: `chain` is CK of slot `index + 1`; no older CK exists any more. At slot 0 there is no previous key.
#[derive(Debug)]
pub struct SlotKeys {
    origin_ms: u64,
    index: u32,
    keys: HeldKeys,
    chain: Secret,
}

impl SlotKeys {
    /// Starts the chain at slot 0 with CK_0; `origin_ms` is T_g.
    #[must_use]
    pub fn new(mut chain: Secret, origin_ms: u64) -> Self {
        let keys = HeldKeys::new(&mut chain);
        Self { origin_ms, index: 0, keys, chain }
    }

    /// T_g on the server's timescale, ms.
    #[must_use]
    pub const fn origin_ms(&self) -> u64 {
        self.origin_ms
    }

    /// Moves the current slot to the one of `now_ms`, the holder's own clock, erasing what it passes
    /// (§5.2.1, §5.2.2). A clock before the current slot changes nothing.
    pub fn advance(&mut self, now_ms: u64) {
        let Ok(now_index) = slot_of(self.origin_ms, now_ms) else { return };
        while self.index < now_index {
            self.index += 1;
            self.keys.step(&mut self.chain, self.index);
        }
    }

    /// The held key for a frame's `timestamp` (§5.2.2). Changes nothing.
    ///
    /// # Errors
    /// `NoSlot` when its slot is not previous, current or next.
    #[inline]
    pub fn select(&self, timestamp: u64) -> Result<SlotKey, Reject> {
        let index = slot_of(self.origin_ms, timestamp)?;
        Ok(match Slot::of(self.index, index)? {
            Slot::Previous => SlotKey::Previous,
            Slot::Current => SlotKey::Current,
            Slot::Next => SlotKey::Next(slot_key(&self.chain, index)),
        })
    }

    /// The key of a timestamp in the previous or the current slot; the current one for any other.
    pub(crate) fn held_key(&self, timestamp: u64) -> &HmacKey {
        match slot_of(self.origin_ms, timestamp).and_then(|asked| Slot::of(self.index, asked)) {
            Ok(Slot::Previous) => &self.keys.previous,
            _ => &self.keys.current,
        }
    }

    /// The key `slot` stands for.
    #[must_use]
    #[inline]
    pub fn key<'a>(&'a self, slot: &'a SlotKey) -> &'a HmacKey {
        match slot {
            SlotKey::Previous if self.index > 0 => &self.keys.previous,
            SlotKey::Previous | SlotKey::Current => &self.keys.current,
            SlotKey::Next(key) => key,
        }
    }

    /// The first instant at which a key would have to be erased, for a sweep, ms.
    #[must_use]
    pub const fn next_slot_ms(&self) -> u64 {
        self.origin_ms + ((self.index as u64 + 1) << SLOT_BITS)
    }
}

/// `j = (t − T_g) >> 16` (§5.2).
///
/// # Errors
/// `NoSlot` for a time before the origin or beyond 2^32 slots.
#[inline]
pub fn slot_of(origin_ms: u64, timestamp: u64) -> Result<u32, Reject> {
    let age = timestamp.checked_sub(origin_ms).ok_or(Reject::NoSlot)?;
    u32::try_from(age >> SLOT_BITS).map_err(|_| Reject::NoSlot)
}

/// SK_j of CK_j, which becomes CK_{j+1} (§5.2).
fn step(chain: &mut Secret, index: u32) -> HmacKey {
    let key = slot_key(chain, index);
    *chain = Secret::new(hmac(chain.expose(), &[&[2]]));
    key
}

/// SK_j of CK_j (§5.2).
pub(crate) fn slot_key(chain: &Secret, index: u32) -> HmacKey {
    let mut bytes = hmac(chain.expose(), &[&[1], &index.to_be_bytes()]);
    let key = HmacKey::new(&bytes);
    bytes.zeroize();
    key
}
