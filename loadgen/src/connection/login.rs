//! A login on a connection, or a resume, beside requests of an older session if there is one (SPEC §10, §12, §14).

use mvt_proto::{
    Kind, Reject, Suite,
    constants::{COOKIE_BYTES, KEY_BYTES},
    frame::{resume::Mode, retry::Retry},
    login,
    resume::{self, Kept},
    secret::Secret,
    session::ClientSession,
};
use zeroize::Zeroizing;

use crate::{target::Parties, trouble::Trouble};

/// A login not finished in this time has failed, ms.
pub const LOGIN_MS_MAX: u64 = 5_000;
/// HELLOs of one login, first and after BUSY.
pub const HELLO_COUNT_MAX: u32 = 20;
/// Longest wait that a BUSY may ask for, ms.
const BUSY_WAIT_MS_MAX: u64 = 1_000;

/// What a login is bound to (SPEC §17.2.3): nothing on TCP.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ChannelBinding(Option<[u8; KEY_BYTES]>);

impl From<&[u8]> for ChannelBinding {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.try_into().ok())
    }
}

impl ChannelBinding {
    fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |bytes| bytes)
    }
}

/// A login as it is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// Which of the clients logs in.
    pub(super) identity: usize,
    pub(super) suite: Suite,
    pub(super) login_id: u64,
    pub(super) binding: ChannelBinding,
}

/// By what a session is asked for.
#[derive(Debug)]
pub(super) enum By {
    /// The client's static key.
    Key,
    /// A ticket. It is used up: if the resume fails, so has the connection, and nothing is retried that would not be counted.
    Ticket(Kept),
}

/// A HELLO or a RESUME that was sent.
#[derive(Debug)]
enum Asked {
    Login(Box<login::Initiator>),
    Resume(Box<resume::Initiator>),
}

impl Asked {
    fn id(&self) -> u64 {
        match self {
            Self::Login(asked) => asked.login_id(),
            Self::Resume(asked) => asked.login_id(),
        }
    }

    fn retry(&self, frame: &[u8]) -> Result<Retry, Reject> {
        match self {
            Self::Login(asked) => asked.retry(frame),
            Self::Resume(asked) => asked.retry(frame),
        }
    }
}

/// A login that is not finished.
#[derive(Debug)]
pub(super) struct Login {
    asked: Asked,
    by: By,
    wish: Wish,
    cookie: Option<[u8; COOKIE_BYTES]>,
    hello_count: u32,
    /// When to send the HELLO again after a BUSY.
    hello_again_at_ms: Option<u64>,
    deadline_ms: u64,
}

impl Login {
    /// Appends a HELLO or a RESUME to `out`.
    pub(super) fn start(
        parties: &Parties,
        wish: Wish,
        by: By,
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<Self, Trouble> {
        let asked = ask(parties, &wish, &by, None, out)?;
        let deadline_ms = now_ms + LOGIN_MS_MAX;
        Ok(Self { asked, by, wish, cookie: None, hello_count: 1, hello_again_at_ms: None, deadline_ms })
    }

    /// What the server echoes of it.
    pub(super) fn id(&self) -> u64 {
        self.asked.id()
    }

    /// Whether it asks with a ticket.
    pub(super) const fn is_resume(&self) -> bool {
        matches!(self.asked, Asked::Resume(_))
    }

    /// Reads a HELLO_R or a RESUME_R. An error ends the login.
    pub(super) fn finish(self, kind: Kind, frame: &[u8], now_ms: u64) -> Result<ClientSession, Trouble> {
        let finished = match (self.asked, kind) {
            (Asked::Login(asked), Kind::HelloR) => asked.finish(frame, now_ms),
            (Asked::Resume(asked), Kind::ResumeR) => asked.finish(frame, now_ms),
            _ => return Err(Trouble::Unsolicited),
        };
        finished.map_err(|_| Trouble::LoginRefused)
    }

    /// Reads a RETRY and follows it. One that was not made for this HELLO is ignored (§14).
    pub(super) fn retry(
        &mut self,
        parties: &Parties,
        frame: &[u8],
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        match self.asked.retry(frame) {
            Err(_) => {}
            // §14.3: at most one cookie for each login.
            Ok(Retry::Cookie(_)) if self.cookie.is_some() => return Err(Trouble::LoginRefused),
            Ok(Retry::Cookie(cookie)) => {
                self.cookie = Some(cookie);
                self.say_hello(parties, out)?;
            }
            Ok(Retry::Busy(wait_ms)) => {
                self.hello_again_at_ms = Some(now_ms + u64::from(wait_ms).clamp(1, BUSY_WAIT_MS_MAX));
            }
        }
        Ok(())
    }

    /// Sends the HELLO again when a BUSY is over; ends a login that takes too long.
    pub(super) fn tick(&mut self, parties: &Parties, now_ms: u64, out: &mut Vec<u8>) -> Result<(), Trouble> {
        if self.hello_again_at_ms.is_some_and(|at| now_ms >= at) {
            self.hello_again_at_ms = None;
            if self.hello_count >= HELLO_COUNT_MAX {
                return Err(Trouble::LoginBusy);
            }
            // The server is busy, not silent: it gets the whole time again.
            self.deadline_ms = now_ms + LOGIN_MS_MAX;
            self.say_hello(parties, out)?;
        }
        if now_ms >= self.deadline_ms { Err(Trouble::LoginTimeout) } else { Ok(()) }
    }

    /// Puts its deadline off.
    pub(super) const fn put_off(&mut self, away_ms: u64) {
        self.deadline_ms += away_ms;
    }

    fn say_hello(&mut self, parties: &Parties, out: &mut Vec<u8>) -> Result<(), Trouble> {
        self.hello_count += 1;
        self.asked = ask(parties, &self.wish, &self.by, self.cookie.as_ref(), out)?;
        Ok(())
    }
}

fn ask(
    parties: &Parties,
    wish: &Wish,
    by: &By,
    cookie: Option<&[u8; COOKIE_BYTES]>,
    out: &mut Vec<u8>,
) -> Result<Asked, Trouble> {
    let Wish { identity, suite, login_id, binding } = wish;
    let (server_public, login_id, channel_binding) = (&parties.server_public, *login_id, binding.bytes());
    let (asked, frame) = match by {
        By::Key => {
            let offer = login::Offer { server_public, suites: &[*suite], login_id, cookie, channel_binding };
            let started = login::Initiator::start(&parties.identities[*identity], &offer, random()?);
            let (asked, frame) = started.map_err(|_| Trouble::LoginRefused)?;
            (Asked::Login(Box::new(asked)), frame)
        }
        By::Ticket(kept) => {
            let mode = Mode::DiffieHellman;
            let offer = resume::Offer { server_public, mode, login_id, cookie, channel_binding };
            let (asked, frame) = resume::Initiator::start(kept, &offer, &random()?, random()?);
            (Asked::Resume(Box::new(asked)), frame)
        }
    };
    out.extend_from_slice(&frame);
    Ok(asked)
}

fn random() -> Result<Secret, Trouble> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *bytes).map_err(|_| Trouble::Io)?;
    Ok(Secret::new(*bytes))
}
