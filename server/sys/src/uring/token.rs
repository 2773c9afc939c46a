//! What `user_data` says: the operation, its place, and the generation of that place.

/// What an operation is for. One row each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Purpose {
    Accept = 1,
    Receive,
    Send,
    Shutdown,
    Close,
    Cancel,
    Bell,
    Tick,
    Readable,
    ReceivePackets,
    SendPackets,
}

impl Purpose {
    const ALL: [Self; 11] = [
        Self::Accept,
        Self::Receive,
        Self::Send,
        Self::Shutdown,
        Self::Close,
        Self::Cancel,
        Self::Bell,
        Self::Tick,
        Self::Readable,
        Self::ReceivePackets,
        Self::SendPackets,
    ];
}

/// Places a token can name: its index has 24 bits.
pub(super) const PLACES_MAX: u32 = 1 << 24;

/// purpose (8 bits) ‖ index (24 bits) ‖ generation (32 bits). A completion whose generation is not that of its place
/// any more is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) purpose: Purpose,
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl Token {
    pub(super) const fn new(purpose: Purpose, index: u32, generation: u32) -> Self {
        debug_assert!(index < PLACES_MAX);
        Self { purpose, index, generation }
    }

    pub(super) const fn to_bits(self) -> u64 {
        (self.purpose as u64) << 56 | (self.index as u64) << 32 | self.generation as u64
    }

    /// `None` for bits that no token has.
    pub(super) fn from_bits(bits: u64) -> Option<Self> {
        let purpose = *Purpose::ALL.get(((bits >> 56) as usize).wrapping_sub(1))?;
        let index = (bits >> 32) as u32 & (PLACES_MAX - 1);
        Some(Self { purpose, index, generation: bits as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_survives_user_data() {
        for purpose in Purpose::ALL {
            for (index, generation) in [(0, 0), (PLACES_MAX - 1, u32::MAX), (77, 1 << 31)] {
                let token = Token::new(purpose, index, generation);
                assert_eq!(Token::from_bits(token.to_bits()), Some(token));
            }
        }
        assert_eq!(Token::from_bits(0), None);
        assert_eq!(Token::from_bits(u64::MAX), None);
    }
}
