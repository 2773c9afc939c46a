//! A connection with a session on it: which server, and by which way.

use std::{net::SocketAddr, time::Instant};

use mvt_proto::{resume::Kept, session::ClientSession};

use crate::{
    Config, Error, LoginError,
    connection::Connection,
    entrance::{Way, enter},
};

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
    kept: Option<&Kept>,
    deadline: Instant,
) -> Result<Established, Error> {
    let mut kept = kept;
    let mut last = None;
    for (index, address) in config.addresses.iter().enumerate() {
        // One that is silent leaves time for the others.
        let left = deadline.saturating_duration_since(Instant::now());
        let by = Instant::now() + left / (config.addresses.len() - index) as u32;
        match establish_at(address, config, &mut kept, by) {
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
    kept: &mut Option<&Kept>,
    deadline: Instant,
) -> Result<Established, Error> {
    let address = std::slice::from_ref(address);
    let open = || Connection::open(config, address, deadline, None).map_err(Error::Connect);
    let mut connection = open()?;
    if let Some(ticket) = *kept {
        match enter(&mut connection, config, Way::Resume(ticket), deadline) {
            Ok(session) => return Ok(Established { connection, session, is_resumed: true }),
            // §12.3.3: refused by closing; what a server of the same ring refuses, the next one refuses too.
            Err(LoginError::Refused) => *kept = None,
            Err(error @ (LoginError::TimedOut | LoginError::Busy)) => return Err(Error::Login(error)),
            Err(_) => {}
        }
        connection = open()?;
    }
    let session = enter(&mut connection, config, Way::Login, deadline)?;
    Ok(Established { connection, session, is_resumed: false })
}
