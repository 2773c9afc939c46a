//! A header that is read is written back byte for byte; nothing else is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::{
    Header, Role,
    framer::{Cut, cut},
};

fuzz_target!(|bytes: &[u8]| {
    for role in [Role::Client, Role::Server] {
        if let Ok(header) = Header::parse(bytes, role) {
            assert_eq!(header.to_bytes(), bytes[..28]);
            assert_eq!(header.frame_bytes(), bytes.len());
            assert_eq!(cut(bytes, role), Ok(Cut::Frame(bytes.len())));
        }
    }
});
