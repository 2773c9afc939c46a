//! Frames that wait for room at the shard that owns their key. Their connections are not read meanwhile, so what waits is what had
//! been read of them.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::{
    limits::{HELD_BYTES_MAX, STALL_MS},
    shard::ConnectionId,
};

/// What waits of one connection, in the order received: the first for its owner, the others behind it whoever owns them.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The shard without room.
    pub(super) owner: usize,
    pub(super) frames: VecDeque<Box<[u8]>>,
    /// Since when nothing of it has moved.
    since_ms: u64,
}

/// Empty in the steady state. Invariant: `bytes` is the sum of all frames, and is at most [`HELD_BYTES_MAX`].
#[derive(Debug, Default)]
pub(super) struct Held {
    by_connection: HashMap<ConnectionId, Waiting>,
    /// Whose turn it is; some may be gone.
    order: VecDeque<ConnectionId>,
    bytes: usize,
}

impl Held {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.by_connection.is_empty()
    }

    #[inline]
    pub(super) fn holds(&self, id: ConnectionId) -> bool {
        !self.is_empty() && self.by_connection.contains_key(&id)
    }

    /// The same for all lanes of its connection.
    pub(super) fn holds_any(&self, connection: ConnectionId) -> bool {
        !self.is_empty() && self.by_connection.keys().any(|id| id.by(0) == connection.by(0))
    }

    /// Whose room the first frame of `id` waits for, and its bytes.
    pub(super) fn first_of(&self, id: ConnectionId) -> Option<(usize, usize)> {
        let waiting = self.by_connection.get(&id)?;
        Some((waiting.owner, waiting.frames.front()?.len()))
    }

    /// Keeps a frame behind those of its connection that wait; `owner` is whose room the first waits for. False when there is no
    /// room for it here either.
    #[cold]
    pub(super) fn push(&mut self, id: ConnectionId, owner: usize, frame: Box<[u8]>, now_ms: u64) -> bool {
        if self.bytes + frame.len() > HELD_BYTES_MAX {
            return false;
        }
        self.bytes += frame.len();
        let waiting = self.by_connection.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            Waiting { owner, frames: VecDeque::new(), since_ms: now_ms }
        });
        waiting.frames.push_back(frame);
        true
    }

    /// The next connection in turn with all that waits of it, until [`Held::push`] puts it back.
    pub(super) fn take_next(&mut self) -> Option<(ConnectionId, Waiting)> {
        loop {
            let id = self.order.pop_front()?;
            if let Some(waiting) = self.take(id) {
                return Some((id, waiting));
            }
        }
    }

    /// Puts back what was taken and did not move; nothing came in between.
    pub(super) fn put_back(&mut self, id: ConnectionId, waiting: Waiting) {
        self.bytes += bytes_of(&waiting);
        self.order.push_back(id);
        self.by_connection.insert(id, waiting);
    }

    /// Forgets what waits of a connection, by whichever lane; how many frames it was.
    #[cold]
    pub(super) fn forget(&mut self, connection: ConnectionId) -> usize {
        let lanes: Vec<ConnectionId> =
            self.by_connection.keys().filter(|id| id.by(0) == connection.by(0)).copied().collect();
        self.order.retain(|id| id.by(0) != connection.by(0));
        lanes.into_iter().filter_map(|id| self.take(id)).map(|waiting| waiting.frames.len()).sum()
    }

    /// Connections of which nothing has moved for too long.
    pub(super) fn overdue(&self, now_ms: u64) -> Vec<ConnectionId> {
        let is_overdue = |waiting: &Waiting| now_ms.saturating_sub(waiting.since_ms) > STALL_MS;
        self.by_connection.iter().filter(|(_, waiting)| is_overdue(waiting)).map(|(id, _)| *id).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.by_connection.len()
    }

    fn take(&mut self, id: ConnectionId) -> Option<Waiting> {
        let waiting = self.by_connection.remove(&id)?;
        self.bytes -= bytes_of(&waiting);
        Some(waiting)
    }
}

fn bytes_of(waiting: &Waiting) -> usize {
    waiting.frames.iter().map(|frame| frame.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConnectionId = ConnectionId { index: 3, generation: 1, lane: 0 };

    fn frame(bytes: usize) -> Box<[u8]> {
        vec![0; bytes].into()
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_forgotten_makes_room() {
        let mut held = Held::default();
        assert!(held.push(ID, 1, frame(HELD_BYTES_MAX - 1), 0) && held.push(ID.by(2), 1, frame(1), 0));
        assert!(!held.push(ID, 1, frame(1), 0));
        assert!(held.holds(ID) && held.holds(ID.by(2)) && !held.holds(ID.by(1)) && held.holds_any(ID.by(1)));
        assert_eq!(held.forget(ID.by(1)), 2, "of every lane");
        assert!(held.is_empty() && held.take_next().is_none());
        assert!(held.push(ID, 1, frame(HELD_BYTES_MAX), 0));
    }

    #[test]
    fn connections_have_their_turn_and_their_time() {
        let mut held = Held::default();
        let other = ConnectionId { index: 4, ..ID };
        assert!(
            held.push(ID, 1, frame(5), 10)
                && held.push(other, 2, frame(6), 11)
                && held.push(ID, 9, frame(7), 12)
        );
        assert_eq!(held.overdue(10 + STALL_MS), []);
        assert_eq!(held.overdue(11 + STALL_MS), [ID], "since its first");
        let (id, waiting) = held.take_next().expect("two wait");
        assert_eq!((id, waiting.owner, waiting.frames.len(), held.len()), (ID, 1, 2, 1));
        held.put_back(id, waiting);
        assert_eq!(held.take_next().map(|(id, _)| id), Some(other));
        assert_eq!(held.take_next().map(|(id, _)| id), Some(ID));
        assert_eq!(held.bytes, 0);
    }
}
