//! The server's half of a session. The order is typed: `check` makes [`Fresh`], `open` turns it into [`Authentic`],
//! `commit` turns that into an [`Exchange`] to execute (SPEC §7.2).

use crate::{
    Header, Limits, Reject, Suite,
    constants::FIRST_USE_MS,
    reject::{ErrReason, Visible},
    replay::ReplayWindow,
    secret::Secret,
    session::{Exchange, in_time},
    slot::{SlotKey, SlotKeys},
    suite::{RequestKey, tag_of},
};

/// A frame whose bounds and time were judged and whose key is chosen; nothing is believed yet.
#[derive(Debug)]
#[must_use]
pub struct Fresh {
    slot: SlotKey,
    counter: u64,
    /// Refused whatever the tag says: no key was held. The tag is computed all the same (§9.2).
    refused: Option<Reject>,
    stale: bool,
}

/// A frame whose tag held. Its counter was not looked at yet.
#[derive(Debug)]
#[must_use]
pub struct Authentic {
    exchange: Exchange,
    stale: bool,
}

/// A verified request that is not executed: answered with an ERR.
#[derive(Debug)]
pub struct Refused {
    /// The counted reason: `Stale`, `Limit`, `Replay` or `TooOld`.
    pub reject: Reject,
    /// Seals the ERR.
    pub exchange: Exchange,
}

impl Refused {
    /// The reason the client is told.
    #[must_use]
    pub fn reason(&self) -> ErrReason {
        match self.reject.visible() {
            Visible::Err(reason) => reason,
            _ => unreachable!("a verified request is refused with an ERR"),
        }
    }
}

/// The server's half of one session of one generation.
#[derive(Debug)]
pub struct ServerSession {
    key_id: u64,
    generation: u16,
    suite: Suite,
    confirmed: bool,
    limits: Limits,
    slots: SlotKeys,
    window: ReplayWindow,
}

impl ServerSession {
    /// A session that begins at `origin_ms` on the server's timescale with `request_chain` = CK_0.
    #[must_use]
    pub fn new(key_id: u64, suite: Suite, limits: Limits, request_chain: Secret, origin_ms: u64) -> Self {
        Self {
            key_id,
            generation: 0,
            suite,
            confirmed: false,
            limits,
            slots: SlotKeys::new(request_chain, origin_ms),
            window: ReplayWindow::new(limits.replay_window_bits),
        }
    }

    /// Names the session.
    #[must_use]
    pub const fn key_id(&self) -> u64 {
        self.key_id
    }

    /// The agreed suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Whether the client has proved the key by a first verified request (§10.3.2).
    #[must_use]
    pub const fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// When the session is to be erased: the hard limit, or 10 s while nobody has used it. Server time, ms.
    #[must_use]
    pub const fn deadline_ms(&self) -> u64 {
        let hard_ms = self.limits.reject_after_ms as u64;
        let first_use_is_due = !self.confirmed && FIRST_USE_MS < hard_ms;
        self.slots.origin_ms() + if first_use_is_due { FIRST_USE_MS } else { hard_ms }
    }

    /// Moves the slot keys to `now_ms`, erasing those that passed (§5.2). For a sweep over idle sessions too.
    pub fn advance(&mut self, now_ms: u64) {
        self.slots.advance(now_ms);
    }

    /// When [`ServerSession::advance`] has something to erase next, ms.
    #[must_use]
    pub const fn next_slot_ms(&self) -> u64 {
        self.slots.next_slot_ms()
    }

    /// Time and key: judges the timestamp and chooses the slot key. A frame that cannot pass goes on with a key all the
    /// same, so that every refusal costs one verification.
    #[inline]
    pub fn check(&mut self, header: &Header, now_ms: u64) -> Fresh {
        self.advance(now_ms);
        let held = if header.generation != self.generation || now_ms >= self.deadline_ms() {
            Err(Reject::NoSlot)
        } else {
            self.slots.select(header.timestamp)
        };
        let (slot, refused) = match held {
            Ok(slot) => (slot, None),
            Err(reject) => (SlotKey::Current, Some(reject)),
        };
        Fresh { slot, counter: header.counter, refused, stale: in_time(header.timestamp, now_ms).is_err() }
    }

    /// The same for a key id the server does not hold; `self` is then a dummy session (§9.2).
    pub fn check_unknown(&self, header: &Header) -> Fresh {
        Fresh {
            slot: SlotKey::Current,
            counter: header.counter,
            refused: Some(Reject::UnknownKey),
            stale: false,
        }
    }

    /// Tag: derives K_req and opens `frame` in place. Changes no state.
    ///
    /// # Errors
    /// `UnknownKey`, `NoSlot` or `BadTag`.
    #[inline]
    pub fn open(&self, fresh: Fresh, frame: &mut [u8]) -> Result<Authentic, Reject> {
        let slot_key = self.slots.key(&fresh.slot);
        let key = RequestKey::derive(self.suite, slot_key, self.generation, fresh.counter);
        let opened = key.open(frame, &[]);
        if let Some(reject) = fresh.refused {
            return Err(reject);
        }
        opened?;
        let exchange = Exchange {
            key,
            suite: self.suite,
            key_id: self.key_id,
            generation: self.generation,
            counter: fresh.counter,
            request_tag: tag_of(frame),
        };
        Ok(Authentic { exchange, stale: fresh.stale })
    }

    /// Replay: records the counter of a verified, timely frame. What comes back may be executed.
    ///
    /// # Errors
    /// [`Refused`]: `Stale`, `Limit`, `Replay` or `TooOld`, in this order; the window is then unchanged.
    #[expect(clippy::result_large_err, reason = "both sides are an exchange, and neither is worth a heap")]
    #[inline]
    pub fn commit(&mut self, authentic: Authentic) -> Result<Exchange, Refused> {
        let Authentic { exchange, stale } = authentic;
        let counter = exchange.counter;
        let verdict = if stale {
            Err(Reject::Stale)
        } else if counter >= u64::from(self.limits.reject_after_requests) {
            Err(Reject::Limit)
        } else {
            self.window.test_and_set(counter)
        };
        match verdict {
            Ok(()) => {
                self.confirmed = true;
                Ok(exchange)
            }
            Err(reject) => Err(Refused { reject, exchange }),
        }
    }
}
