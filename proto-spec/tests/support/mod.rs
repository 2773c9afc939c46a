//! A client and a server that share nothing but bytes and virtual time.
#![allow(dead_code)] // each test binary uses its part

use mvt_proto::{
    Header, Limits, Reject, Role, Suite,
    frame::{grant::Grant, hello::Hello},
    login::{Admitted, Identity, Initiator, Mac1, Offer, Responder},
    lost::LostKeys,
    secret::Secret,
    session::{Answer, ClientSession, Exchange, Pending, Refused, ServerSession},
};

/// Server time at which every pair logs in, ms.
pub const ORIGIN_MS: u64 = 1_700_000_000_000;
/// The client's monotonic clock at that moment, ms.
pub const CLIENT_ORIGIN_MS: u64 = 5_000;
pub const KEY_ID: u64 = 0x0001_02_0304050607;

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
    let server = server_identity();
    let offer =
        Offer { server_public: server.public(), suites, login_id: 42, cookie: None, channel_binding: &[] };
    Initiator::start(&client_identity(), &offer, secret(0xe1)).expect("a good server key")
}

pub fn grant(suite: Suite, limits: Limits) -> Grant {
    let lost_key = lost_keys().lost_key(KEY_ID);
    Grant { key_id: KEY_ID, suite, server_time_ms: ORIGIN_MS, limits, lost_key, ticket: Vec::new() }
}

pub fn read_hello(frame: &[u8]) -> Result<Responder, Reject> {
    let server = server_identity();
    Mac1::new(server.public()).verify(frame)?;
    Responder::read(&server, Hello::parse(frame)?, &[], secret(0xe2))
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
        let Admitted { hello_r, session } = responder.admit(&grant(suite, limits)).expect("admitted");
        let client = initiator.finish(&hello_r, CLIENT_ORIGIN_MS).expect("an honest HELLO_R opens");
        Self { client, server: session }
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
        self.server.commit(authentic).map_err(Served::Refused)
    }

    /// The name of the verdict on `frame`: `accept` or a reject.
    pub fn verdict(&mut self, frame: &[u8], at_ms: u64) -> &'static str {
        match self.serve(&mut frame.to_vec(), at_ms) {
            Ok(_) => "accept",
            Err(Served::Unverified(reject)) => reject.name(),
            Err(Served::Refused(refused)) => refused.reject.name(),
        }
    }

    pub fn answer<'f>(
        &mut self,
        pending: &Pending,
        frame: &'f mut [u8],
        at_ms: u64,
    ) -> Result<Answer<'f>, Reject> {
        let header = Header::parse(frame, Role::Client)?;
        self.client.open_answer(pending, &header, frame, CLIENT_ORIGIN_MS + at_ms)
    }
}

#[derive(Debug)]
pub enum Served {
    Unverified(Reject),
    Refused(Refused),
}
