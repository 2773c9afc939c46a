//! An answer to a waiting request: nothing a fuzzer writes is believed, as is or under the request's own names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::{
    Header, Limits, Role, Suite,
    lost::LostKey,
    schedule::GenerationKeys,
    secret::Secret,
    session::{ClientSession, Granted},
};

fuzz_target!(|bytes: &[u8]| {
    for suite in [Suite::Hs256, Suite::Gcm256] {
        let mut session = ClientSession::new(
            Granted {
                key_id: 7,
                suite,
                limits: Limits::DEFAULT,
                server_time_ms: 1_700_000_000_000,
                keys: GenerationKeys::derive(Secret::new([0xcc; 32]), 7, 0),
                lost_key: LostKey::new([0x77; 16]),
            },
            5,
        );
        let mut request = Vec::new();
        let pending = session.seal_request(1, b"payload", 6, &mut request).expect("sealable");
        let mut named = bytes.to_vec();
        if named.len() >= 44 {
            named[4..14].copy_from_slice(&request[4..14]);
            named[16..28].copy_from_slice(&request[16..28]);
        }
        for frame in [&mut bytes.to_vec(), &mut named] {
            if let Ok(header) = Header::parse(frame, Role::Client) {
                assert!(session.open_answer(&pending, &header, frame, 7).is_err());
            }
        }
    }
});
