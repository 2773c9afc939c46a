//! A login on a connection, beside requests of an older session if there is one (SPEC §10, §14).

use mvt_proto::{
    Suite,
    constants::{COOKIE_BYTES, KEY_BYTES},
    frame::retry::Retry,
    login::{Initiator, Offer},
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

/// A login that is not finished.
#[derive(Debug)]
pub(super) struct Login {
    initiator: Initiator,
    wish: Wish,
    cookie: Option<[u8; COOKIE_BYTES]>,
    hello_count: u32,
    /// When to send the HELLO again after a BUSY.
    hello_again_at_ms: Option<u64>,
    deadline_ms: u64,
}

impl Login {
    /// Appends a HELLO to `out`.
    pub(super) fn start(
        parties: &Parties,
        wish: Wish,
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<Self, Trouble> {
        let initiator = hello(parties, &wish, None, out)?;
        let deadline_ms = now_ms + LOGIN_MS_MAX;
        Ok(Self { initiator, wish, cookie: None, hello_count: 1, hello_again_at_ms: None, deadline_ms })
    }

    /// What the server echoes of it.
    pub(super) fn id(&self) -> u64 {
        self.initiator.login_id()
    }

    /// Reads a HELLO_R. An error ends the login.
    pub(super) fn finish(self, frame: &[u8], now_ms: u64) -> Result<ClientSession, Trouble> {
        self.initiator.finish(frame, now_ms).map_err(|_| Trouble::LoginRefused)
    }

    /// Reads a RETRY and follows it. One that was not made for this HELLO is ignored (§14).
    pub(super) fn retry(
        &mut self,
        parties: &Parties,
        frame: &[u8],
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        match self.initiator.retry(frame) {
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

    fn say_hello(&mut self, parties: &Parties, out: &mut Vec<u8>) -> Result<(), Trouble> {
        self.hello_count += 1;
        self.initiator = hello(parties, &self.wish, self.cookie.as_ref(), out)?;
        Ok(())
    }
}

fn hello(
    parties: &Parties,
    wish: &Wish,
    cookie: Option<&[u8; COOKIE_BYTES]>,
    out: &mut Vec<u8>,
) -> Result<Initiator, Trouble> {
    let mut ephemeral = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *ephemeral).map_err(|_| Trouble::Io)?;
    let offer = Offer {
        server_public: &parties.server_public,
        suites: &[wish.suite],
        login_id: wish.login_id,
        cookie,
        channel_binding: wish.binding.bytes(),
    };
    let (initiator, frame) =
        Initiator::start(&parties.identities[wish.identity], &offer, Secret::new(*ephemeral))
            .map_err(|_| Trouble::LoginRefused)?;
    out.extend_from_slice(&frame);
    Ok(initiator)
}
