//! When each session is to be looked at next: a wheel of lists, one list for each tick, whose turn is one slot long.
//!
//! Nothing a session waits for is further away than its next slot, so one wheel of one slot's length is enough. The lists
//! run through one array of links beside the sessions, 8 bytes each: a place joins, moves and leaves without memory being
//! asked for, and a place that left is in no list when it is used again.

use mvt_proto::constants::SLOT_BITS;

/// A tick is 2^6 ms.
const TICK_BITS: u32 = 6;
/// Lists: one turn of the wheel is one slot.
const LISTS: usize = 1 << (SLOT_BITS - TICK_BITS);
/// The end of a list.
const NONE: u32 = u32::MAX;
/// In `Link::previous`: what precedes is no place but the head of a list, whose number is in the other bits.
const HEAD: u32 = 1 << 31;
/// Places a wheel can hold.
pub(super) const PLACES_MAX: usize = HEAD as usize - 1;

/// A place in no list is its own next.
#[derive(Debug, Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
}

/// Places with the tick at which each is due.
///
/// Invariants: list `t % LISTS` holds the places of tick t for `hand ≤ t < hand + LISTS`; every tick before `hand` has been
/// looked at whole; no place is in two lists.
#[derive(Debug)]
pub(super) struct Wheel {
    heads: Box<[u32]>,
    links: Vec<Link>,
    hand: u64,
    len: usize,
}

impl Wheel {
    /// For places 0 to `most`.
    pub(super) fn new(most: usize) -> Self {
        assert!(most <= PLACES_MAX, "a link has 31 bits for a place");
        // The kernel gives memory only to what is touched.
        Self { heads: vec![NONE; LISTS].into(), links: Vec::with_capacity(most), hand: 0, len: 0 }
    }

    /// Puts `place`, which is in no list, where it is found when `due_ms` has passed; `now_ms` never goes back. What is due
    /// later than one turn from the hand is found at the end of that turn, too early, and to be put again.
    pub(super) fn put(&mut self, place: u32, due_ms: u64, now_ms: u64) {
        if self.len == 0 {
            self.hand = self.hand.max(now_ms >> TICK_BITS);
        }
        // Rounded up: found when due, not before. Behind the hand: what was just looked at is not found again at once.
        let tick = due_ms.div_ceil(1 << TICK_BITS).clamp(self.hand + 1, self.hand + LISTS as u64 - 1);
        let list = (tick % LISTS as u64) as u32;
        let at = place as usize;
        if at >= self.links.len() {
            let unlinked = self.links.len() as u32..=place;
            self.links.extend(unlinked.map(|place| Link { previous: NONE, next: place }));
        }
        debug_assert_eq!(self.links[at].next, place, "in no list");
        let first = self.heads[list as usize];
        self.links[at] = Link { previous: HEAD | list, next: first };
        if first != NONE {
            self.links[first as usize].previous = place;
        }
        self.heads[list as usize] = place;
        self.len += 1;
    }

    /// Takes `place` out of its list.
    pub(super) fn remove(&mut self, place: u32) {
        let Link { previous, next } = self.links[place as usize];
        debug_assert_ne!(next, place, "in a list");
        if previous & HEAD != 0 {
            self.heads[(previous & !HEAD) as usize] = next;
        } else {
            self.links[previous as usize].next = next;
        }
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        self.links[place as usize] = Link { previous: NONE, next: place };
        self.len -= 1;
    }

    /// Takes a place that is due at `now_ms`, or a turn's end too early; `None` when there is none.
    #[inline]
    pub(super) fn take_due(&mut self, now_ms: u64) -> Option<u32> {
        let now = now_ms >> TICK_BITS;
        if self.len == 0 {
            return None;
        }
        // After a longer pause every list is due: each is looked at once.
        self.hand = self.hand.max((now + 1).saturating_sub(LISTS as u64));
        while self.hand <= now {
            let first = self.heads[(self.hand % LISTS as u64) as usize];
            if first != NONE {
                self.remove(first);
                return Some(first);
            }
            self.hand += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    const SLOT_MS: u64 = 1 << SLOT_BITS;
    const TICK_MS: u64 = 1 << TICK_BITS;

    #[derive(Debug, Clone)]
    enum Step {
        /// Due after so many ms; a place that is in the wheel is moved.
        Put(u32, u64),
        Remove(u32),
        /// Time passes, and so many due places are taken at most.
        Pass(u64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let pause = prop_oneof![4 => 0..200u64, 2 => 0..5_000u64, 1 => 0..SLOT_MS, 1 => 0..20 * SLOT_MS];
        prop_oneof![
            4 => (0..40u32, 1..=SLOT_MS).prop_map(|(place, after)| Step::Put(place, after)),
            1 => (0..40u32).prop_map(Step::Remove),
            3 => (pause, 0..30usize).prop_map(|(pause, most)| Step::Pass(pause, most)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// The model is a map of deadlines. A place that is found before its time is put back with its old deadline, as a
        /// session is.
        #[test]
        fn what_is_due_is_found_and_nothing_else_leaves(
            steps in prop::collection::vec(step(), 1..200),
            origin_ms in 0..4 * SLOT_MS,
        ) {
            let mut wheel = Wheel::new(64);
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now_ms = origin_ms;
            for step in steps {
                match step {
                    Step::Put(place, after_ms) => {
                        if model.insert(place, now_ms + after_ms).is_some() {
                            wheel.remove(place);
                        }
                        wheel.put(place, now_ms + after_ms, now_ms);
                    }
                    Step::Remove(place) => {
                        if model.remove(&place).is_some() {
                            wheel.remove(place);
                        }
                    }
                    Step::Pass(pause_ms, most) => {
                        now_ms += pause_ms;
                        let mut found = 0;
                        // A place found too early costs a look, not a find.
                        for looks in 0.. {
                            prop_assert!(looks <= 2 * 40 + most, "looks are bounded by the places");
                            if found == most {
                                break;
                            }
                            let Some(place) = wheel.take_due(now_ms) else {
                                let late = model.values().filter(|due| **due + 2 * TICK_MS <= now_ms).count();
                                prop_assert_eq!(late, 0, "nothing due is left behind");
                                break;
                            };
                            let due_ms = model[&place];
                            if due_ms <= now_ms {
                                model.remove(&place);
                                found += 1;
                            } else {
                                wheel.put(place, due_ms, now_ms);
                            }
                        }
                    }
                }
                prop_assert_eq!(wheel.len, model.len());
            }
            // Everything is found in the end, each once.
            now_ms += 2 * SLOT_MS;
            let found: BTreeSet<u32> = std::iter::from_fn(|| wheel.take_due(now_ms)).collect();
            prop_assert_eq!(found, model.keys().copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(wheel.len, 0);
        }
    }

    #[test]
    fn nothing_is_found_before_its_time_while_the_hand_keeps_up() {
        let mut wheel = Wheel::new(4);
        let start_ms = 1_000_000;
        wheel.put(0, start_ms + SLOT_MS - TICK_MS, start_ms);
        for now_ms in start_ms..start_ms + SLOT_MS - TICK_MS {
            assert_eq!(wheel.take_due(now_ms), None, "{now_ms}");
        }
        assert_eq!(wheel.take_due(start_ms + SLOT_MS), Some(0));
    }
}
