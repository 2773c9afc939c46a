//! The key agreement of a renewal while somebody computes it (SPEC §11.2.7).

use alloc::sync::Arc;

use crate::{
    Header,
    agreement::{self, Ephemeral},
    constants::KEY_BYTES,
    schedule::Exchanged,
    session::{Rekey, SessionState, renewal::Renewal},
};

/// What a SHARE asks to be computed, for whoever computes it: the pair that its OFFER named, and e_c. The private half is wiped with the
/// last handle to it.
#[derive(Debug)]
pub struct Agreement {
    pair: Arc<Ephemeral>,
    share: [u8; KEY_BYTES],
}

impl Agreement {
    /// Whether the renewal still waits for it: it has not computed it itself, nor ended. Who finds nobody waiting need not begin.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.pair) > 1
    }

    /// Computes X25519(e_c, e_s). `None` cannot be: [`Current::control`](super::Current::control) judged e_c; nothing is derived then.
    #[must_use]
    pub fn compute(&self) -> Option<Agreed> {
        let shared = agreement::agree(&self.pair.private, &self.share)?;
        Some(Agreed(Exchanged { shared, client_public: self.share, server_public: self.pair.public }))
    }
}

/// What was computed. Wiped on drop.
#[derive(Debug)]
pub struct Agreed(Exchanged);

impl Renewal {
    /// The agreement to be computed, if a SHARE came and the next generation is not derived yet.
    #[must_use]
    pub fn agreement(&self) -> Option<Agreement> {
        let share = self.share?;
        self.awaited.as_ref().map(|awaited| Agreement { pair: awaited.pair.clone(), share })
    }

    /// Whether there is one.
    #[must_use]
    pub const fn is_agreeing(&self) -> bool {
        self.share.is_some() && self.awaited.is_some()
    }

    /// Takes in what was computed and derives the next generation from it; whether it did. It does not when that is derived
    /// already, or when what was computed is of another OFFER or another SHARE: e_s serves one OFFER, so the two points name both.
    pub fn take_agreed(&mut self, state: &SessionState, rekey: &mut Rekey, agreed: &Agreed) -> bool {
        let Agreed(exchanged) = agreed;
        let Some(awaited) = &self.awaited else { return false };
        let is_ours =
            self.share == Some(exchanged.client_public) && awaited.pair.public == exchanged.server_public;
        if is_ours {
            self.beside = Some(self.derive(state, rekey, &awaited.nonce, Some(exchanged)));
            // Dropped where it stands, so that it is wiped there.
            self.awaited = None;
        }
        is_ours
    }

    /// Computes here what `header` cannot wait for: it names the next generation, whose keys are not derived yet (§11.2.7). Once for each
    /// SHARE, so that who forges frames has no more computed than a client had asked for.
    pub(super) fn agree_for(
        &mut self,
        current: &SessionState,
        rekey: &mut Rekey,
        header: &Header,
        now_ms: u64,
    ) {
        let names_it = header.generation.checked_sub(1) == Some(current.generation());
        if !names_it || self.lacks_ack(header) || now_ms >= self.end_ms(current) {
            return;
        }
        if let Some(agreed) = self.agreement().and_then(|agreement| agreement.compute()) {
            self.take_agreed(current, rekey, &agreed);
        }
    }
}
