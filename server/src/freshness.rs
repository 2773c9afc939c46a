//! How old the node's knowledge of revocations may be (SPEC §12.2): a node that follows another's store refuses what it can no
//! longer judge.

use std::sync::atomic::{AtomicU64, Ordering};

/// The bounds, and the time up to which revocations are known.
#[derive(Debug)]
pub struct Freshness {
    as_of_ms: AtomicU64,
    resume_stale_ms: u64,
    login_stale_ms: u64,
}

impl Freshness {
    /// Of a node that knows all there is, until told otherwise.
    #[must_use]
    pub const fn new(resume_stale_ms: u64, login_stale_ms: u64) -> Self {
        Self { as_of_ms: AtomicU64::new(u64::MAX), resume_stale_ms, login_stale_ms }
    }

    /// Revocations are known up to this server time; `None` when they are made here.
    pub fn note(&self, as_of_ms: Option<u64>) {
        self.as_of_ms.store(as_of_ms.unwrap_or(u64::MAX), Ordering::Release);
    }

    fn age_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.as_of_ms.load(Ordering::Acquire))
    }

    /// Whether a ticket may be judged now.
    #[must_use]
    pub fn allows_resume(&self, now_ms: u64) -> bool {
        self.age_ms(now_ms) <= self.resume_stale_ms
    }

    /// Whether anybody may be let in now.
    #[must_use]
    pub fn allows_login(&self, now_ms: u64) -> bool {
        self.age_ms(now_ms) <= self.login_stale_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_knowledge_refuses_tickets_first_and_logins_then() {
        let freshness = Freshness::new(60, 600);
        assert!(freshness.allows_resume(u64::MAX) && freshness.allows_login(u64::MAX), "its own store");
        freshness.note(Some(1000));
        for (now_ms, resume, login) in [
            (0, true, true),
            (1060, true, true),
            (1061, false, true),
            (1600, false, true),
            (1601, false, false),
        ] {
            let found = (freshness.allows_resume(now_ms), freshness.allows_login(now_ms));
            assert_eq!(found, (resume, login), "{now_ms}");
        }
        freshness.note(None);
        assert!(freshness.allows_login(u64::MAX));
    }
}
