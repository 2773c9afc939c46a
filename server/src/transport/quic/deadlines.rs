//! When each connection wants to be looked at, earliest first.

use std::{collections::BTreeSet, time::Instant};

use quinn_proto::ConnectionHandle;

/// At most one deadline for each connection.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queue: BTreeSet<(Instant, ConnectionHandle)>,
}

impl Deadlines {
    /// Replaces the deadline of `handle`, which was `old`.
    pub(super) fn replace(&mut self, handle: ConnectionHandle, old: Option<Instant>, new: Option<Instant>) {
        if let Some(old) = old {
            self.queue.remove(&(old, handle));
        }
        if let Some(new) = new {
            self.queue.insert((new, handle));
        }
    }

    /// The earliest of all.
    pub(super) fn first(&self) -> Option<Instant> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// The connection whose deadline passed first; it is without one now.
    pub(super) fn take_passed(&mut self, now: Instant) -> Option<ConnectionHandle> {
        let first = *self.queue.first()?;
        if first.0 > now {
            return None;
        }
        self.queue.remove(&first);
        Some(first.1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_comes_first_and_each_once() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let [a, b] = [ConnectionHandle(0), ConnectionHandle(1)];
        let mut deadlines = Deadlines::default();
        deadlines.replace(a, None, Some(at(20)));
        deadlines.replace(b, None, Some(at(10)));
        deadlines.replace(a, Some(at(20)), Some(at(5)));
        assert_eq!(deadlines.first(), Some(at(5)));
        assert_eq!(deadlines.take_passed(at(4)), None);
        assert_eq!(deadlines.take_passed(at(30)), Some(a));
        assert_eq!(deadlines.take_passed(at(30)), Some(b));
        assert_eq!(deadlines.take_passed(at(30)), None);
    }
}
