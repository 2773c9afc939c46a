//! A login over the first stream of a connection: HELLO, what RETRY asks for, HELLO_R (SPEC §10, §14).

use std::time::Duration;

use mvt_proto::{
    Kind,
    constants::{COOKIE_BYTES, KEY_BYTES, U48_MAX},
    frame::retry::Retry,
    login::{Initiator, Offer},
    secret::Secret,
    session::ClientSession,
};
use tokio::time::{Instant, sleep};

use crate::{Config, LoginError, clock, config::HELLO_COUNT_MAX, quic::link::Link};

/// Frames that are no answer to the login, at most, before it is given up.
const STRAY_COUNT_MAX: u32 = 64;

enum Said {
    Granted(Box<ClientSession>),
    Retry(Retry),
}

/// Logs in by `deadline`, following at most one cookie (§14.3) and waiting as long as the server asks.
pub(super) async fn log_in(
    link: &mut Link,
    config: &Config,
    deadline: Instant,
) -> Result<ClientSession, LoginError> {
    let login_id = u64::from_be_bytes(random()?) & U48_MAX;
    let mut cookie = None;
    for _ in 0..HELLO_COUNT_MAX {
        let said =
            tokio::time::timeout_at(deadline, say_hello(link, config, login_id, cookie.as_ref())).await;
        match said.map_err(|_| LoginError::TimedOut)?? {
            Said::Granted(session) => return Ok(*session),
            Said::Retry(Retry::Cookie(_)) if cookie.is_some() => return Err(LoginError::SecondCookie),
            Said::Retry(Retry::Cookie(given)) => cookie = Some(given),
            Said::Retry(Retry::Busy(wait_ms)) => {
                let wait = Duration::from_millis(wait_ms.into());
                if Instant::now() + wait >= deadline {
                    return Err(LoginError::Busy);
                }
                sleep(wait).await;
            }
        }
    }
    Err(LoginError::Busy)
}

async fn say_hello(
    link: &mut Link,
    config: &Config,
    login_id: u64,
    cookie: Option<&[u8; COOKIE_BYTES]>,
) -> Result<Said, LoginError> {
    let offer = Offer {
        server_public: &config.server_public,
        suites: &config.suites,
        login_id,
        cookie,
        channel_binding: &link.dialed.channel_binding,
    };
    let ephemeral = Secret::new(random::<KEY_BYTES>()?);
    let (initiator, hello) =
        Initiator::start(&config.identity, &offer, ephemeral).map_err(LoginError::Answer)?;
    link.send_by_stream(&hello).await.map_err(|_| LoginError::Refused)?;
    for _ in 0..STRAY_COUNT_MAX {
        let frame = link.next_stream_frame().await.ok_or(LoginError::Refused)?;
        let header = mvt_proto::Header::parse(&frame, mvt_proto::Role::Client).map_err(LoginError::Answer)?;
        match header.kind {
            Kind::HelloR if header.counter == login_id => {
                let session = initiator.finish(&frame, clock::now_ms()).map_err(LoginError::Answer)?;
                return Ok(Said::Granted(Box::new(session)));
            }
            // One that does not verify is not from the server, or answers another HELLO.
            Kind::Retry => {
                if let Ok(retry) = initiator.retry(&frame) {
                    return Ok(Said::Retry(retry));
                }
            }
            _ => {}
        }
    }
    Err(LoginError::Refused)
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], LoginError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| LoginError::Random)?;
    Ok(bytes)
}
