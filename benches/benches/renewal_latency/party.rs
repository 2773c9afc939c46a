//! A client and its session, at any point of its life.

use mvt_proto::{
    Header, Kind, Limits, Role, Suite,
    header::key_id,
    lost::LostKey,
    schedule::GenerationKeys,
    session::{Answer, ClientSession, Granted, Outstanding, ServerSession},
};

use crate::rig::{NODE_SLOT, secret};

/// 20 payload bytes: a frame of one cache line.
const PAYLOAD: [u8; 20] = *b"twenty payload bytes";

/// A client with what it waits for.
pub struct Party {
    session: ClientSession,
    outstanding: Outstanding<()>,
}

impl Party {
    /// Client and server in generation `generation`, which began at `origin_ms`.
    pub fn new(
        number: u64,
        suite: Suite,
        limits: Limits,
        (generation, origin_ms): (u16, u64),
    ) -> (Self, ServerSession) {
        let key_id = key_id(NODE_SLOT, 0, (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let keys = || GenerationKeys::derive(secret(number), key_id, generation);
        let granted = Granted {
            key_id,
            suite,
            limits,
            server_time_ms: origin_ms,
            keys: keys(),
            lost_key: LostKey::new([1; 16]),
        };
        let session = ClientSession::new(granted, origin_ms);
        let server = ServerSession::new(key_id, suite, limits, keys(), origin_ms);
        (Self { session, outstanding: Outstanding::default() }, server)
    }

    pub fn key_id(&self) -> u64 {
        self.session.key_id()
    }

    /// Appends a request to `out`.
    pub fn send(&mut self, now_ms: u64, out: &mut Vec<u8>) {
        let sealed = self.session.seal_request(7, &PAYLOAD, now_ms, out).expect("far from every hard limit");
        self.outstanding.push(&sealed, ());
    }

    /// Takes a frame of the server in; true when it is an answer. What is to be said at once is appended to `out`; `seed` is that of
    /// one call.
    pub fn take(&mut self, frame: &mut [u8], seed: u64, now_ms: u64, out: &mut Vec<u8>) -> bool {
        let header = Header::parse(frame, Role::Client).expect("well formed");
        if header.kind == Kind::Ctl {
            self.session.control(&header, frame, secret(seed), now_ms, out).expect("an honest CTL");
            return false;
        }
        let (pending, ()) = self.outstanding.get(header.generation, header.counter).expect("it waits");
        let answer = self.session.open_answer(pending, &header, frame, now_ms);
        assert!(matches!(answer, Ok(Answer::Response { .. })), "{answer:?}");
        self.outstanding.remove(header.generation, header.counter);
        true
    }
}
