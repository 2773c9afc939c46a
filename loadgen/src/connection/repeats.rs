//! Requests that may be lost on their way: their bytes, to be sent again (SPEC §17.2.7).
//!
//! A request is sent again with the same bytes when no answer came for two round trips, or 100 ms, and then after twice as
//! long each time. The SDK waits for 10 ms: here an answer that is only late, because the server is loaded, must not make more
//! load. ERR REPLAY says that an earlier copy stands: its answer is awaited once more, and then the outcome is unknown.

use std::collections::VecDeque;

/// The first copy is waited for this long at least.
pub(super) const PAUSE_NS_MIN: u64 = 100_000_000;
/// And no copy for longer than this, but for paths that are slower.
const PAUSE_NS_MAX: u64 = 1_000_000_000;
/// A request not answered in this time is given up, ns.
pub const GIVE_UP_NS: u64 = 5_000_000_000;

/// A request: its generation and counter.
pub(super) type Name = (u16, u64);

/// What has become of a request that was not answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Send these bytes again.
    Again,
    /// An earlier copy stands, and its answer did not come: whether it was executed is not known.
    Unknown,
    /// Never answered.
    GivenUp,
}

#[derive(Debug)]
struct Entry {
    name: Name,
    /// Where its frame begins in the bytes kept, and its length; none once it is answered.
    begin: usize,
    length: usize,
    first_ns: u64,
    last_ns: u64,
    copies: u32,
    /// The server said REPLAY.
    is_replayed: bool,
}

/// The requests of one session in the order of sealing, from the oldest that waits on. Fewer than the server's replay window,
/// so that none is too old when it comes again.
#[derive(Debug)]
pub(super) struct Repeats {
    count_max: usize,
    entries: VecDeque<Entry>,
    /// The frames of all entries behind each other, behind those that nobody waits for any more.
    bytes: Vec<u8>,
}

impl Repeats {
    pub(super) fn new(replay_window_bits: u16) -> Self {
        let count_max = usize::from(replay_window_bits);
        Self { count_max, entries: VecDeque::new(), bytes: Vec::new() }
    }

    /// How many more requests may be sealed.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.count_max - self.entries.len()
    }

    /// Adds a request just sealed.
    pub(super) fn push(&mut self, name: Name, frame: &[u8], now_ns: u64) {
        self.reclaim();
        let (begin, length) = (self.bytes.len(), frame.len());
        self.bytes.extend_from_slice(frame);
        let (first_ns, last_ns) = (now_ns, now_ns);
        let entry = Entry { name, begin, length, first_ns, last_ns, copies: 1, is_replayed: false };
        self.entries.push_back(entry);
    }

    /// Forgets a request: it does not wait any more.
    pub(super) fn end(&mut self, name: Name) {
        if let Some(entry) = self.find(name) {
            entry.length = 0;
        }
        while self.entries.front().is_some_and(|entry| entry.length == 0) {
            self.entries.pop_front();
        }
    }

    /// Gives the room of answered requests back, once it is more than that of the others: so each byte is moved once.
    fn reclaim(&mut self) {
        let begin = self.entries.front().map_or(self.bytes.len(), |entry| entry.begin);
        if 2 * begin > self.bytes.len() {
            self.bytes.drain(..begin);
            self.entries.iter_mut().for_each(|entry| entry.begin -= begin);
        }
    }

    /// Notes that the server said REPLAY: no copy is sent any more, and an answer that is on its way has one more pause.
    pub(super) fn note_replayed(&mut self, name: Name, now_ns: u64) {
        if let Some(entry) = self.find(name)
            && !entry.is_replayed
        {
            (entry.is_replayed, entry.last_ns) = (true, now_ns);
        }
    }

    /// Judges every request that was not answered in time, and gives the frames to be sent again; when to ask again.
    pub(super) fn judge(
        &mut self,
        now_ns: u64,
        rtt_ns: u64,
        mut each: impl FnMut(Name, Fate, &[u8]),
    ) -> Option<u64> {
        let mut next_ns: Option<u64> = None;
        for entry in self.entries.iter_mut().filter(|entry| entry.length > 0) {
            let due_ns = entry.last_ns + pause_ns(rtt_ns, entry.copies);
            if due_ns <= now_ns {
                let fate = match entry.is_replayed {
                    true => Fate::Unknown,
                    false if now_ns - entry.first_ns >= GIVE_UP_NS => Fate::GivenUp,
                    false => Fate::Again,
                };
                each(entry.name, fate, &self.bytes[entry.begin..entry.begin + entry.length]);
                (entry.copies, entry.last_ns) = (entry.copies + 1, now_ns);
            }
            let due_ns = entry.last_ns + pause_ns(rtt_ns, entry.copies);
            next_ns = Some(next_ns.map_or(due_ns, |next_ns| next_ns.min(due_ns)));
        }
        next_ns
    }

    fn find(&mut self, name: Name) -> Option<&mut Entry> {
        // Sealed in this order: generation, then counter; of one generation each counter.
        let first = self.entries.front()?.name;
        let guess = usize::try_from(name.1.wrapping_sub(first.1)).unwrap_or(usize::MAX);
        let place = match self.entries.get(guess) {
            Some(entry) if entry.name == name => guess,
            _ => self.entries.binary_search_by_key(&name, |entry| entry.name).ok()?,
        };
        self.entries.get_mut(place)
    }
}

/// How long to wait after so many copies: twice as long each time.
fn pause_ns(rtt_ns: u64, copies: u32) -> u64 {
    let first_ns = (2 * rtt_ns).max(PAUSE_NS_MIN);
    (first_ns << copies.clamp(1, 8).saturating_sub(1)).min(PAUSE_NS_MAX.max(4 * rtt_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn fates(repeats: &mut Repeats, now_ns: u64) -> Vec<(u64, Fate, Vec<u8>)> {
        let mut fates = Vec::new();
        repeats.judge(now_ns, 0, |name, fate, frame| fates.push((name.1, fate, frame.to_vec())));
        fates
    }

    #[test]
    fn what_is_not_answered_is_sent_again_with_the_same_bytes_after_longer_and_longer_pauses() {
        let mut repeats = Repeats::new(64);
        repeats.push((0, 7), b"seven", 0);
        repeats.push((0, 8), b"eight", 0);
        assert_eq!(fates(&mut repeats, 99 * MS), []);
        repeats.end((0, 8));
        assert_eq!(fates(&mut repeats, 100 * MS), [(7, Fate::Again, b"seven".to_vec())]);
        assert_eq!(fates(&mut repeats, 299 * MS), []);
        assert_eq!(fates(&mut repeats, 300 * MS).len(), 1);
        assert_eq!(fates(&mut repeats, GIVE_UP_NS), [(7, Fate::GivenUp, b"seven".to_vec())]);
    }

    #[test]
    fn a_copy_that_stands_is_awaited_once_more_and_never_sent_again() {
        let mut repeats = Repeats::new(64);
        repeats.push((0, 0), b"frame", 0);
        assert_eq!(fates(&mut repeats, 100 * MS).len(), 1);
        repeats.note_replayed((0, 0), 110 * MS);
        repeats.note_replayed((0, 0), 250 * MS);
        assert_eq!(fates(&mut repeats, 309 * MS), []);
        assert_eq!(fates(&mut repeats, 310 * MS), [(0, Fate::Unknown, b"frame".to_vec())]);
    }

    /// A thousand rounds with some answers out of order: the bytes are those of their request, and the memory stays what it was.
    #[test]
    fn what_is_kept_is_bounded_and_each_frame_is_its_own() {
        let mut repeats = Repeats::new(64);
        for counter in 0..1000u64 {
            repeats.push((0, counter), &[counter as u8; 100], counter * MS);
            if counter >= 10 {
                // By pairs, the later one first.
                repeats.end((0, (counter - 10) ^ 1));
            }
            assert!(repeats.bytes.len() <= 64 * 100, "{} bytes", repeats.bytes.len());
        }
        let last = fates(&mut repeats, 2000 * MS);
        assert!((9..=12).contains(&last.len()), "{}", last.len());
        assert!(last.iter().all(|(counter, _, frame)| *frame == [*counter as u8; 100]));
    }

    /// SPEC §17.2.7: none is sealed whose counter is a window or more above one that may come again.
    #[test]
    fn the_oldest_that_waits_bounds_what_is_sealed() {
        let mut repeats = Repeats::new(64);
        for counter in 0..64 {
            assert!(repeats.room() > 0);
            repeats.push((u16::from(counter > 9), counter), b"frame", 0);
        }
        assert_eq!(repeats.room(), 0);
        for counter in 1..40 {
            repeats.end((u16::from(counter > 9), counter));
        }
        assert_eq!(repeats.room(), 0, "the first still waits");
        repeats.end((0, 0));
        assert_eq!(repeats.room(), 40);
    }
}
