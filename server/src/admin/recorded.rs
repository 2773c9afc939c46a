//! How often clients recovered of late (SPEC §13.2.3).

use hashbrown::HashMap;
use mvt_proto::{
    ClientId,
    constants::{RECOVERIES_MAX, RECOVERY_INTERVAL_MS},
};

/// The recoveries of the last hour, in the memory of this process: only what was recorded counts.
#[derive(Debug, Default)]
pub struct Recorded {
    times: HashMap<ClientId, Vec<u64>>,
}

impl Recorded {
    /// Whether `client` may recover at `now_ms`.
    pub fn allows(&mut self, client: &ClientId, now_ms: u64) -> bool {
        self.times.retain(|_, times| {
            times.retain(|then| now_ms.saturating_sub(*then) < RECOVERY_INTERVAL_MS);
            !times.is_empty()
        });
        self.times.get(client).is_none_or(|times| times.len() < RECOVERIES_MAX as usize)
    }

    /// Counts a recovery that was recorded.
    pub fn note(&mut self, client: ClientId, now_ms: u64) {
        self.times.entry(client).or_default().push(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// §13.2.3
    #[test]
    fn five_recoveries_an_hour_are_allowed_to_each_client() {
        let (alice, bob) = (ClientId::of_name("alice"), ClientId::of_name("bob"));
        let mut recorded = Recorded::default();
        for number in 0..5 {
            assert!(recorded.allows(&alice, number * 1_000), "{number}");
            recorded.note(alice, number * 1_000);
        }
        assert!(!recorded.allows(&alice, 3_599_999));
        assert!(recorded.allows(&bob, 3_599_999));
        assert!(recorded.allows(&alice, 3_600_000), "the first is an hour old");
        recorded.note(alice, 3_600_000);
        assert!(!recorded.allows(&alice, 3_600_999));
    }
}
