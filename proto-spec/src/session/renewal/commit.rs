//! Commit by use, then drain (SPEC §11.3).

use core::mem;

use crate::{
    Reject,
    constants::{DRAIN_MS_MAX, DRAIN_MS_MIN},
    session::{
        Authentic, Exchange, Refused, Rekey, SessionState,
        renewal::{Generation, Renewal},
        state::Phase,
    },
};

/// A generation in the current place, which a swap may change.
#[derive(Debug)]
pub struct Current<'s> {
    /// Its state.
    pub state: &'s mut SessionState,
    /// The words of its window.
    pub window: &'s mut [u64],
    /// Its control keys.
    pub rekey: &'s mut Rekey,
}

impl Current<'_> {
    /// Replay, for a frame that [`SessionState::judges`] does not: of either generation of `renewal`, or one that a `last` ends
    /// or follows.
    ///
    /// # Errors
    /// [`Refused`]: as [`SessionState::commit`], and `Ended`.
    pub fn commit<K>(
        &mut self,
        renewal: Option<&mut Renewal>,
        authentic: Authentic<K>,
        now_ms: u64,
    ) -> Result<Exchange<K>, Refused<K>> {
        if authentic.generation == self.state.generation() {
            let has_successor = self.state.is_in(Phase::OFFERED);
            return commit(self.state, self.rekey, self.window, has_successor, authentic);
        }
        let renewal = renewal.expect("a frame is authentic under a key that is held");
        let beside = renewal.beside.as_mut().expect("as above");
        let Generation { state, rekey, window } = beside;
        let is_draining = renewal.until_ms.is_some();
        let verdict = commit(state, rekey, window, is_draining, authentic);
        // Used at all: its first request was recorded.
        if !is_draining && beside.state.is_confirmed() {
            renewal.swap(self, now_ms);
        }
        if renewal.is_spent() {
            self.state.enter(Phase::SPENT);
        }
        verdict
    }
}

/// [`SessionState::commit`] with what `last` means: once the next generation is offered, the first that is recorded decides
/// (§11.3.3). The order is limit, window, `Ended`, time.
fn commit<K>(
    state: &mut SessionState,
    rekey: &mut Rekey,
    window: &mut [u64],
    has_successor: bool,
    authentic: Authentic<K>,
) -> Result<Exchange<K>, Refused<K>> {
    let (counter, is_last) = (authentic.counter, authentic.last);
    let is_ended = state.is_in(Phase::ENDED);
    if is_ended && counter > u64::from(rekey.last) && state.test(window, counter).is_ok() {
        return Err(Refused { reject: Reject::Ended, exchange: Exchange { key: authentic.key } });
    }
    let verdict = state.commit(window, authentic);
    let is_recorded = verdict.as_ref().err().is_none_or(|refused| refused.reject == Reject::Stale);
    if is_recorded && is_last && has_successor && !is_ended {
        state.enter(Phase::ENDED);
        // Recorded, hence below the hard limit, which has 32 bits.
        rekey.last = counter as u32;
    }
    verdict
}

impl Renewal {
    /// Whether nothing of the generation that drains can be accepted any more: a `last` decided, and every counter up to it is
    /// recorded or below the window. Not where the OFFER was sent twice: its client may answer the second one with a SHARE,
    /// which is to open (§11.3.8).
    fn is_spent(&self) -> bool {
        let is_last_known = |beside: &&Generation| beside.state.is_in(Phase::ENDED);
        let drained = self.beside.as_ref().filter(|_| self.until_ms.is_some()).filter(is_last_known);
        let is_spent = |Generation { state, rekey, window }: &Generation| {
            state.has_recorded_all(window, u64::from(rekey.last) + 1)
        };
        self.sent_ms == self.offered_ms && drained.is_some_and(is_spent)
    }

    /// Cuts the drain of a generation short that can accept nothing any more, because the next OFFER waits for its end: it is
    /// over with this millisecond, so that frames judged at one instant find one answer.
    pub fn cut(&mut self, state: &mut SessionState, now_ms: u64) {
        if state.is_spent() {
            self.until_ms = self.until_ms.map(|until| until.min(now_ms + 1));
            state.enter(Phase::CUT);
        }
    }

    /// The offered generation becomes `current`, and what was current drains (§11.3.2, §11.3.4).
    fn swap(&mut self, current: &mut Current<'_>, now_ms: u64) {
        let Some(beside) = &mut self.beside else { return };
        mem::swap(current.state, &mut beside.state);
        mem::swap(current.rekey, &mut beside.rekey);
        current.window.swap_with_slice(&mut beside.window);
        current.state.enter(Phase::DRAINING);
        beside.state.leave(Phase::OFFERED);
        let waited_ms = now_ms.saturating_sub(self.offered_ms);
        let drain_ms = waited_ms.saturating_mul(4).saturating_add(DRAIN_MS_MIN).min(DRAIN_MS_MAX);
        self.until_ms = Some((now_ms + drain_ms).min(beside.state.hard_deadline_ms()));
    }
}
