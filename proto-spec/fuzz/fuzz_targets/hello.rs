//! A HELLO, as is and made to look like one: header, length and mac1 right, lists and Noise message arbitrary.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::{
    Suite,
    frame::hello::Hello,
    login::{Identity, Mac1, Responder},
    secret::Secret,
};

fn read(frame: &[u8]) {
    let server = Identity::new(Secret::new([0x51; 32]));
    let Ok(hello) = Hello::parse(frame) else { return };
    assert_eq!(hello.plain.len() + hello.noise.len() + 16, frame.len());
    assert!(hello.suites.len() <= 8);
    if let Ok(responder) = Responder::read(&server, hello, &[], Secret::new([0xe2; 32])) {
        let _ = responder.choose_suite(&[Suite::Gcm256]);
    }
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let mut frame = [0u8; 512];
    frame[..2].copy_from_slice(&510u16.to_be_bytes());
    (frame[2], frame[15]) = (0x18, 1);
    let count = bytes.len().min(512 - 28 - 16);
    frame[28..28 + count].copy_from_slice(&bytes[..count]);
    let server = Identity::new(Secret::new([0x51; 32]));
    let tag = Mac1::new(server.public()).tag(&frame[..496]);
    frame[496..].copy_from_slice(&tag);
    read(&frame);
});
