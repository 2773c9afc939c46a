//! A login over a connection: HELLO, what RETRY asks for, HELLO_R (SPEC 10, 14).

use std::{
    thread,
    time::{Duration, Instant},
};

use mvt_proto::{
    Kind,
    constants::{COOKIE_BYTES, KEY_BYTES, U48_MAX},
    frame::retry::Retry,
    login::{Initiator, Offer},
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

/// What a server said to one HELLO.
enum Said {
    Granted(Box<ClientSession>),
    Retry(Retry),
}

/// Logs in by `deadline`, following at most one cookie and waiting as long as the server asks.
pub(crate) fn log_in(
    connection: &mut Connection,
    config: &Config,
    deadline: Instant,
) -> Result<ClientSession, LoginError> {
    let login_id = u64::from_be_bytes(random()?) & U48_MAX;
    let mut cookie = None;
    for _ in 0..HELLO_COUNT_MAX {
        match say_hello(connection, config, login_id, cookie.as_ref(), deadline)? {
            Said::Granted(session) => return Ok(*session),
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

fn say_hello(
    connection: &mut Connection,
    config: &Config,
    login_id: u64,
    cookie: Option<&[u8; COOKIE_BYTES]>,
    deadline: Instant,
) -> Result<Said, LoginError> {
    let offer = Offer {
        server_public: &config.server_public,
        suites: &config.suites,
        login_id,
        cookie,
        channel_binding: connection.channel_binding(),
    };
    let ephemeral = Secret::new(random::<KEY_BYTES>()?);
    let (initiator, hello) =
        Initiator::start(&config.identity, &offer, ephemeral).map_err(LoginError::Answer)?;
    connection.send(&hello, deadline)?;
    for _ in 0..STRAY_COUNT_MAX {
        let (header, frame) = connection.receive(deadline)?;
        match header.kind {
            Kind::HelloR if header.counter == login_id => {
                let session = initiator.finish(frame, clock::now_ms()).map_err(LoginError::Answer)?;
                return Ok(Said::Granted(Box::new(session)));
            }
            // One that does not verify is not from the server, or answers another HELLO.
            Kind::Retry => {
                if let Ok(retry) = initiator.retry(frame) {
                    return Ok(Said::Retry(retry));
                }
            }
            _ => {}
        }
    }
    Err(LoginError::Refused)
}

fn random<const N: usize>() -> Result<[u8; N], LoginError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| LoginError::Random)?;
    Ok(bytes)
}
