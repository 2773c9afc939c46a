//! The server's half of a session, frame by frame. The order is typed: `check` makes [`Fresh`], `open` turns it into
//! [`Authentic`], `commit` turns that into an [`Exchange`] to execute (SPEC §7.2).

use alloc::{boxed::Box, vec, vec::Vec};

use crate::{
    Header, Limits, Reject, Suite,
    replay::window_words,
    schedule::GenerationKeys,
    secret::Secret,
    session::{
        Agreed, Authentic, BadTags, Current, Exchange, Fresh, Offering, Refused, Rekey, Renewal,
        SessionState, Shared,
    },
    ticket::SealedTicket,
};

/// The server's half of one session: the current generation with its replay window, and the renewal under way.
pub struct ServerSession {
    state: SessionState,
    window: Box<[u64]>,
    rekey: Rekey,
    renewal: Option<Box<Renewal>>,
}

impl ServerSession {
    /// A session that begins at `origin_ms` on the server's timescale in the generation of `keys`: 0 by every login.
    ///
    /// # Panics
    /// If the limits are not valid: they are validated where they enter.
    #[must_use]
    pub fn new(key_id: u64, suite: Suite, limits: Limits, keys: GenerationKeys, origin_ms: u64) -> Self {
        assert!(limits.validate().is_ok(), "limits are validated where they enter");
        let begins = (keys.generation, origin_ms);
        let (rekey, chain) = Rekey::split(keys, origin_ms);
        Self {
            state: SessionState::new(key_id, suite, limits, chain, begins),
            window: vec![0; window_words(limits.replay_window_bits)].into_boxed_slice(),
            rekey,
            renewal: None,
        }
    }

    /// The same session with its last Diffie-Hellman at `exchanged_ms`, 0 if there was none (§11.2.4).
    #[must_use]
    pub fn exchanged_at(self, exchanged_ms: u64) -> Self {
        Self { rekey: self.rekey.exchanged_at(exchanged_ms), ..self }
    }

    /// State, words of the window and renewal keys of a new session, for a table that keeps many of each. What is left here
    /// holds no key.
    ///
    /// # Panics
    /// When a renewal is under way: a table keeps that elsewhere.
    #[must_use]
    pub fn take_parts(&mut self) -> (SessionState, Box<[u64]>, Rekey) {
        assert!(self.renewal.is_none(), "a new session");
        let state = core::mem::replace(&mut self.state, SessionState::vacant());
        let rekey = core::mem::replace(&mut self.rekey, Rekey::vacant());
        (state, core::mem::take(&mut self.window), rekey)
    }

    /// [`ServerSession::take_parts`] of a session that is not kept.
    #[must_use]
    pub fn into_parts(mut self) -> (SessionState, Box<[u64]>, Rekey) {
        self.take_parts()
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

    /// Number of renewals so far.
    #[must_use]
    pub const fn generation(&self) -> u16 {
        self.state.generation()
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

    /// The renewal under way.
    #[must_use]
    pub fn renewal(&self) -> Option<&Renewal> {
        self.renewal.as_deref()
    }

    /// Moves the slot keys to `now_ms`, and erases a generation whose drain is over (§11.3.4).
    pub fn advance(&mut self, now_ms: u64) {
        self.state.advance(now_ms);
        if let Some(renewal) = &mut self.renewal {
            renewal.advance(now_ms);
            if renewal.is_over(now_ms) {
                self.renewal = None;
                Renewal::end(&mut self.state);
            }
        }
    }

    /// When [`ServerSession::advance`] has something to erase next, ms.
    #[must_use]
    pub const fn next_slot_ms(&self) -> u64 {
        self.state.next_slot_ms()
    }

    /// Time and key: see [`SessionState::check`].
    #[inline]
    pub fn check(&mut self, header: &Header, now_ms: u64) -> Fresh {
        self.advance(now_ms);
        let beside = match &mut self.renewal {
            Some(renewal) if header.generation != self.state.generation() && !renewal.lacks_ack(header) => {
                renewal.check(&self.state, &mut self.rekey, header, now_ms)
            }
            _ => None,
        };
        beside.unwrap_or_else(|| self.state.check(header, now_ms))
    }

    /// The same for a key id the server does not hold; `self` is then a dummy session (§9.2).
    pub fn check_unknown(&self, header: &Header) -> Fresh {
        self.state.check_unknown(header, self.state.origin_ms(), header.timestamp)
    }

    /// Tag: see [`SessionState::open`].
    ///
    /// # Errors
    /// `UnknownKey`, `NoSlot` or `BadTag`.
    #[inline]
    pub fn open(&self, fresh: Fresh, frame: &mut [u8]) -> Result<Authentic, Reject> {
        let beside = self.renewal.as_ref().and_then(|renewal| renewal.state());
        match beside {
            Some(state) if fresh.generation == state.generation() => state.open(fresh, frame),
            _ => self.state.open(fresh, frame),
        }
    }

    /// Replay: see [`SessionState::commit`], and the commit of an offered generation (§11.3.2).
    ///
    /// # Errors
    /// [`Refused`]: `Limit`, `Ended`, `Replay` or `TooOld`, and then nothing changed, or `Stale`, in this order.
    #[expect(clippy::result_large_err, reason = "both sides are an exchange, and neither is worth a heap")]
    #[inline]
    pub fn commit(&mut self, authentic: Authentic, now_ms: u64) -> Result<Exchange, Refused> {
        if self.state.judges(&authentic) {
            return self.state.commit(&mut self.window, authentic);
        }
        let Self { state, window, rekey, renewal } = self;
        Current { state, window, rekey }.commit(renewal.as_deref_mut(), authentic, now_ms)
    }

    /// Whether a verified request calls for an OFFER: see [`SessionState::wants_offer`].
    #[must_use]
    pub const fn wants_offer(&self, soft: &Limits, now_ms: u64) -> bool {
        self.state.wants_offer(soft, now_ms)
    }

    /// Whether the next OFFER carries a Diffie-Hellman (§11.2.4).
    #[must_use]
    pub const fn wants_exchange(&self, now_ms: u64) -> bool {
        self.rekey.wants_exchange(&self.state, now_ms)
    }

    /// Appends the OFFER to `out`: the outstanding one when its time has come again, otherwise one made of what
    /// `offering` gives.
    pub fn offer(&mut self, offering: impl FnOnce() -> Offering, now_ms: u64, out: &mut Vec<u8>) {
        self.advance(now_ms);
        match &mut self.renewal {
            Some(renewal) => {
                renewal.cut(&mut self.state, now_ms);
                out.extend_from_slice(renewal.offer_again(now_ms).unwrap_or_default());
            }
            None => {
                let words = self.window.len();
                let renewal = Renewal::offer(&mut self.state, &mut self.rekey, words, offering(), now_ms);
                out.extend_from_slice(renewal.offer_frame());
                self.renewal = Some(renewal);
            }
        }
    }

    /// Judges `frame`, a CTL (§11.1.1). On [`Shared::Broken`] the session is to be erased.
    ///
    /// # Errors
    /// `Control`.
    pub fn control(&mut self, header: &Header, frame: &mut [u8], now_ms: u64) -> Result<Shared, Reject> {
        self.advance(now_ms);
        let Self { state, window, rekey, renewal } = self;
        Current { state, window, rekey }.control(renewal.as_deref_mut(), header, frame, now_ms)
    }

    /// Takes in what was computed of [`Renewal::agreement`]; whether it was of use (§11.2.7).
    pub fn take_agreed(&mut self, agreed: &Agreed) -> bool {
        let Self { state, rekey, renewal, .. } = self;
        renewal.as_mut().is_some_and(|renewal| renewal.take_agreed(state, rekey, agreed))
    }

    /// Appends the TICKET of the current generation to `out`, once (§11.1.3); `issue` seals RS_g into it. Whether there was one.
    pub fn ticket(
        &mut self,
        issue: impl FnOnce(&Secret) -> SealedTicket,
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(resume) = self.rekey.take_resume() else { return false };
        self.rekey.seal_ticket(&self.state, &issue(&resume), now_ms, out);
        true
    }

    /// Counts a frame of `generation` whose tag did not hold (§11.3.7).
    pub fn note_bad_tag(&mut self, generation: u16) -> BadTags {
        if generation == self.state.generation() {
            return self.rekey.note_bad_tag(&mut self.state);
        }
        match self.renewal.as_mut().and_then(|renewal| renewal.parts_mut()) {
            Some((state, rekey)) if state.generation() == generation => rekey.note_bad_tag(state),
            _ => BadTags::Few,
        }
    }
}

impl core::fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let bits = self.window.len() * 64;
        f.debug_struct("ServerSession")
            .field("state", &self.state)
            .field("window_bits", &bits)
            .field("renewal", &self.renewal)
            .finish_non_exhaustive()
    }
}
