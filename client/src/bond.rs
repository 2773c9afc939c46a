//! A session, with the ticket by which it can be resumed.

use mvt_proto::{
    Header, Kind,
    secret::Secret,
    session::{ClientSession, Told},
};

use crate::{Unknown, clock, entrance::random, ticket::Ticket};

/// The client's side of what ties it to the server.
#[derive(Debug)]
pub(crate) struct Bond {
    pub(crate) session: ClientSession,
    ticket: Option<Ticket>,
    /// The generation whose ticket it is; `None` for one of the session before (SPEC 12.4.2).
    ticket_generation: Option<u16>,
    /// Whether sessions are made inside QUIC.
    is_quic: bool,
}

impl Bond {
    /// A new session, and the ticket of the one before until this one is proved.
    pub(crate) const fn new(mut session: ClientSession, ticket: Option<Ticket>, is_quic: bool) -> Self {
        if is_quic {
            session.leave_at_once();
        }
        Self { session, ticket, ticket_generation: None, is_quic }
    }

    /// The ticket to resume by.
    pub(crate) const fn ticket(&self) -> Option<&Ticket> {
        self.ticket.as_ref()
    }

    /// A new session in place of this one; the ticket stays until that one is proved.
    pub(crate) fn replace(&mut self, mut session: ClientSession) {
        if self.is_quic {
            session.leave_at_once();
        }
        self.session = session;
        self.ticket_generation = None;
    }

    /// No server takes the ticket.
    pub(crate) fn forget_ticket(&mut self) {
        self.ticket = None;
    }

    /// An answer under the session's keys verified: what belonged to the one before is erased (SPEC 12.4.2).
    pub(crate) fn note_answer(&mut self) {
        if self.ticket_generation.is_none() {
            self.ticket = None;
        }
    }

    /// Takes in `frame` if it is a CTL of this session; what is to be sent back at once is appended to `out`. True when it meant
    /// something.
    ///
    /// # Errors
    /// The server broke the session's renewal: its keys are erased (SPEC 11.2.5).
    pub(crate) fn control(
        &mut self,
        header: &Header,
        frame: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, Unknown> {
        if header.kind != Kind::Ctl {
            return Ok(false);
        }
        let Ok(random) = random().map(Secret::new) else { return Ok(false) };
        match self.session.control(header, frame, random, clock::now_ms(), out) {
            Ok(Told::Broken) => Err(Unknown::KeyLost),
            Ok(Told::Ticket(kept)) => {
                // §11.1.3: that of the greatest generation.
                if self.ticket_generation.is_none_or(|generation| generation <= header.generation) {
                    self.ticket = Some(Ticket::new(kept, self.is_quic));
                    self.ticket_generation = Some(header.generation);
                }
                Ok(true)
            }
            Ok(Told::Renewed | Told::Nothing) => Ok(true),
            Err(_) => Ok(false),
        }
    }
}
