//! A ring of ticket keys as text: one key a line, `#` begins a comment line. Reading files is the caller's.

use alloc::{string::String, vec::Vec};
use core::fmt::Write;

use zeroize::Zeroizing;

use crate::{
    keyfile::{key_from_text, key_to_text},
    ticket::{RingError, RingedKey, TicketKey, TicketRing},
};

const NAME: &str = "mvt-ticket-key";
/// Bytes of one line, at most: the name, a key, two times of 48 bits.
const LINE_BYTES_MAX: usize = NAME.len() + 1 + 44 + 2 * 16 + 1;
const HEADING: &str = "# ticket key, seals from, opens until (ms since the epoch)\n";

/// Why a text is no ring. Lines count from 1. Never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingTextError {
    /// A line is not one of a key.
    #[error("line {0}: expected `mvt-ticket-key BASE64 SEALS-FROM-MS OPENS-UNTIL-MS`")]
    Line(usize),
    /// A key is not the base64 of 32 bytes, or all zero (§12.1.2).
    #[error("line {0}: expected the base64 of 32 bytes that are not all zero")]
    Key(usize),
    /// The keys do not make a ring.
    #[error("{0}")]
    Ring(#[from] RingError),
}

/// Reads the text of a ring.
///
/// # Errors
/// [`RingTextError`] with the line at fault.
pub fn ring_from_text(text: &str) -> Result<TicketRing, RingTextError> {
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(NAME), Some(key), Some(from), Some(until), None) =
            (words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            return Err(RingTextError::Line(number));
        };
        let bytes = Zeroizing::new(key_from_text(key).ok_or(RingTextError::Key(number))?);
        let key = TicketKey::new(&bytes[..]).map_err(|_| RingTextError::Key(number))?;
        let time = |text: &str| text.parse().map_err(|_| RingTextError::Line(number));
        keys.push(RingedKey { key, seal_from_ms: time(from)?, open_until_ms: time(until)? });
    }
    Ok(TicketRing::new(keys)?)
}

/// The text of a ring, the newest key first.
#[must_use]
pub fn ring_to_text(keys: &[RingedKey]) -> Zeroizing<String> {
    // As long as it can get: growing would leave copies of keys behind.
    let mut text = Zeroizing::new(String::with_capacity(HEADING.len() + keys.len() * LINE_BYTES_MAX));
    text.push_str(HEADING);
    for ringed in keys {
        let key = Zeroizing::new(key_to_text(ringed.key.key().expose()));
        writeln!(text, "{NAME} {} {} {}", *key, ringed.seal_from_ms, ringed.open_until_ms)
            .expect("a string takes any text");
    }
    text
}
