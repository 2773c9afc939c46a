//! Tickets: a session's resume secret, sealed to whoever holds the ticket key (SPEC §12.1).

mod ring;
mod text;

pub use ring::{RINGED_KEYS_MAX, RingError, RingedKey, Terms, TicketRing};
pub use text::{RingTextError, ring_from_text, ring_to_text};

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{AeadInOut, Nonce, Tag},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    ClientId, Reject, Suite,
    constants::{
        AUTHENTICATION_MS, KEY_BYTES, TAG_BYTES, TICKET_AHEAD_MS, TICKET_BYTES, TICKET_NONCE_BYTES,
        TICKET_PLAIN_BYTES,
    },
    frame::Reader,
    schedule::label,
    secret::Secret,
};

const VERSION: u8 = 1;
const POLICY_PSK_ALONE: u16 = 0x0001;
const SEALED_BYTES: usize = TICKET_BYTES - TICKET_PLAIN_BYTES - TAG_BYTES;

/// Names a ticket key: the first bytes of its hash.
pub type TicketKeyId = [u8; 4];

/// A ticket as the client keeps it: opaque.
pub type SealedTicket = [u8; TICKET_BYTES];

/// A key that seals tickets. Stolen, it lets its thief be any client that could resume with it.
#[derive(Debug)]
pub struct TicketKey {
    id: TicketKeyId,
    key: Secret,
}

impl TicketKey {
    /// From 32 random bytes.
    ///
    /// # Errors
    /// [`RingError::Key`] for all zero and for any other length (§12.1.2).
    pub fn new(bytes: &[u8]) -> Result<Self, RingError> {
        let bytes: Zeroizing<[u8; KEY_BYTES]> = Zeroizing::new(bytes.try_into().map_err(|_| RingError::Key)?);
        // In constant time: what a key begins with is not for the clock to tell.
        if bytes.ct_eq(&[0; KEY_BYTES]).into() {
            return Err(RingError::Key);
        }
        let digest = Sha256::new().chain_update(b"mvt1 ticket key").chain_update(&bytes[..]).finalize();
        let id = digest[..4].try_into().expect("4 of 32 bytes");
        Ok(Self { id, key: Secret::new(*bytes) })
    }

    /// Names this key.
    #[must_use]
    pub const fn id(&self) -> TicketKeyId {
        self.id
    }

    const fn key(&self) -> &Secret {
        &self.key
    }

    /// The cipher of the one ticket with these plain bytes: their nonce is fresh, so no key seals twice.
    fn cipher(&self, plain: &[u8]) -> Aes256Gcm {
        Aes256Gcm::new(label(&self.key, "ticket", plain).expose().into())
    }
}

/// What a ticket says.
#[derive(Debug)]
pub struct Ticket {
    /// The suite of the session it came from, and of the one it makes.
    pub suite: Suite,
    /// Whose it is.
    pub client: ClientId,
    /// RS_g.
    pub resume_secret: Secret,
    /// Server time at which it was sealed, ms.
    pub issued_ms: u64,
    /// From when on it is refused, ms.
    pub expires_ms: u64,
    /// When the client last proved its identity by login or recovery, ms.
    pub authenticated_ms: u64,
    /// g of RS_g.
    pub generation: u16,
    /// Whether RESUME without a Diffie-Hellman is allowed (§12.3.2).
    pub psk_alone: bool,
}

impl Ticket {
    /// Seals under `key`; `nonce` is 24 random bytes, used for this ticket only.
    #[must_use]
    pub fn seal(&self, key: &TicketKey, nonce: &[u8; TICKET_NONCE_BYTES]) -> SealedTicket {
        let mut bytes = [0; TICKET_BYTES];
        let (plain, rest) = bytes.split_at_mut(TICKET_PLAIN_BYTES);
        plain[0] = VERSION;
        plain[1..5].copy_from_slice(&key.id);
        plain[5..].copy_from_slice(nonce);
        let (sealed, tag) = rest.split_at_mut(SEALED_BYTES);
        let policy = if self.psk_alone { POLICY_PSK_ALONE } else { 0 };
        sealed[0..2].copy_from_slice(&(self.suite as u16).to_be_bytes());
        sealed[2..18].copy_from_slice(self.client.as_bytes());
        sealed[18..50].copy_from_slice(self.resume_secret.expose());
        sealed[50..56].copy_from_slice(&self.issued_ms.to_be_bytes()[2..]);
        sealed[56..62].copy_from_slice(&self.expires_ms.to_be_bytes()[2..]);
        sealed[62..68].copy_from_slice(&self.authenticated_ms.to_be_bytes()[2..]);
        sealed[68..70].copy_from_slice(&self.generation.to_be_bytes());
        sealed[70..72].copy_from_slice(&policy.to_be_bytes());
        let made = key
            .cipher(plain)
            .encrypt_inout_detached(&Nonce::<Aes256Gcm>::default(), plain, sealed.into())
            .expect("a ticket is far below GCM's bound");
        tag.copy_from_slice(&made);
        bytes
    }

    /// Opens under `key`, which the ticket names: the AEAD first, then the fields (§12.1.5).
    ///
    /// # Errors
    /// `Ticket`.
    pub fn open(bytes: &SealedTicket, key: &TicketKey, now_ms: u64) -> Result<Self, Reject> {
        let (plain, rest) = bytes.split_at(TICKET_PLAIN_BYTES);
        let (sealed, tag) = rest.split_at(SEALED_BYTES);
        let tag = Tag::<Aes256Gcm>::try_from(tag).map_err(|_| Reject::Ticket)?;
        let mut opened = Zeroizing::new([0u8; SEALED_BYTES]);
        opened.copy_from_slice(sealed);
        key.cipher(plain)
            .decrypt_inout_detached(&Nonce::<Aes256Gcm>::default(), plain, (&mut opened[..]).into(), &tag)
            .map_err(|_| Reject::Ticket)?;
        let ticket = Self::read(&opened[..]).ok_or(Reject::Ticket)?;
        let in_time = now_ms < ticket.expires_ms
            && ticket.issued_ms <= now_ms.saturating_add(TICKET_AHEAD_MS)
            // Whoever sealed it, no ticket prolongs an authentication (§12.1.4).
            && ticket.expires_ms <= ticket.authenticated_ms.saturating_add(AUTHENTICATION_MS);
        if in_time { Ok(ticket) } else { Err(Reject::Ticket) }
    }

    fn read(opened: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(opened);
        let suite = Suite::from_id(reader.uint(2).ok()? as u16)?;
        let client = ClientId::new(*reader.array().ok()?);
        let resume_secret = Secret::new(*reader.array().ok()?);
        let issued_ms = reader.uint(6).ok()?;
        let expires_ms = reader.uint(6).ok()?;
        let authenticated_ms = reader.uint(6).ok()?;
        let generation = reader.uint(2).ok()? as u16;
        let policy = reader.uint(2).ok()? as u16;
        reader.end().ok()?;
        (policy & !POLICY_PSK_ALONE == 0).then_some(Self {
            suite,
            client,
            resume_secret,
            issued_ms,
            expires_ms,
            authenticated_ms,
            generation,
            psk_alone: policy == POLICY_PSK_ALONE,
        })
    }
}

/// The version and the key id of a sealed ticket, which say whether it is worth an AEAD.
fn names_key(bytes: &SealedTicket) -> Option<TicketKeyId> {
    (bytes[0] == VERSION).then(|| bytes[1..5].try_into().expect("4 bytes"))
}
