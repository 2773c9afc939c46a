//! Rings of ticket keys, recovery kits and kept tickets: what is read is written back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::{
    recovery::RecoveryKit,
    resume::Kept,
    ticket::{ring_from_text, ring_to_text},
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(kept) = Kept::from_bytes(bytes) {
        assert_eq!(kept.to_bytes().as_slice(), bytes);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(ring) = ring_from_text(text) {
        let written = ring_to_text(ring.keys());
        let again = ring_from_text(&written).expect("what was written is read");
        assert_eq!(*ring_to_text(again.keys()), *written);
    }
    if let Ok(kit) = RecoveryKit::parse(text) {
        let written = kit.to_text();
        assert_eq!(*RecoveryKit::parse(&written).expect("what was written is read").to_text(), *written);
    }
});
