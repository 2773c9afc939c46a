//! The answer to a RESUME of either mode and to a RECOVER: nothing a fuzzer writes is the server's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::{
    Suite,
    frame::resume::Mode,
    login::Identity,
    recovery::{self, RecoveryKey, RecoveryKit},
    resume::{self, Kept},
    secret::Secret,
};

fn secret(fill: u8) -> Secret {
    Secret::new([fill; 32])
}

fn resuming(mode: Mode) -> resume::Initiator {
    let server = Identity::new(secret(0x51));
    let kept = Kept { ticket: [7; 117], resume_secret: secret(0x25), suite: Suite::Gcm256 };
    let offer = resume::Offer {
        server_public: server.public(),
        mode,
        login_id: 0,
        cookie: None,
        channel_binding: &[],
    };
    resume::Initiator::start(&kept, &offer, &secret(1), secret(2)).0
}

fn recovering() -> recovery::Initiator {
    let kit = RecoveryKit {
        name: "a".into(),
        recovery_secret: secret(0x33),
        server_public: *Identity::new(secret(0x51)).public(),
        recovery_public: *RecoveryKey::new(&secret(0x77)).public(),
    };
    let offer = recovery::Offer {
        new_identity: &Identity::new(secret(0xc2)),
        suites: &[Suite::Gcm256],
        login_id: 0,
        cookie: None,
        channel_binding: &[],
    };
    recovery::Initiator::start(&kit, &offer, &secret(1), secret(2)).expect("good keys").0
}

fn finish(kind: u8, frame: &[u8]) {
    let refused = match kind {
        0x1c => [Mode::DiffieHellman, Mode::PskAlone].into_iter().all(|mode| resuming(mode).finish(frame, 0).is_err()),
        _ => recovering().finish(frame, 0).is_err(),
    };
    assert!(refused);
}

fuzz_target!(|bytes: &[u8]| {
    for kind in [0x1c, 0x1e] {
        finish(kind, bytes);
        let mut frame = vec![0u8; 28];
        frame.extend_from_slice(&bytes[..bytes.len().min(600)]);
        frame.resize(frame.len().max(44), 0);
        let length = frame.len() as u16 - 2;
        frame[..2].copy_from_slice(&length.to_be_bytes());
        frame[2] = kind;
        finish(kind, &frame);
    }
});
