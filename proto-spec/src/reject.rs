//! Why a frame was refused: a closed list (SPEC §15).

/// What the peer sees of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visible {
    /// The connection is closed without an answer.
    Close,
    /// A LOST frame, genuine or decoy (§9.1).
    Lost,
    /// An authenticated ERR with this status (§7.3).
    Err(ErrReason),
    /// A RETRY frame (§14).
    Retry,
    /// Nothing at all.
    Nothing,
}

/// The status of an ERR frame (§7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ErrReason {
    /// Out of time; the frame's timestamp is the server's time.
    Stale = 1,
    /// Counter already accepted, or below the window.
    Replay = 2,
    /// Counter at or above the hard limit of the generation.
    Limit = 3,
    /// Reserved.
    Renew = 4,
    /// Reserved.
    Revoked = 5,
    /// Counter above the last one of a generation that ended (§11.3.3).
    Expired = 6,
    /// A recovery is being recorded (§13.4.2).
    Pending = 7,
}

impl ErrReason {
    /// The reason of a status on the wire.
    #[must_use]
    pub fn from_status(status: u16) -> Option<Self> {
        Some(match status {
            1 => Self::Stale,
            2 => Self::Replay,
            3 => Self::Limit,
            4 => Self::Renew,
            5 => Self::Revoked,
            6 => Self::Expired,
            7 => Self::Pending,
            _ => return None,
        })
    }
}

macro_rules! rejects {
    ($($variant:ident, $name:literal, $visible:expr, $section:literal, $text:literal;)*) => {
        /// A refusal of the peer's bytes: a value, never an exception. One row of SPEC §15 each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum Reject {
            $(#[doc = $text] #[error($text)] $variant,)*
        }

        impl Reject {
            /// Every reason, in the order of SPEC §15.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name used by counters, reports and vectors.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What the peer sees.
            #[must_use]
            pub const fn visible(self) -> Visible {
                match self { $(Self::$variant => $visible),* }
            }

            /// The section of SPEC.md that refuses.
            #[must_use]
            pub const fn section(self) -> &'static str {
                match self { $(Self::$variant => $section),* }
            }
        }
    };
}

rejects! {
    Length, "length", Visible::Close, "3.2.1", "length field out of bounds";
    Version, "version", Visible::Close, "3.2.2", "version is not 1";
    Kind, "kind", Visible::Close, "3.2.3", "kind not assigned or not for this role";
    Flags, "flags", Visible::Close, "3.2.4", "flag not assigned or not of this kind";
    Field, "field", Visible::Close, "3.2.7", "a field that must be 0 is not, or an inner length is wrong";
    UnknownKey, "unknown_key", Visible::Lost, "9.1", "no session of this key id";
    NoSlot, "no_slot", Visible::Lost, "5.2.2", "generation or slot not held";
    BadTag, "bad_tag", Visible::Lost, "4.3", "tag or sealed flag wrong";
    Stale, "stale", Visible::Err(ErrReason::Stale), "6.3", "out of time";
    Replay, "replay", Visible::Err(ErrReason::Replay), "8.2", "counter accepted before";
    TooOld, "too_old", Visible::Err(ErrReason::Replay), "8.3", "counter below the window";
    Limit, "limit", Visible::Err(ErrReason::Limit), "7.2.3", "counter at or above the hard limit";
    Ended, "ended", Visible::Err(ErrReason::Expired), "11.3.3", "counter above the last of a draining generation";
    Pending, "pending", Visible::Err(ErrReason::Pending), "13.4.2", "recovery not yet recorded";
    Control, "control", Visible::Nothing, "11.1.1", "CTL does not open, or is not due";
    Mac1, "mac1", Visible::Close, "10.1.2", "HELLO without a valid mac1";
    Noise, "noise", Visible::Close, "10.3.3", "Noise message does not open";
    UnknownClient, "unknown_client", Visible::Close, "10.3.3", "public key not enrolled";
    NoSuite, "no_suite", Visible::Close, "10.1.3", "no suite in common";
    Ticket, "ticket", Visible::Close, "12.1.5", "ticket does not open, or is out of time";
    Binder, "binder", Visible::Close, "12.3.1", "binder wrong, or mode not allowed";
    Recovery, "recovery", Visible::Close, "13.2.2", "RECOVER does not open, or is over the client's limit";
    Revoked, "revoked", Visible::Close, "12.2.1", "client revoked";
    Busy, "busy", Visible::Retry, "14.4", "login queue full";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_table_of_the_spec() {
        let spec = include_str!("../SPEC.md");
        let table = spec.split("## 15 Reject reasons").nth(1).unwrap().split("## 16").next().unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| name"));
        let rows: alloc::vec::Vec<_> = rows.collect();
        assert_eq!(rows.len(), Reject::ALL.len());
        for (row, reject) in rows.iter().zip(Reject::ALL) {
            let cells: alloc::vec::Vec<_> = row.split('|').map(str::trim).collect();
            assert_eq!(cells[1], reject.name());
            assert_eq!(cells[4], reject.section(), "{}", reject.name());
        }
    }
}
