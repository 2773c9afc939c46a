//! Reject reasons (§15).

/// Why a frame was refused; each has the name §15 gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// Length field out of bounds.
    Length,
    /// Version not 1.
    Version,
    /// Kind not assigned or not for this role.
    Kind,
    /// Flag not assigned or not of this kind.
    Flags,
    /// A field that must be 0 is not, or an inner length is wrong.
    Field,
    /// No session of this key id.
    UnknownKey,
    /// Generation or slot not held.
    NoSlot,
    /// Tag or sealed flag wrong.
    BadTag,
    /// Out of time.
    Stale,
    /// Counter accepted before.
    Replay,
    /// Counter below the window.
    TooOld,
    /// Counter at or above the hard limit.
    Limit,
    /// HELLO without a valid mac1.
    Mac1,
    /// A Noise message that does not open.
    Noise,
    /// Public key not enrolled.
    UnknownClient,
    /// No suite in common.
    NoSuite,
    /// Counter above the last of a draining generation.
    Ended,
    /// A recovery that is not yet recorded.
    Pending,
    /// CTL that does not open, or is not due.
    Control,
    /// Ticket that does not open, or is out of time.
    Ticket,
    /// Binder wrong, or mode not allowed.
    Binder,
    /// RECOVER that does not open.
    Recovery,
    /// Client authenticated before its revocation.
    Revoked,
}

impl Reject {
    /// The name in §15.
    pub fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Version => "version",
            Self::Kind => "kind",
            Self::Flags => "flags",
            Self::Field => "field",
            Self::UnknownKey => "unknown_key",
            Self::NoSlot => "no_slot",
            Self::BadTag => "bad_tag",
            Self::Stale => "stale",
            Self::Replay => "replay",
            Self::TooOld => "too_old",
            Self::Limit => "limit",
            Self::Mac1 => "mac1",
            Self::Noise => "noise",
            Self::UnknownClient => "unknown_client",
            Self::NoSuite => "no_suite",
            Self::Ended => "ended",
            Self::Pending => "pending",
            Self::Control => "control",
            Self::Ticket => "ticket",
            Self::Binder => "binder",
            Self::Recovery => "recovery",
            Self::Revoked => "revoked",
        }
    }
}
