//! Slot keys (§5.2, §5.3), each derived from the start of the chain.

use super::{hkdf::hmac, reject::Reject};

/// SK_j and CK_{j+1} of the chain that starts with `ck0`.
pub fn slot_keys(ck0: &[u8; 32], slot: u32) -> ([u8; 32], [u8; 32]) {
    let mut ck = *ck0;
    for _ in 0..slot {
        ck = hmac(&ck, &[&[2]]);
    }
    (hmac(&ck, &[&[1], &slot.to_be_bytes()]), hmac(&ck, &[&[2]]))
}

/// The slot a timestamp lies in; none before the origin.
pub fn slot_of(origin: u64, timestamp: u64) -> Result<u32, Reject> {
    let since = timestamp.checked_sub(origin).ok_or(Reject::NoSlot)?;
    Ok(u32::try_from(since / 65536).expect("a u48 is less than 2^32 slots"))
}

/// `K_req` (§5.3.1).
pub fn request_key(sk: &[u8; 32], generation: u16, counter: u64) -> [u8; 32] {
    hmac(sk, &[&[3], &generation.to_be_bytes(), &counter.to_be_bytes()[2..]])
}
