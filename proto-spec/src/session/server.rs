//! The server's half of a session, frame by frame. The order is typed: `check` makes [`Fresh`], `open` turns it into
//! [`Authentic`], `commit` turns that into an [`Exchange`] to execute (SPEC §7.2).

use alloc::{boxed::Box, vec};

use crate::{
    Header, Limits, Reject, Suite,
    replay::window_words,
    secret::Secret,
    session::{Authentic, Exchange, Fresh, Refused, SessionState},
};

/// The server's half of one session of one generation, with its replay window.
pub struct ServerSession {
    state: SessionState,
    window: Box<[u64]>,
}

impl ServerSession {
    /// A session that begins at `origin_ms` on the server's timescale with `request_chain` = CK_0.
    ///
    /// # Panics
    /// If the limits are not valid: they are validated where they enter.
    #[must_use]
    pub fn new(key_id: u64, suite: Suite, limits: Limits, request_chain: Secret, origin_ms: u64) -> Self {
        assert!(limits.validate().is_ok(), "limits are validated where they enter");
        Self {
            state: SessionState::new(key_id, suite, limits, request_chain, origin_ms),
            window: vec![0; window_words(limits.replay_window_bits)].into_boxed_slice(),
        }
    }

    /// The state and the words of the window, for a table that keeps many of both.
    #[must_use]
    pub fn into_parts(self) -> (SessionState, Box<[u64]>) {
        (self.state, self.window)
    }

    /// Names the session.
    #[must_use]
    pub const fn key_id(&self) -> u64 {
        self.state.key_id()
    }

    /// The agreed suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.state.suite()
    }

    /// Whether the client has proved the key by a first verified request (§10.3.2).
    #[must_use]
    pub const fn is_confirmed(&self) -> bool {
        self.state.is_confirmed()
    }

    /// When the session is to be erased: see [`SessionState::deadline_ms`].
    #[must_use]
    pub const fn deadline_ms(&self) -> u64 {
        self.state.deadline_ms()
    }

    /// Moves the slot keys to `now_ms`: see [`SessionState::advance`].
    pub fn advance(&mut self, now_ms: u64) {
        self.state.advance(now_ms);
    }

    /// When [`ServerSession::advance`] has something to erase next, ms.
    #[must_use]
    pub const fn next_slot_ms(&self) -> u64 {
        self.state.next_slot_ms()
    }

    /// Time and key: see [`SessionState::check`].
    #[inline]
    pub fn check(&mut self, header: &Header, now_ms: u64) -> Fresh {
        self.state.check(header, now_ms)
    }

    /// The same for a key id the server does not hold; `self` is then a dummy session (§9.2).
    pub fn check_unknown(&self, header: &Header) -> Fresh {
        self.state.check_unknown(header)
    }

    /// Tag: see [`SessionState::open`].
    ///
    /// # Errors
    /// `UnknownKey`, `NoSlot` or `BadTag`.
    #[inline]
    pub fn open(&self, fresh: Fresh, frame: &mut [u8]) -> Result<Authentic, Reject> {
        self.state.open(fresh, frame)
    }

    /// Replay: see [`SessionState::commit`].
    ///
    /// # Errors
    /// [`Refused`]: `Stale`, `Limit`, `Replay` or `TooOld`, in this order; nothing changed then.
    #[expect(clippy::result_large_err, reason = "both hold the request key in place; boxing would allocate")]
    #[inline]
    pub fn commit(&mut self, authentic: Authentic) -> Result<Exchange, Refused> {
        self.state.commit(&mut self.window, authentic)
    }
}

impl core::fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let bits = self.window.len() * 64;
        f.debug_struct("ServerSession").field("state", &self.state).field("window_bits", &bits).finish()
    }
}
