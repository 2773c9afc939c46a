//! A request to a server's session: nothing a fuzzer writes is verified, and nothing it writes changes the session.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::{
    Header, Kind, Limits, Role, Suite, lost::LostKeys, schedule::GenerationKeys, secret::Secret,
    session::ServerSession,
};

const ORIGIN_MS: u64 = 1_700_000_000_000;

fuzz_target!(|bytes: &[u8]| {
    let Ok(header) = Header::parse(bytes, Role::Server) else { return };
    if header.kind != Kind::Req {
        return;
    }
    for suite in [Suite::Hs256, Suite::Gcm256] {
        let keys = GenerationKeys::derive(Secret::new([0xcc; 32]), 7, 0);
        let mut session = ServerSession::new(7, suite, Limits::DEFAULT, keys, ORIGIN_MS);
        let fresh = session.check(&header, ORIGIN_MS + 5);
        assert!(session.open(fresh, &mut bytes.to_vec()).is_err());
        let unknown = session.check_unknown(&header);
        assert!(session.open(unknown, &mut bytes.to_vec()).is_err());
        assert!(!session.is_confirmed());
    }
    let keys = LostKeys::new(&Secret::new([0x77; 32]), 0);
    let (genuine, decoy) = (keys.answer(bytes, true), keys.answer(bytes, false));
    assert_eq!(genuine[..28], decoy[..28]);
    assert!(Header::parse(&genuine, Role::Client).is_ok());
});
