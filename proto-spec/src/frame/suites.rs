//! The list of suites a client offers, in a HELLO and in a RECOVER (SPEC §10.1, §13.2).

use alloc::vec::Vec;

use crate::{Reject, Suite, constants::HELLO_SUITES_MAX, frame::Reader};

/// Reads a list and keeps what is known here, in the client's order of preference (§10.1.4).
pub(super) fn take(reader: &mut Reader<'_>) -> Result<Vec<Suite>, Reject> {
    let count = reader.uint(1)? as usize;
    if !(1..=HELLO_SUITES_MAX).contains(&count) {
        return Err(Reject::Field);
    }
    let mut offered = Vec::with_capacity(count);
    for _ in 0..count {
        let id = reader.uint(2)? as u16;
        if offered.contains(&id) {
            return Err(Reject::Field);
        }
        offered.push(id);
    }
    Ok(offered.into_iter().filter_map(Suite::from_id).collect())
}

/// Appends a list.
pub(super) fn put(suites: &[u16], out: &mut Vec<u8>) {
    out.push(suites.len() as u8);
    suites.iter().for_each(|suite| out.extend_from_slice(&suite.to_be_bytes()));
}
