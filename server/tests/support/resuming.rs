//! A client of raw frames that resumes.

use mvt_proto::{
    Header, Kind, Role, Suite,
    frame::resume::Mode,
    resume::{Initiator, Kept, Offer},
    session::{ClientSession, Told},
};

use super::{Server, Wire, judge, quic, random, seal};

/// A connection of raw frames: TCP's, or a stream of QUIC.
pub trait Carrier {
    fn send(&mut self, bytes: &[u8]);
    /// The next frame, CTL or not; `None` when the server has closed.
    fn any_frame(&mut self) -> Option<Vec<u8>>;
    /// CTL frames that came between the others.
    fn controls(&mut self) -> &mut Vec<Vec<u8>>;

    /// The next frame that is no CTL.
    fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            let frame = self.any_frame()?;
            if frame[2] & 0x0f != Kind::Ctl as u8 {
                return Some(frame);
            }
            self.controls().push(frame);
        }
    }
}

impl Carrier for Wire {
    fn send(&mut self, bytes: &[u8]) {
        Self::send(self, bytes);
    }

    fn any_frame(&mut self) -> Option<Vec<u8>> {
        Self::any_frame(self)
    }

    fn controls(&mut self) -> &mut Vec<Vec<u8>> {
        &mut self.controls
    }
}

impl Carrier for quic::Stream<'_> {
    fn send(&mut self, bytes: &[u8]) {
        Self::send(self, bytes);
    }

    fn any_frame(&mut self) -> Option<Vec<u8>> {
        Self::any_frame(self)
    }

    fn controls(&mut self) -> &mut Vec<Vec<u8>> {
        &mut self.controls
    }
}

fn now_ms() -> u64 {
    mvt_sys::clock::boottime_ms()
}

/// Logs in, has one request answered and gives what is kept of the ticket that follows, with the frames sent.
pub fn with_ticket(server: &Server, suite: Suite) -> (Wire, ClientSession, Kept, Vec<Vec<u8>>) {
    let (mut wire, mut session) = server.login(suite);
    let (kept, sent) = use_first(&mut wire, &mut session);
    (wire, session, kept, sent)
}

/// Sends the first request of a session and gives its ticket, with the frame sent.
pub fn use_first(wire: &mut impl Carrier, session: &mut ClientSession) -> (Kept, Vec<Vec<u8>>) {
    let (pending, frame) = seal(session, b"first");
    wire.send(&frame);
    let mut answer = wire.frame().expect("an answer");
    assert!(judge(session, &pending, &mut answer).is_ok());
    let ticket = match wire.controls().pop() {
        Some(ticket) => ticket,
        None => wire.any_frame().expect("a TICKET"),
    };
    (take_ticket(session, ticket).expect("a ticket"), vec![frame])
}

/// What `frame`, a CTL, brings.
pub fn take_ticket(session: &mut ClientSession, mut frame: Vec<u8>) -> Option<Kept> {
    let header = Header::parse(&frame, Role::Client).expect("well formed");
    assert_eq!(header.kind, Kind::Ctl);
    match session.control(&header, &mut frame, random(), now_ms(), &mut Vec::new()) {
        Ok(Told::Ticket(kept)) => Some(kept),
        _ => None,
    }
}

pub fn resume_frame(
    server: &Server,
    kept: &Kept,
    mode: Mode,
    cookie: Option<&[u8; 16]>,
) -> (Initiator, [u8; 512]) {
    resume_frame_bound(server, kept, mode, cookie, &[])
}

pub fn resume_frame_bound(
    server: &Server,
    kept: &Kept,
    mode: Mode,
    cookie: Option<&[u8; 16]>,
    channel_binding: &[u8],
) -> (Initiator, [u8; 512]) {
    let offer = Offer { server_public: &server.public_key, mode, login_id: 9, cookie, channel_binding };
    Initiator::start(kept, &offer, &random(), random())
}

/// Resumes on a new connection; `None` when the server refuses.
pub fn resume(server: &Server, kept: &Kept, mode: Mode) -> Option<(Wire, ClientSession)> {
    let mut wire = server.connect();
    let session = resume_by(&mut wire, server, kept, mode, &[])?;
    Some((wire, session))
}

/// Resumes on this connection, bound to `channel_binding`; `None` when the server refuses.
pub fn resume_by(
    wire: &mut impl Carrier,
    server: &Server,
    kept: &Kept,
    mode: Mode,
    channel_binding: &[u8],
) -> Option<ClientSession> {
    let (initiator, frame) = resume_frame_bound(server, kept, mode, None, channel_binding);
    wire.send(&frame);
    let answer = wire.frame()?;
    assert!(answer.len() <= frame.len(), "no more bytes than received (SPEC §14.1)");
    Some(initiator.finish(&answer, now_ms()).expect("an honest RESUME_R"))
}

/// A copy of what is kept.
pub fn copy(kept: &Kept) -> Kept {
    Kept::from_bytes(&kept.to_bytes()).expect("a copy")
}
