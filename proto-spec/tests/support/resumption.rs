//! A client that resumes, and a server that holds the ring.

use mvt_proto::{
    ClientId, Limits, Reject, Suite,
    frame::resume::{Mode, Resume},
    login::{Admitted, Mac1},
    resume::{Initiator, Kept, Offer, Opened},
    ticket::{RingedKey, Terms, TicketKey, TicketRing},
};

use super::{KEY_ID, ORIGIN_MS, grant, secret, server_identity};

pub const MODES: [Mode; 2] = [Mode::DiffieHellman, Mode::PskAlone];

pub fn ring() -> TicketRing {
    let key = TicketKey::new(&[0x4b; 32]).expect("a key");
    TicketRing::new(vec![RingedKey { key, seal_from_ms: 0, open_until_ms: ORIGIN_MS + 90_000_000 }])
        .expect("a ring")
}

/// What a client of `suite` keeps; the ticket allows RESUME without a Diffie-Hellman.
pub fn kept(suite: Suite) -> Kept {
    let terms = Terms {
        suite,
        client: ClientId::of_name("alice"),
        authenticated_ms: ORIGIN_MS,
        generation: 0,
        psk_alone: true,
        life_ms: 3_600_000,
    };
    let ticket = ring().issue(&terms, &secret(0x25), &[4; 24], ORIGIN_MS).expect("sealed");
    Kept { ticket, resume_secret: secret(0x25), suite }
}

/// What a RESUME says beside the ticket.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    pub mode: Mode,
    pub login_id: u64,
    pub cookie: Option<&'a [u8; 16]>,
    pub channel_binding: &'a [u8],
    pub random: u8,
}

impl Said<'_> {
    pub fn plainly(mode: Mode) -> Self {
        Self { mode, login_id: 42, cookie: None, channel_binding: &[], random: 0xe1 }
    }
}

pub fn resume(kept: &Kept, said: Said<'_>) -> (Initiator, [u8; 512]) {
    let server = server_identity();
    let Said { mode, login_id, cookie, channel_binding, random } = said;
    let offer = Offer { server_public: server.public(), mode, login_id, cookie, channel_binding };
    Initiator::start(kept, &offer, &secret(random ^ 0x0f), secret(random))
}

/// What the server makes of `frame`.
pub fn admit(frame: &[u8]) -> Result<Admitted, Reject> {
    admit_with(frame, &ring(), &[], 0xe2)
}

pub fn admit_with(
    frame: &[u8],
    ring: &TicketRing,
    channel_binding: &[u8],
    random: u8,
) -> Result<Admitted, Reject> {
    Mac1::new(server_identity().public()).verify(frame)?;
    let opened = Opened::open(Resume::parse(frame)?, ring, ORIGIN_MS)?;
    let responder = opened.verify(channel_binding)?;
    let terms = grant(responder.ticket().suite, Limits::DEFAULT);
    assert_eq!(terms.key_id, KEY_ID);
    responder.admit(&terms, &secret(random ^ 0x0f), &secret(random))
}
