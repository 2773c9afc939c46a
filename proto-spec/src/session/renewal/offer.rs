//! The OFFER of the next generation (SPEC §11.2).

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};

use crate::{
    agreement::Ephemeral,
    constants::{OFFER_AGAIN_MS, OFFER_BYTES_MAX},
    frame::control::{About, Offer},
    schedule::{Exchanged, GenerationKeys},
    secret::Secret,
    session::{
        Rekey, SessionState,
        renewal::{Awaited, Generation, Renewal},
        state::Phase,
    },
};

/// What an OFFER is made of.
#[derive(Debug)]
pub struct Offering {
    /// N: 32 random bytes.
    pub nonce: Secret,
    /// The server's half, when [`Rekey::wants_exchange`] asks for a Diffie-Hellman.
    pub ephemeral: Option<Arc<Ephemeral>>,
}

impl Renewal {
    /// Offers the generation after `state`, which begins at `now_ms`. With form 0 it can be used at once, and RT_g is erased;
    /// with form 1 once a SHARE came and the agreement is computed (§11.2.4). `window_words` is the width of its window.
    ///
    /// # Panics
    /// When no request of `state` was verified (§11.2.1), an offer is outstanding or the generation before drains (§11.2.2), and
    /// in the last generation.
    #[must_use]
    pub fn offer(
        state: &mut SessionState,
        rekey: &mut Rekey,
        window_words: usize,
        offering: Offering,
        now_ms: u64,
    ) -> Box<Self> {
        let may_be = state.is_confirmed() && !state.is_renewing() && state.generation() < u16::MAX;
        assert!(may_be, "the caller asks first");
        let Offering { nonce, ephemeral } = offering;
        let about = About { key_id: state.key_id(), generation: state.generation(), timestamp: now_ms };
        let offer = Offer { nonce, public: ephemeral.as_ref().map(|pair| pair.public) };
        let mut frame = Vec::with_capacity(OFFER_BYTES_MAX);
        offer.seal(&rekey.control_s2c, about, &mut frame);
        let mut renewal = Box::new(Self {
            beside: None,
            awaited: None,
            share: None,
            offered_ms: now_ms,
            sent_ms: now_ms,
            offer: [0; OFFER_BYTES_MAX],
            offer_bytes: frame.len() as u8,
            window_words: window_words as u16,
            until_ms: None,
        });
        renewal.offer[..frame.len()].copy_from_slice(&frame);
        match ephemeral {
            None => renewal.beside = Some(renewal.derive(state, rekey, &offer.nonce, None)),
            Some(pair) => renewal.awaited = Some(Awaited { nonce: offer.nonce, pair }),
        }
        state.enter(Phase::OFFERED);
        // What asked for it is answered.
        state.leave(Phase::SUSPECT);
        renewal
    }

    /// Derives the next generation from what was agreed, and erases RT_g (§11).
    pub(super) fn derive(
        &self,
        state: &SessionState,
        rekey: &mut Rekey,
        nonce: &Secret,
        exchanged: Option<&Exchanged>,
    ) -> Generation {
        let generation = state.generation() + 1;
        let keys = GenerationKeys::renew(rekey.ratchet.take(), nonce, exchanged, state.key_id(), generation);
        let exchanged_ms = if exchanged.is_some() { self.offered_ms } else { rekey.exchanged_ms };
        let (next, chain) = Rekey::split(keys, exchanged_ms);
        let window = vec![0; usize::from(self.window_words)].into_boxed_slice();
        Generation { state: state.next(chain, self.offered_ms), rekey: next, window }
    }

    /// The OFFER, byte for byte as made.
    #[must_use]
    pub fn offer_frame(&self) -> &[u8] {
        &self.offer[..usize::from(self.offer_bytes)]
    }

    /// The OFFER to be sent once more: before the commit, and not within 1 s of the last time (§11.2.3).
    pub fn offer_again(&mut self, now_ms: u64) -> Option<&[u8]> {
        let is_due = self.until_ms.is_none() && now_ms.saturating_sub(self.sent_ms) >= OFFER_AGAIN_MS;
        is_due.then(|| {
            self.sent_ms = now_ms;
            self.offer_frame()
        })
    }
}
