//! A RESUME, as is and made to look like one: header, length and mac1 right, the rest arbitrary.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::{
    frame::resume::Resume,
    login::{Identity, Mac1},
    resume::Opened,
    secret::Secret,
    ticket::{RingedKey, TicketKey, TicketRing},
};

fn read(frame: &[u8]) {
    let Ok(resume) = Resume::parse(frame) else { return };
    assert_eq!((frame.len(), resume.bound.len()), (512, 480));
    let key = TicketKey::new(&[0x4b; 32]).expect("a key");
    let ring = TicketRing::new(vec![RingedKey { key, seal_from_ms: 0, open_until_ms: 1 << 40 }]).expect("a ring");
    if let Ok(opened) = Opened::open(resume, &ring, 1 << 39) {
        let _ = opened.verify(&[]);
    }
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let Some((mode, bytes)) = bytes.split_first() else { return };
    let mut frame = [0u8; 512];
    frame[..2].copy_from_slice(&510u16.to_be_bytes());
    (frame[2], frame[15]) = (0x1b, 1 + (mode & 1));
    let count = bytes.len().min(512 - 28 - 16);
    frame[28..28 + count].copy_from_slice(&bytes[..count]);
    let server = Identity::new(Secret::new([0x51; 32]));
    let tag = Mac1::new(server.public()).tag(&frame[..496]);
    frame[496..].copy_from_slice(&tag);
    read(&frame);
});
