//! A connection with a session on it: which server, and by which way (SPEC §10, §12, §14).

use std::{io, net::SocketAddr};

use mvt_proto::{Header, Role, session::ClientSession};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    Config, Error, LoginError,
    entrance::{Entrance, Heard, Way},
    quic::{dial::dial, link::Link},
    ticket::Ticket,
};

/// What was established.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) link: Link,
    pub(super) session: ClientSession,
    /// It came from a ticket.
    pub(super) is_resumed: bool,
}

/// Tries the servers in their order: on each a RESUME, when there is a ticket and no server refused it yet, then a login.
pub(super) async fn establish(config: &Config, ticket: Option<&Ticket>) -> Result<Established, Error> {
    let deadline = Instant::now() + config.connect_timeout;
    let mut ticket = ticket.filter(|ticket| ticket.serves(config.is_quic()));
    let mut last = None;
    for (index, address) in config.addresses.iter().enumerate() {
        // One that is silent leaves time for the others.
        let left = deadline.saturating_duration_since(Instant::now());
        let by = Instant::now() + left / (config.addresses.len() - index) as u32;
        match establish_at(*address, config, &mut ticket, by).await {
            Ok(established) => return Ok(established),
            // A server that answers and does not let us in counts for more than one that is not there.
            Err(error @ Error::Login(_)) => last = Some(error),
            Err(error) => last = last.or(Some(error)),
        }
    }
    Err(last.unwrap_or(Error::Connect(io::ErrorKind::NotFound)))
}

async fn establish_at(
    address: SocketAddr,
    config: &Config,
    ticket: &mut Option<&Ticket>,
    by: Instant,
) -> Result<Established, Error> {
    let mut link = connect_at(address, config, by).await?;
    if let Some(kept) = ticket.map(Ticket::kept) {
        match enter(&mut link, config, Way::Resume(kept), by).await {
            Ok(session) => return Ok(Established { link, session, is_resumed: true }),
            // §12.3.3: refused by closing; what a server of the same ring refuses, the next one refuses too.
            Err(LoginError::Refused) => *ticket = None,
            Err(error @ (LoginError::TimedOut | LoginError::Busy)) => return Err(Error::Login(error)),
            Err(_) => {}
        }
        link = connect_at(address, config, by).await?;
    }
    let session = enter(&mut link, config, Way::Login, by).await?;
    Ok(Established { link, session, is_resumed: false })
}

/// A connection alone, to the first server that answers.
pub(super) async fn connect(config: &Config) -> Result<Link, Error> {
    let deadline = Instant::now() + config.connect_timeout;
    let mut last = Error::Connect(io::ErrorKind::NotFound);
    for address in &config.addresses {
        match connect_at(*address, config, deadline).await {
            Ok(link) => return Ok(link),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn connect_at(address: SocketAddr, config: &Config, by: Instant) -> Result<Link, Error> {
    let certificate = config.quic.as_ref().ok_or(Error::Connect(io::ErrorKind::InvalidInput))?;
    match timeout_at(by, dial(address, certificate)).await {
        Ok(dialed) => Ok(Link::new(dialed.map_err(|error| Error::Connect(error.kind()))?)),
        Err(_) => Err(Error::Connect(io::ErrorKind::TimedOut)),
    }
}

/// Asks for a session over the first stream of `link` by `deadline`, waiting as long as the server asks.
pub(super) async fn enter(
    link: &mut Link,
    config: &Config,
    way: Way<'_>,
    deadline: Instant,
) -> Result<ClientSession, LoginError> {
    let mut entrance = Entrance::new(config, way, &link.dialed.channel_binding)?;
    loop {
        let heard = timeout_at(deadline, ask(link, &mut entrance)).await;
        match heard.map_err(|_| LoginError::TimedOut)?? {
            Heard::Granted(mut session) => {
                // What is asked together is answered together where the server can.
                session.take_verdicts();
                return Ok(*session);
            }
            Heard::AskAgain(wait) if Instant::now() + wait < deadline => sleep(wait).await,
            Heard::AskAgain(_) | Heard::Nothing => return Err(LoginError::Busy),
        }
    }
}

/// Asks once; never [`Heard::Nothing`].
async fn ask(link: &mut Link, entrance: &mut Entrance<'_>) -> Result<Heard, LoginError> {
    let frame = entrance.ask()?;
    if link.send_by_stream(&frame).await.is_err() {
        return Err(link.why_ended());
    }
    loop {
        let Some(frame) = link.next_stream_frame().await else { return Err(link.why_ended()) };
        let header = Header::parse(&frame, Role::Client).map_err(LoginError::Answer)?;
        match entrance.hear(&header, &frame)? {
            Heard::Nothing => {}
            heard => return Ok(heard),
        }
    }
}
