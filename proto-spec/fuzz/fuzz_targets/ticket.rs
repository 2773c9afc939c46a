//! A ticket, as is and with the version and the id of a key that is held: nothing a fuzzer writes was sealed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::ticket::{RingedKey, SealedTicket, TicketKey, TicketRing};

fuzz_target!(|bytes: &[u8]| {
    let key = TicketKey::new(&[0x4b; 32]).expect("a key");
    let id = key.id();
    let ring = TicketRing::new(vec![RingedKey { key, seal_from_ms: 0, open_until_ms: 1 << 40 }]).expect("a ring");
    let mut ticket: SealedTicket = [0; 117];
    let count = bytes.len().min(117);
    ticket[..count].copy_from_slice(&bytes[..count]);
    assert!(ring.open(&ticket, 1 << 39).is_err());
    ticket[0] = 1;
    ticket[1..5].copy_from_slice(&id);
    assert!(ring.open(&ticket, 1 << 39).is_err());
});
