//! Keys of a generation (§5.1).

use super::{hkdf::extract, label::label32};

/// What a generation secret derives.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// GS_g itself.
    pub gs: [u8; 32],
    /// RT_g, salt of the next generation.
    pub rt: [u8; 32],
    /// RS_g, resume secret.
    pub rs: [u8; 32],
    /// CTLc_g, control key of the client.
    pub ctlc: [u8; 32],
    /// CTLs_g, control key of the server.
    pub ctls: [u8; 32],
    /// CK_0, first chain key of the slots.
    pub ck0: [u8; 32],
    /// CF_g, confirmation key.
    pub cf: [u8; 32],
}

/// `GS_0 = HKDF-Extract(salt = h, ikm = k1 ‖ k2)` (§10.3).
pub fn first_generation(h: &[u8; 32], k1: &[u8; 32], k2: &[u8; 32]) -> [u8; 32] {
    extract(h, &[k1.as_slice(), k2].concat())
}

/// The keys of one generation secret.
pub fn schedule(gs: [u8; 32], key_id: u64, generation: u16) -> Schedule {
    let c = [key_id.to_be_bytes().as_slice(), &generation.to_be_bytes()].concat();
    Schedule {
        gs,
        rt: label32(&gs, "ratchet", &c),
        rs: label32(&gs, "resume", &c),
        ctlc: label32(&gs, "ctl c2s", &c),
        ctls: label32(&gs, "ctl s2c", &c),
        ck0: label32(&gs, "request", &c),
        cf: label32(&gs, "confirm", &c),
    }
}
