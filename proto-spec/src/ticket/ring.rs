//! The ring of ticket keys: which one seals, and which ones open (SPEC §12.1.3).

use alloc::vec::Vec;

use crate::{
    ClientId, Reject, Suite,
    constants::{AUTHENTICATION_MS, TICKET_NONCE_BYTES, U48_MAX},
    secret::Secret,
    ticket::{SealedTicket, Ticket, TicketKey, TicketKeyId, names_key},
};

/// Keys of one ring, at most.
pub const RINGED_KEYS_MAX: usize = 64;

/// Why a ring is refused (§12.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// A key is not 32 bytes, or all zero.
    #[error("a ticket key is 32 bytes that are not all zero")]
    Key,
    /// An id repeats.
    #[error("two ticket keys have one id")]
    Repeated,
    /// A key would open for no longer than until it seals, or beyond 48 bits.
    #[error("a ticket key must open for longer than until it seals")]
    Times,
    /// More than [`RINGED_KEYS_MAX`] keys.
    #[error("a ring holds at most {RINGED_KEYS_MAX} ticket keys")]
    TooMany,
}

/// A ticket key with its times, ms of server time.
#[derive(Debug)]
pub struct RingedKey {
    /// The key.
    pub key: TicketKey,
    /// From when on it seals.
    pub seal_from_ms: u64,
    /// Until when it opens, above `seal_from_ms`.
    pub open_until_ms: u64,
}

/// What a new ticket is to say beside its times.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The suite of the session.
    pub suite: Suite,
    /// Whose it is.
    pub client: ClientId,
    /// When the client last proved its identity, ms.
    pub authenticated_ms: u64,
    /// g of the secret sealed into it.
    pub generation: u16,
    /// Whether RESUME without a Diffie-Hellman is allowed.
    pub psk_alone: bool,
    /// How long it is to live at most, ms.
    pub life_ms: u64,
}

/// Ticket keys in the order of their sealing, the newest first; ids differ. May be empty: then there are no tickets.
#[derive(Debug, Default)]
pub struct TicketRing {
    keys: Vec<RingedKey>,
}

impl TicketRing {
    /// A ring of these keys.
    ///
    /// # Errors
    /// [`RingError`].
    pub fn new(mut keys: Vec<RingedKey>) -> Result<Self, RingError> {
        if keys.len() > RINGED_KEYS_MAX {
            return Err(RingError::TooMany);
        }
        if keys.iter().any(|key| key.open_until_ms <= key.seal_from_ms || key.open_until_ms > U48_MAX) {
            return Err(RingError::Times);
        }
        let repeats = |(index, key): (usize, &RingedKey)| {
            keys[..index].iter().any(|before| before.key.id() == key.key.id())
        };
        if keys.iter().enumerate().any(repeats) {
            return Err(RingError::Repeated);
        }
        keys.sort_by_key(|key| core::cmp::Reverse(key.seal_from_ms));
        Ok(Self { keys })
    }

    /// The keys, the newest first.
    #[must_use]
    pub fn keys(&self) -> &[RingedKey] {
        &self.keys
    }

    /// The keys again, the newest first.
    #[must_use]
    pub fn into_keys(self) -> Vec<RingedKey> {
        self.keys
    }

    /// The key that seals: the newest one whose time has come, if it still opens (§12.1.3).
    #[must_use]
    pub fn sealing(&self, now_ms: u64) -> Option<&RingedKey> {
        self.keys.iter().find(|key| key.seal_from_ms <= now_ms).filter(|key| now_ms < key.open_until_ms)
    }

    fn opening(&self, id: TicketKeyId, now_ms: u64) -> Option<&TicketKey> {
        let held = self.keys.iter().find(|key| key.key.id() == id)?;
        (now_ms < held.open_until_ms).then_some(&held.key)
    }

    /// Seals a ticket over `resume_secret`; `nonce` is 24 random bytes, used for this ticket only. `None` when no key seals
    /// now, or when the ticket would have expired already (§12.1.4).
    #[must_use]
    pub fn issue(
        &self,
        terms: &Terms,
        resume_secret: &Secret,
        nonce: &[u8; TICKET_NONCE_BYTES],
        now_ms: u64,
    ) -> Option<SealedTicket> {
        let ringed = self.sealing(now_ms)?;
        let expires_ms = ringed
            .open_until_ms
            .min(now_ms.saturating_add(terms.life_ms))
            .min(terms.authenticated_ms.saturating_add(AUTHENTICATION_MS));
        if expires_ms <= now_ms {
            return None;
        }
        let ticket = Ticket {
            suite: terms.suite,
            client: terms.client,
            resume_secret: Secret::new(*resume_secret.expose()),
            issued_ms: now_ms,
            expires_ms,
            authenticated_ms: terms.authenticated_ms,
            generation: terms.generation,
            psk_alone: terms.psk_alone,
        };
        Some(ticket.seal(&ringed.key, nonce))
    }

    /// Opens a ticket: at most one AEAD, of less than 128 bytes (§12.1.5).
    ///
    /// # Errors
    /// `Ticket`.
    pub fn open(&self, bytes: &SealedTicket, now_ms: u64) -> Result<Ticket, Reject> {
        let id = names_key(bytes).ok_or(Reject::Ticket)?;
        let key = self.opening(id, now_ms).ok_or(Reject::Ticket)?;
        Ticket::open(bytes, key, now_ms)
    }
}
