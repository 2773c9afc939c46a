//! Ways to a session over a connection: HELLO, RESUME or RECOVER, what RETRY asks for, the answer (SPEC 10, 12 to 14).

use std::{
    thread,
    time::{Duration, Instant},
};

use mvt_proto::{
    Header, Kind, Reject,
    constants::{COOKIE_BYTES, KEY_BYTES, U48_MAX},
    frame::{resume::Mode, retry::Retry},
    login,
    recovery::{self, RecoveryKit},
    resume::{self, Kept},
    secret::Secret,
    session::ClientSession,
};

use crate::{
    Config, LoginError, clock,
    config::HELLO_COUNT_MAX,
    connection::{Connection, Ended},
};

/// Frames that are no answer to the login, at most, before it is given up.
const STRAY_COUNT_MAX: u32 = 64;

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

/// By what a client asks for a session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way<'a> {
    /// Its static key.
    Login,
    /// A ticket. What is kept stays with the caller until a request was answered (SPEC 12.4.2).
    Resume(&'a Kept),
    /// Its recovery secret; the identity of the configuration is the new one.
    Recover(&'a RecoveryKit),
}

/// What a server said to one frame.
enum Said {
    Granted(Box<ClientSession>),
    Retry(Retry),
}

/// A frame that was sent and not answered yet.
enum Asked {
    Login(Box<login::Initiator>),
    Resume(resume::Initiator),
    Recover(recovery::Initiator),
}

impl Asked {
    fn login_id(&self) -> u64 {
        match self {
            Self::Login(asked) => asked.login_id(),
            Self::Resume(asked) => asked.login_id(),
            Self::Recover(asked) => asked.login_id(),
        }
    }

    fn retry(&self, frame: &[u8]) -> Result<Retry, Reject> {
        match self {
            Self::Login(asked) => asked.retry(frame),
            Self::Resume(asked) => asked.retry(frame),
            Self::Recover(asked) => asked.retry(frame),
        }
    }

    /// Whether `header` is that of the answer.
    fn is_answered_by(&self, header: &Header) -> bool {
        let kind = match self {
            Self::Login(_) => Kind::HelloR,
            Self::Resume(_) => Kind::ResumeR,
            Self::Recover(_) => Kind::RecoverR,
        };
        header.kind == kind && header.counter == self.login_id()
    }

    fn finish(self, frame: &[u8]) -> Result<ClientSession, Reject> {
        let now_ms = clock::now_ms();
        match self {
            Self::Login(asked) => asked.finish(frame, now_ms),
            Self::Resume(asked) => asked.finish(frame, now_ms),
            Self::Recover(asked) => asked.finish(frame, now_ms),
        }
    }
}

/// Asks for a session by `deadline`, following at most one cookie (SPEC 14.3) and waiting as long as the server asks.
pub(crate) fn enter(
    connection: &mut Connection,
    config: &Config,
    way: Way<'_>,
    deadline: Instant,
) -> Result<ClientSession, LoginError> {
    let login_id = u64::from_be_bytes(random()?) & U48_MAX;
    let mut cookie = None;
    for _ in 0..HELLO_COUNT_MAX {
        let (asked, frame) = ask(connection, config, way, login_id, cookie.as_ref())?;
        connection.send(&frame, deadline)?;
        match listen(connection, asked, deadline)? {
            Said::Granted(mut session) => {
                // A pipeline is answered together where the server can.
                session.take_verdicts();
                return Ok(*session);
            }
            Said::Retry(Retry::Cookie(_)) if cookie.is_some() => return Err(LoginError::SecondCookie),
            Said::Retry(Retry::Cookie(given)) => cookie = Some(given),
            Said::Retry(Retry::Busy(wait_ms)) => {
                let wait = Duration::from_millis(wait_ms.into());
                if Instant::now() + wait >= deadline {
                    return Err(LoginError::Busy);
                }
                thread::sleep(wait);
            }
        }
    }
    Err(LoginError::Busy)
}

/// The frame that asks.
fn ask(
    connection: &Connection,
    config: &Config,
    way: Way<'_>,
    login_id: u64,
    cookie: Option<&[u8; COOKIE_BYTES]>,
) -> Result<(Asked, [u8; 512]), LoginError> {
    let (server_public, suites) = (&config.server_public, &config.suites);
    let channel_binding = connection.channel_binding();
    let ephemeral = Secret::new(random::<KEY_BYTES>()?);
    let other = Secret::new(random::<KEY_BYTES>()?);
    Ok(match way {
        Way::Login => {
            let offer = login::Offer { server_public, suites, login_id, cookie, channel_binding };
            let (asked, frame) =
                login::Initiator::start(&config.identity, &offer, ephemeral).map_err(LoginError::Answer)?;
            (Asked::Login(Box::new(asked)), frame)
        }
        Way::Resume(kept) => {
            let mode = if config.is_psk_alone { Mode::PskAlone } else { Mode::DiffieHellman };
            let offer = resume::Offer { server_public, mode, login_id, cookie, channel_binding };
            let (asked, frame) = resume::Initiator::start(kept, &offer, &other, ephemeral);
            (Asked::Resume(asked), frame)
        }
        Way::Recover(kit) => {
            let new_identity = &config.identity;
            let offer = recovery::Offer { new_identity, suites, login_id, cookie, channel_binding };
            let (asked, frame) =
                recovery::Initiator::start(kit, &offer, &other, ephemeral).map_err(LoginError::Answer)?;
            (Asked::Recover(asked), frame)
        }
    })
}

fn listen(connection: &mut Connection, asked: Asked, deadline: Instant) -> Result<Said, LoginError> {
    for _ in 0..STRAY_COUNT_MAX {
        let (header, frame) = connection.receive(deadline)?;
        if asked.is_answered_by(&header) {
            let session = asked.finish(frame).map_err(LoginError::Answer)?;
            return Ok(Said::Granted(Box::new(session)));
        }
        // One that does not verify is not from the server, or answers another frame.
        if header.kind == Kind::Retry
            && let Ok(retry) = asked.retry(frame)
        {
            return Ok(Said::Retry(retry));
        }
    }
    Err(LoginError::Refused)
}

/// Bytes from the system, for secrets and names.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], LoginError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| LoginError::Random)?;
    Ok(bytes)
}
