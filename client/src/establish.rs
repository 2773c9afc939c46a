//! A connection with a session on it: which server, and by which way.

use std::{net::SocketAddr, thread, time::Instant};

use mvt_proto::session::ClientSession;

use crate::{
    Config, Error, LoginError,
    connection::{Connection, Ended},
    entrance::{Entrance, Heard, Way},
    ticket::Ticket,
};

impl From<Ended> for LoginError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::TimedOut => Self::TimedOut,
            Ended::Closed => Self::Refused,
            Ended::Io(kind) => Self::Io(kind),
            Ended::Protocol(reject) => Self::Answer(reject),
        }
    }
}

/// What was established.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) connection: Connection,
    pub(crate) session: ClientSession,
    /// It came from a ticket.
    pub(crate) is_resumed: bool,
}

/// Tries the servers in their order until `deadline`: on each a RESUME, when there is a ticket and no server refused it yet,
/// then a login.
pub(crate) fn establish(
    config: &Config,
    ticket: Option<&Ticket>,
    deadline: Instant,
) -> Result<Established, Error> {
    let mut ticket = ticket.filter(|ticket| ticket.serves(config.is_quic()));
    let mut last = None;
    for (index, address) in config.addresses.iter().enumerate() {
        // One that is silent leaves time for the others.
        let left = deadline.saturating_duration_since(Instant::now());
        let by = Instant::now() + left / (config.addresses.len() - index) as u32;
        match establish_at(address, config, &mut ticket, by) {
            Ok(established) => return Ok(established),
            // A server that answers and does not let us in counts for more than one that is not there.
            Err(error @ Error::Login(_)) => last = Some(error),
            Err(error) => last = last.or(Some(error)),
        }
    }
    Err(last.unwrap_or(Error::Connect(std::io::ErrorKind::NotFound)))
}

fn establish_at(
    address: &SocketAddr,
    config: &Config,
    ticket: &mut Option<&Ticket>,
    deadline: Instant,
) -> Result<Established, Error> {
    let address = std::slice::from_ref(address);
    let open = || Connection::open(config, address, deadline, None).map_err(Error::Connect);
    let mut connection = open()?;
    if let Some(kept) = ticket.map(Ticket::kept) {
        match enter(&mut connection, config, Way::Resume(kept), deadline) {
            Ok(session) => return Ok(Established { connection, session, is_resumed: true }),
            // §12.3.3: refused by closing; what a server of the same ring refuses, the next one refuses too.
            Err(LoginError::Refused) => *ticket = None,
            Err(error @ (LoginError::TimedOut | LoginError::Busy)) => return Err(Error::Login(error)),
            Err(_) => {}
        }
        connection = open()?;
    }
    let session = enter(&mut connection, config, Way::Login, deadline)?;
    Ok(Established { connection, session, is_resumed: false })
}

/// Asks for a session over `connection` by `deadline`, waiting as long as the server asks.
pub(crate) fn enter(
    connection: &mut Connection,
    config: &Config,
    way: Way<'_>,
    deadline: Instant,
) -> Result<ClientSession, LoginError> {
    let mut entrance = Entrance::new(config, way, connection.channel_binding())?;
    loop {
        connection.send(&entrance.ask()?, deadline)?;
        let wait = loop {
            let (header, frame) = connection.receive(deadline)?;
            match entrance.hear(&header, frame)? {
                Heard::Nothing => {}
                Heard::Granted(mut session) => {
                    // A pipeline is answered together where the server can.
                    session.take_verdicts();
                    return Ok(*session);
                }
                Heard::AskAgain(wait) => break wait,
            }
        };
        if Instant::now() + wait >= deadline {
            return Err(LoginError::Busy);
        }
        thread::sleep(wait);
    }
}
