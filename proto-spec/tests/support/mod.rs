//! A client and a server that share nothing but bytes and virtual time.
#![allow(dead_code)] // each test binary uses its part

pub mod noise;
pub mod points;
pub mod renewing;
pub mod resumption;

use mvt_proto::{
    Header, Kind, Limits, Reject, Role, Suite,
    constants::{FRAME_BYTES_MIN, HEADER_BYTES, TAG_BYTES},
    frame::{grant::Grant, hello::Hello},
    login::{Admitted, Identity, Initiator, Mac1, Offer, Responder},
    lost::{LostKey, LostKeys},
    schedule::GenerationKeys,
    secret::Secret,
    session::{Answer, ClientSession, Exchange, Granted, Pending, Refused, ServerSession, Waiting},
    slot::{SlotKey, SlotKeys},
    suite::RequestKey,
};

/// Server time at which every pair logs in, ms.
pub const ORIGIN_MS: u64 = 1_700_000_000_000;
/// The client's monotonic clock at that moment, ms.
pub const CLIENT_ORIGIN_MS: u64 = 5_000;
/// One slot, ms.
pub const SLOT_MS: u64 = 1 << 16;
pub const KEY_ID: u64 = 0x0001_0203_0405_0607;
/// Limits that nothing in a model reaches.
pub const MODEL_LIMITS: Limits = Limits { replay_window_bits: 64, ..Limits::DEFAULT };
/// CK_0 of [`Pair::unequal`] and of [`sealed`].
pub const CHAIN: u8 = 0xcc;
pub const SUITES: [Suite; 2] = [Suite::Hs256, Suite::Gcm256];

pub fn secret(fill: u8) -> Secret {
    Secret::new([fill; 32])
}

pub fn server_identity() -> Identity {
    Identity::new(secret(0x51))
}

pub fn client_identity() -> Identity {
    Identity::new(secret(0xc1))
}

pub fn lost_keys() -> LostKeys {
    LostKeys::new(&secret(0x77), 0)
}

pub fn hello(suites: &[Suite]) -> (Initiator, [u8; 512]) {
    hello_with(suites, &[], 0xe1)
}

pub fn hello_with(suites: &[Suite], channel_binding: &[u8], ephemeral: u8) -> (Initiator, [u8; 512]) {
    let server = server_identity();
    let offer = Offer { server_public: server.public(), suites, login_id: 42, cookie: None, channel_binding };
    Initiator::start(&client_identity(), &offer, secret(ephemeral)).expect("a good server key")
}

/// An honest HELLO with this login id and cookie.
pub fn hello_with_cookie(login_id: u64, cookie: Option<[u8; 16]>) -> (Initiator, [u8; 512]) {
    let server = server_identity();
    let offer = Offer {
        server_public: server.public(),
        suites: &[Suite::Gcm256],
        login_id,
        cookie: cookie.as_ref(),
        channel_binding: &[],
    };
    Initiator::start(&client_identity(), &offer, secret(0xe1)).unwrap()
}

pub fn grant(suite: Suite, limits: Limits) -> Grant {
    let lost_key = lost_keys().lost_key(KEY_ID);
    Grant { key_id: KEY_ID, suite, server_time_ms: ORIGIN_MS, limits, lost_key }
}

pub fn read_hello(frame: &[u8]) -> Result<Responder, Reject> {
    read_hello_with(frame, &[], 0xe2)
}

pub fn read_hello_with(frame: &[u8], channel_binding: &[u8], ephemeral: u8) -> Result<Responder, Reject> {
    let server = server_identity();
    Mac1::new(server.public()).verify(frame)?;
    Responder::read(&server, Hello::parse(frame)?, channel_binding, secret(ephemeral))
}

/// The frame of `header` with this payload, sealed under CK_0 = [`CHAIN`] whatever a client would refuse to seal.
pub fn sealed(suite: Suite, header: &Header, payload: &[u8]) -> Vec<u8> {
    let slots = {
        let mut slots = SlotKeys::new(secret(CHAIN), ORIGIN_MS);
        slots.advance(header.timestamp);
        slots
    };
    let key = RequestKey::derive(suite, slots.key(&SlotKey::Current), header.generation, header.counter);
    let mut frame = header.to_bytes().to_vec();
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&[0; TAG_BYTES]);
    key.seal(&mut frame, &[]);
    frame
}

/// The header of a request without payload, `at_ms` after login.
pub fn request_header(suite: Suite, counter: u64, at_ms: u64) -> Header {
    Header {
        kind: Kind::Req,
        flags: suite.flags(),
        key_id: KEY_ID,
        generation: 0,
        op: 0,
        counter,
        timestamp: ORIGIN_MS + at_ms,
        payload_bytes: 0,
    }
}

/// The keys of a generation 0 whose CK_0 is `chain` repeated: for tests that seal by hand.
pub fn keys(key_id: u64, chain: u8) -> GenerationKeys {
    let mut keys = GenerationKeys::derive(secret(chain ^ 0xff), key_id, 0);
    keys.request_chain = secret(chain);
    keys
}

/// Both halves of a session, logged in at [`ORIGIN_MS`].
pub struct Pair {
    pub client: ClientSession,
    pub server: ServerSession,
}

impl Pair {
    pub fn new(suite: Suite, limits: Limits) -> Self {
        let (initiator, frame) = hello(&[suite]);
        let responder = read_hello(&frame).expect("an honest HELLO opens");
        assert_eq!(responder.client_public(), client_identity().public());
        let Admitted { answer, session } = responder.admit(&grant(suite, limits)).expect("admitted");
        let client = initiator.finish(&answer, CLIENT_ORIGIN_MS).expect("an honest HELLO_R opens");
        Self { client, server: session }
    }

    /// A pair with CK_0 = [`CHAIN`] whose halves hold different limits: a client that does not stop.
    pub fn unequal(suite: Suite, client: Limits, server: Limits) -> Self {
        let granted = Granted {
            key_id: KEY_ID,
            suite,
            limits: client,
            server_time_ms: ORIGIN_MS,
            keys: keys(KEY_ID, CHAIN),
            lost_key: lost_keys().lost_key(KEY_ID),
        };
        Self {
            client: ClientSession::new(granted, CLIENT_ORIGIN_MS),
            server: ServerSession::new(KEY_ID, suite, server, keys(KEY_ID, CHAIN), ORIGIN_MS),
        }
    }

    /// The session's first request, one ms after login: a session nobody used is forgotten.
    pub fn confirm(&mut self) {
        let (_, frame) = self.request(b"", 1);
        assert_eq!(self.verdict(&frame, 1), "accept");
    }

    /// A request sealed `at_ms` after login by the client's clock.
    pub fn request(&mut self, payload: &[u8], at_ms: u64) -> (Pending, Vec<u8>) {
        let mut frame = Vec::new();
        let pending =
            self.client.seal_request(7, payload, CLIENT_ORIGIN_MS + at_ms, &mut frame).expect("sealable");
        (pending, frame)
    }

    /// What the server says to `frame`, `at_ms` after login by its clock.
    pub fn serve(&mut self, frame: &mut [u8], at_ms: u64) -> Result<Exchange, Served> {
        let header = Header::parse(frame, Role::Server).map_err(Served::Unverified)?;
        let fresh = self.server.check(&header, ORIGIN_MS + at_ms);
        let authentic = self.server.open(fresh, frame).map_err(Served::Unverified)?;
        self.server.commit(authentic, ORIGIN_MS + at_ms).map_err(|refused| Served::Refused(Box::new(refused)))
    }

    /// The name of the verdict on `frame`: `accept` or a reject.
    pub fn verdict(&mut self, frame: &[u8], at_ms: u64) -> &'static str {
        match self.serve(&mut frame.to_vec(), at_ms) {
            Ok(_) => "accept",
            Err(Served::Unverified(reject)) => reject.name(),
            Err(Served::Refused(refused)) => refused.reject.name(),
        }
    }

    /// The frame that answers `frame`: an ERR when it is verified and refused, a RESP when it is executed.
    pub fn reply(&mut self, frame: &[u8], at_ms: u64) -> Vec<u8> {
        let mut answer = Vec::new();
        let now_ms = ORIGIN_MS + at_ms;
        match self.serve(&mut frame.to_vec(), at_ms) {
            Ok(exchange) => exchange.respond(0, b"done", now_ms, &mut answer),
            Err(Served::Refused(refused)) => {
                let reason = refused.reason();
                refused.exchange.refuse(reason, now_ms, &mut answer);
            }
            Err(Served::Unverified(reject)) => panic!("not verified: {reject}"),
        }
        answer
    }

    pub fn answer<'p, 'f>(
        &mut self,
        pending: impl Into<Waiting<'p>>,
        frame: &'f mut [u8],
        at_ms: u64,
    ) -> Result<Answer<'f>, Reject> {
        let header = Header::parse(frame, Role::Client)?;
        self.client.open_answer(pending, &header, frame, CLIENT_ORIGIN_MS + at_ms)
    }
}

/// Why a frame was not executed.
#[derive(Debug)]
pub enum Served {
    Unverified(Reject),
    Refused(Box<Refused>),
}

/// `frame` with one bit flipped.
pub fn flipped(frame: &[u8], bit: usize) -> Vec<u8> {
    let mut forged = frame.to_vec();
    forged[bit / 8] ^= 1 << (bit % 8);
    forged
}

/// The lost_key of the pair's session.
pub fn lost_key() -> LostKey {
    lost_keys().lost_key(KEY_ID)
}

const _: () = assert!(HEADER_BYTES + TAG_BYTES == FRAME_BYTES_MIN);
