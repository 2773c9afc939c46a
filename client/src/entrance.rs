//! Ways to a session, without I/O: HELLO, RESUME or RECOVER, what RETRY asks for, the answer (SPEC 10, 12 to 14).

use std::time::Duration;

use mvt_proto::{
    Header, Kind, Reject,
    constants::{COOKIE_BYTES, KEY_BYTES, LOGIN_BYTES, U48_MAX},
    frame::{resume::Mode, retry::Retry},
    login,
    recovery::{self, RecoveryKit},
    resume::{self, Kept},
    secret::Secret,
    session::ClientSession,
};

use crate::{Config, LoginError, clock, config::HELLO_COUNT_MAX};

/// Frames that are no answer to the one that asks, at most, before it is given up.
const STRAY_COUNT_MAX: u32 = 64;

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

/// A frame that was sent and not answered yet.
#[derive(Debug)]
enum Asked {
    Login(Box<login::Initiator>),
    Resume(Box<resume::Initiator>),
    Recover(Box<recovery::Initiator>),
}

impl Asked {
    fn retry(&self, frame: &[u8]) -> Result<Retry, Reject> {
        match self {
            Self::Login(asked) => asked.retry(frame),
            Self::Resume(asked) => asked.retry(frame),
            Self::Recover(asked) => asked.retry(frame),
        }
    }

    /// The kind of the answer.
    const fn answer(&self) -> Kind {
        match self {
            Self::Login(_) => Kind::HelloR,
            Self::Resume(_) => Kind::ResumeR,
            Self::Recover(_) => Kind::RecoverR,
        }
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

/// What a frame of the server meant.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Nothing: the answer is still to come.
    Nothing,
    Granted(Box<ClientSession>),
    /// To be asked again, after this long.
    AskAgain(Duration),
}

/// One attempt at a session, over one connection.
#[derive(Debug)]
pub(crate) struct Entrance<'a> {
    config: &'a Config,
    way: Way<'a>,
    channel_binding: Vec<u8>,
    login_id: u64,
    cookie: Option<[u8; COOKIE_BYTES]>,
    asked: Option<Asked>,
    asked_count: u32,
    stray_count: u32,
}

impl<'a> Entrance<'a> {
    pub(crate) fn new(config: &'a Config, way: Way<'a>, channel_binding: &[u8]) -> Result<Self, LoginError> {
        Ok(Self {
            config,
            way,
            channel_binding: channel_binding.to_vec(),
            login_id: u64::from_be_bytes(random()?) & U48_MAX,
            cookie: None,
            asked: None,
            asked_count: 0,
            stray_count: 0,
        })
    }

    /// The frame that asks; a bounded number of times.
    pub(crate) fn ask(&mut self) -> Result<[u8; LOGIN_BYTES], LoginError> {
        if self.asked_count == HELLO_COUNT_MAX {
            return Err(LoginError::Busy);
        }
        self.asked_count += 1;
        self.stray_count = 0;
        let (server_public, suites) = (&self.config.server_public, &self.config.suites);
        let (login_id, cookie) = (self.login_id, self.cookie.as_ref());
        let channel_binding = &self.channel_binding[..];
        let ephemeral = Secret::new(random::<KEY_BYTES>()?);
        let other = Secret::new(random::<KEY_BYTES>()?);
        let (asked, frame) = match self.way {
            Way::Login => {
                let offer = login::Offer { server_public, suites, login_id, cookie, channel_binding };
                let started = login::Initiator::start(&self.config.identity, &offer, ephemeral);
                let (asked, frame) = started.map_err(LoginError::Answer)?;
                (Asked::Login(Box::new(asked)), frame)
            }
            Way::Resume(kept) => {
                let mode = if self.config.is_psk_alone { Mode::PskAlone } else { Mode::DiffieHellman };
                let offer = resume::Offer { server_public, mode, login_id, cookie, channel_binding };
                let (asked, frame) = resume::Initiator::start(kept, &offer, &other, ephemeral);
                (Asked::Resume(Box::new(asked)), frame)
            }
            Way::Recover(kit) => {
                let new_identity = &self.config.identity;
                let offer = recovery::Offer { new_identity, suites, login_id, cookie, channel_binding };
                let started = recovery::Initiator::start(kit, &offer, &other, ephemeral);
                let (asked, frame) = started.map_err(LoginError::Answer)?;
                (Asked::Recover(Box::new(asked)), frame)
            }
        };
        self.asked = Some(asked);
        Ok(frame)
    }

    /// Takes a frame that came after [`Entrance::ask`], following at most one cookie (SPEC 14.3).
    pub(crate) fn hear(&mut self, header: &Header, frame: &[u8]) -> Result<Heard, LoginError> {
        let Some(asked) = self.asked.take() else { return Ok(Heard::Nothing) };
        if header.kind == asked.answer() && header.counter == self.login_id {
            let session = asked.finish(frame).map_err(LoginError::Answer)?;
            return Ok(Heard::Granted(Box::new(session)));
        }
        // One that does not verify is not from the server, or answers another frame.
        if header.kind == Kind::Retry
            && let Ok(retry) = asked.retry(frame)
        {
            return match retry {
                Retry::Cookie(_) if self.cookie.is_some() => Err(LoginError::SecondCookie),
                Retry::Cookie(given) => {
                    self.cookie = Some(given);
                    Ok(Heard::AskAgain(Duration::ZERO))
                }
                Retry::Busy(wait_ms) => Ok(Heard::AskAgain(Duration::from_millis(wait_ms.into()))),
            };
        }
        self.asked = Some(asked);
        self.stray_count += 1;
        if self.stray_count == STRAY_COUNT_MAX { Err(LoginError::Refused) } else { Ok(Heard::Nothing) }
    }
}

/// Bytes from the system, for secrets and names.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], LoginError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| LoginError::Random)?;
    Ok(bytes)
}
