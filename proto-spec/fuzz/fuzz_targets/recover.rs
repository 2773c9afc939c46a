//! A RECOVER, as is and made to look like one: header, length and mac1 right, the rest arbitrary.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::{
    frame::recover::Recover,
    login::{Identity, Mac1},
    recovery::{RecoveryKey, Responder},
    secret::Secret,
};

fn read(frame: &[u8]) {
    let server = Identity::new(Secret::new([0x51; 32]));
    let Ok(recover) = Recover::parse(frame) else { return };
    assert_eq!(recover.plain.len() + 32 + recover.sealed.len() + 16, 512);
    let key = RecoveryKey::new(&Secret::new([0x77; 32]));
    assert!(Responder::read(&recover, &key, server.public(), &Secret::new([0x33; 32]), &[]).is_err());
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let mut frame = [0u8; 512];
    frame[..2].copy_from_slice(&510u16.to_be_bytes());
    (frame[2], frame[15]) = (0x1d, 1);
    let count = bytes.len().min(512 - 28 - 16);
    frame[28..28 + count].copy_from_slice(&bytes[..count]);
    let server = Identity::new(Secret::new([0x51; 32]));
    let tag = Mac1::new(server.public()).tag(&frame[..496]);
    frame[496..].copy_from_slice(&tag);
    read(&frame);
});
