//! The answer to a HELLO: nothing a fuzzer writes is the server's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::{
    Suite,
    login::{Identity, Initiator, Offer},
    secret::Secret,
};

fn initiator() -> Initiator {
    let server = Identity::new(Secret::new([0x51; 32]));
    let offer = Offer {
        server_public: server.public(),
        suites: &[Suite::Gcm256],
        login_id: 0,
        cookie: None,
        channel_binding: &[],
    };
    let client = Identity::new(Secret::new([0xc1; 32]));
    Initiator::start(&client, &offer, Secret::new([0xe1; 32])).expect("a good key").0
}

fuzz_target!(|bytes: &[u8]| {
    assert!(initiator().finish(bytes, 0).is_err());
    let mut frame = vec![0u8; 28];
    frame.extend_from_slice(&bytes[..bytes.len().min(600)]);
    frame.resize(frame.len().max(44), 0);
    let length = frame.len() as u16 - 2;
    frame[..2].copy_from_slice(&length.to_be_bytes());
    frame[2] = 0x19;
    assert!(initiator().finish(&frame, 0).is_err());
});
