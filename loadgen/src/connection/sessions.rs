//! The sessions of one connection: login, the one for new requests, the one before while it drains.

use std::io;

use mvt_proto::{Header, Kind, Role};

use super::{
    Turn,
    established::{Arrival, Established},
    login::{Login, Step},
};
use crate::{clock, phase::Phase, tally::Tally, trouble::Trouble};

/// A session that still waits for answers this long after it was replaced is given up, ns.
pub const DRAIN_NS_MAX: u64 = 1_000_000_000;

/// The sessions of a connection: one for new requests, the one before while its answers are still to come.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    login: Option<Login>,
    login_count: u64,
    current: Option<Established>,
    draining: Option<Established>,
    drain_until_ns: u64,
}

impl Sessions {
    /// Whether a login was granted.
    pub(super) const fn is_established(&self) -> bool {
        self.current.is_some()
    }

    /// Requests that wait.
    pub(super) fn waiting(&self) -> usize {
        [&self.current, &self.draining].into_iter().flatten().map(Established::waiting).sum()
    }

    /// The session for new requests, unless nothing can be sealed under it any more.
    pub(super) fn sealable(&mut self) -> Option<&mut Established> {
        self.current.as_mut().filter(|current| !current.is_spent())
    }

    /// Whether [`Self::sealable`] gives one.
    pub(super) fn can_seal(&self) -> bool {
        self.current.as_ref().is_some_and(|current| !current.is_spent())
    }

    /// Starts a login when there is no session yet, or its server did not renew it in time. The session before last must have
    /// drained, so that no answer is given up for a new session.
    pub(super) fn replace(&mut self, turn: &Turn<'_>, outbox: &mut Vec<u8>) -> Result<(), Trouble> {
        if self.login.is_some() || self.draining.is_some() || turn.phase == Phase::Drain {
            return Ok(());
        }
        let now_ms = clock::boot_ms();
        if self.current.as_ref().is_none_or(|current| current.replacement_is_due(now_ms)) {
            let login_id = self.login_count;
            self.login_count += 1;
            self.login = Some(Login::start(turn.target, turn.workload.suite, login_id, now_ms, outbox)?);
        }
        Ok(())
    }

    /// Reads one frame.
    pub(super) fn accept(
        &mut self,
        frame: &mut [u8],
        arrival: Arrival,
        turn: &mut Turn<'_>,
        outbox: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        let header = Header::parse(frame, Role::Client)?;
        match header.kind {
            Kind::HelloR | Kind::Retry => self.accept_login(&header, frame, arrival, turn, outbox),
            _ => {
                let by_key_id = |session: &&mut Established| session.key_id() == header.key_id;
                let known = [&mut self.current, &mut self.draining].into_iter().flatten().find(by_key_id);
                let found = match known {
                    Some(it) if header.kind == Kind::Ctl => {
                        it.control(&header, frame, arrival, turn.tally, outbox)?
                    }
                    Some(it) => it.accept(&header, frame, arrival, turn.tally),
                    None => false,
                };
                if !found {
                    turn.tally.meet(Trouble::Unsolicited);
                }
                if self.draining.as_ref().is_some_and(|old| old.waiting() == 0) {
                    self.draining = None;
                }
                Ok(())
            }
        }
    }

    fn accept_login(
        &mut self,
        header: &Header,
        frame: &[u8],
        arrival: Arrival,
        turn: &mut Turn<'_>,
        outbox: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        let Some(mut login) = self.login.take() else { return Err(Trouble::Unsolicited) };
        let step = if header.kind == Kind::HelloR {
            login.finish(frame, arrival.boot_ms)?
        } else {
            let step = login.retry(turn.target, frame, arrival.boot_ms, outbox)?;
            self.login = Some(login);
            step
        };
        if let Step::Granted(session) = step {
            turn.tally.logins += 1;
            let old = self.current.replace(Established::new(*session));
            self.draining = old.filter(|old| old.waiting() > 0);
            self.drain_until_ns = arrival.at_ns + DRAIN_NS_MAX;
        }
        Ok(())
    }

    /// Deadlines of a login and of a replaced session whose answers do not come.
    pub(super) fn tick(
        &mut self,
        now_ns: u64,
        turn: &mut Turn<'_>,
        outbox: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        if now_ns >= self.drain_until_ns
            && let Some(mut old) = self.draining.take()
        {
            old.abandon(turn.tally);
        }
        match &mut self.login {
            Some(login) => login.tick(turn.target, clock::boot_ms(), outbox),
            None => Ok(()),
        }
    }

    /// Gives up what still waits.
    pub(super) fn abandon(&mut self, tally: &mut Tally) {
        for session in [&mut self.current, &mut self.draining].into_iter().flatten() {
            session.abandon(tally);
        }
    }

    /// A refused login is answered by closing (SPEC §10.3.3).
    pub(super) const fn meaning_of_close(&self) -> Trouble {
        if self.login.is_some() { Trouble::LoginRefused } else { Trouble::Closed }
    }

    /// What a failed socket means.
    pub(super) fn meaning_of(&self, error: &io::Error) -> Trouble {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset => self.meaning_of_close(),
            _ => Trouble::Io,
        }
    }
}
