//! `[tickets]`: what lets clients resume, and the keys behind it.

use std::path::PathBuf;

use mvt_proto::constants::TICKET_LIFE_MS;
use serde::Deserialize;

use super::value::{between, file};

/// `[tickets]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tickets {
    /// The ring of ticket keys; nodes that share it take each other's tickets.
    #[serde(deserialize_with = "file")]
    pub ring_file: PathBuf,
    /// Whether this node makes the ring when it is not there, and adds keys to it in time. Otherwise that is done by
    /// `rotate-ticket-key`, or on another node, and without a ring there are no tickets.
    pub rotate: bool,
    /// How long a key seals before the next one takes over, ms.
    #[serde(deserialize_with = "between::<_, _, 1000, 31_536_000_000>")]
    pub rotate_ms: u64,
    /// How long after it was made a key begins to seal: the time it takes to reach every node, ms.
    #[serde(deserialize_with = "between::<_, _, 0, 86_400_000>")]
    pub distribute_ms: u64,
    /// Life of a ticket, ms.
    #[serde(deserialize_with = "between::<_, _, 1000, 86_400_000>")]
    pub life_ms: u64,
    /// Whether clients may resume without a Diffie-Hellman: cheaper, and only as secret as the ticket.
    pub psk_alone: bool,
}

impl Default for Tickets {
    fn default() -> Self {
        Self {
            ring_file: "tickets.ring".into(),
            rotate: true,
            rotate_ms: 3_600_000,
            distribute_ms: 60_000,
            life_ms: TICKET_LIFE_MS,
            psk_alone: false,
        }
    }
}
