//! One session of a connection through its renewals: login, the one for new requests, the one before while it drains.

use mvt_proto::resume::Kept;

use super::{established::Established, login::Login};
use crate::{tally::Tally, target::Parties, trouble::Trouble};

/// A session that still waits for answers this long after it was replaced is given up, ns.
pub const DRAIN_NS_MAX: u64 = 1_000_000_000;

/// A session for new requests, the one before while its answers are still to come, and the login of the next.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// Which of the clients it is of.
    pub(super) identity: usize,
    pub(super) login: Option<Login>,
    pub(super) current: Option<Established>,
    pub(super) draining: Option<Established>,
    drain_until_ns: u64,
    /// The newest ticket, to resume by.
    pub(super) kept: Option<Kept>,
}

impl Seat {
    pub(super) fn of(identity: usize) -> Self {
        Self { identity, ..Self::default() }
    }

    pub(super) const fn is_established(&self) -> bool {
        self.current.is_some()
    }

    /// Whether a request can be sealed now.
    #[inline]
    pub(super) fn can_seal(&self) -> bool {
        self.current.as_ref().is_some_and(Established::can_seal)
    }

    /// Whether a login is due: there is no session yet, or it is to be replaced. The session before last must have
    /// drained, so that no answer is given up for a renewal.
    pub(super) fn wants_login(&self, now_ms: u64, login_every: Option<u64>) -> bool {
        self.login.is_none()
            && self.draining.is_none()
            && self.current.as_ref().is_none_or(|current| current.replacement_is_due(now_ms, login_every))
    }

    /// Its session of this key id.
    pub(super) fn session(&mut self, key_id: u64) -> Option<&mut Established> {
        self.sessions().find(|session| session.key_id() == key_id)
    }

    /// Replaces the session.
    pub(super) fn replace(&mut self, next: Established, now_ns: u64) {
        let old = self.current.replace(next);
        self.draining = old.filter(|old| old.waiting() > 0);
        self.drain_until_ns = now_ns + DRAIN_NS_MAX;
    }

    /// Forgets a replaced session that has drained.
    pub(super) fn settle(&mut self) {
        if self.draining.as_ref().is_some_and(|old| old.waiting() == 0) {
            self.draining = None;
        }
    }

    /// Deadlines of a login and of a replaced session whose answers do not come; how many requests were given up.
    pub(super) fn tick(
        &mut self,
        parties: &Parties,
        now_ns: u64,
        boot_ms: u64,
        tally: &mut Tally,
        outbox: &mut Vec<u8>,
    ) -> Result<usize, Trouble> {
        let mut given_up = 0;
        if now_ns >= self.drain_until_ns
            && let Some(mut old) = self.draining.take()
        {
            given_up = old.waiting();
            old.abandon(tally);
        }
        if let Some(login) = &mut self.login {
            login.tick(parties, boot_ms, outbox)?;
        }
        Ok(given_up)
    }

    /// Puts its deadlines off.
    pub(super) fn put_off(&mut self, away_ns: u64) {
        self.drain_until_ns += away_ns;
        if let Some(login) = &mut self.login {
            login.put_off(away_ns / 1_000_000);
        }
    }

    /// Its sessions that wait.
    pub(super) fn sessions(&mut self) -> impl Iterator<Item = &mut Established> {
        [&mut self.current, &mut self.draining].into_iter().flatten()
    }

    /// Gives up what still waits.
    pub(super) fn abandon(&mut self, tally: &mut Tally) {
        self.sessions().for_each(|session| session.abandon(tally));
    }
}
