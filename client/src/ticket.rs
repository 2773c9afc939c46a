//! A ticket as the client keeps it, with what it may be used for.

use mvt_proto::{Reject, Suite, resume::Kept};
use zeroize::Zeroizing;

/// The first byte of an export: where the session was made.
const MADE_ON_TCP: u8 = 0;
const MADE_INSIDE_QUIC: u8 = 1;

/// A ticket with its secret.
#[derive(Debug)]
pub(crate) struct Ticket {
    kept: Kept,
    is_of_quic: bool,
}

#[cfg_attr(
    not(any(feature = "blocking", feature = "quic")),
    expect(dead_code, reason = "used by the clients, of which there is none")
)]
impl Ticket {
    /// `is_of_quic`: whether its session was made inside QUIC.
    pub(crate) const fn new(kept: Kept, is_of_quic: bool) -> Self {
        Self { kept, is_of_quic }
    }

    /// What a RESUME is made of.
    pub(crate) const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Whether it may be used over such a connection: payloads that HS256 leaves readable, because QUIC encrypts them, are
    /// not to travel in the open (SPEC §12.4.3).
    pub(crate) fn serves(&self, over_quic: bool) -> bool {
        over_quic || !self.is_of_quic || self.kept.suite != Suite::Hs256
    }

    /// All of it, for a later run.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let kept = self.kept.to_bytes();
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + kept.len()));
        bytes.push(if self.is_of_quic { MADE_INSIDE_QUIC } else { MADE_ON_TCP });
        bytes.extend_from_slice(&kept);
        bytes
    }

    /// Reads what [`Ticket::to_bytes`] gave.
    ///
    /// # Errors
    /// `Field` for anything else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Reject> {
        let (made, kept) = bytes.split_first().ok_or(Reject::Field)?;
        let is_of_quic = match *made {
            MADE_ON_TCP => false,
            MADE_INSIDE_QUIC => true,
            _ => return Err(Reject::Field),
        };
        Ok(Self { kept: Kept::from_bytes(kept)?, is_of_quic })
    }
}

#[cfg(test)]
mod tests {
    use mvt_proto::secret::Secret;

    use super::*;

    fn ticket(suite: Suite, is_of_quic: bool) -> Ticket {
        let kept = Kept { ticket: [1; 117], resume_secret: Secret::new([2; 32]), suite };
        Ticket::new(kept, is_of_quic)
    }

    /// SPEC §12.4.3.
    #[test]
    fn a_readable_session_of_quic_is_not_resumed_in_the_open() {
        for (suite, is_of_quic, serves_tcp) in [
            (Suite::Hs256, true, false),
            (Suite::Hs256, false, true),
            (Suite::Gcm256, true, true),
            (Suite::Gcm256, false, true),
        ] {
            let ticket = Ticket::from_bytes(&ticket(suite, is_of_quic).to_bytes()).expect("an export");
            assert_eq!(ticket.serves(false), serves_tcp, "{suite:?} {is_of_quic}");
            assert!(ticket.serves(true));
        }
    }

    #[test]
    fn an_export_is_read_whole_or_not_at_all() {
        let bytes = ticket(Suite::Hs256, true).to_bytes();
        for end in 0..bytes.len() {
            assert!(Ticket::from_bytes(&bytes[..end]).is_err(), "{end}");
        }
        assert!(Ticket::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
        assert!(Ticket::from_bytes(&[&[2], &bytes[1..]].concat()).is_err());
    }
}
