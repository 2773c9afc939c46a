//! The connections of a shard: places that are reused, with a generation against stale names.

use std::collections::VecDeque;

use crate::shard::connection::{Connection, ConnectionId};

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    connection: Option<Box<Connection>>,
}

/// At most `most` connections. Invariant: `free` holds the places without a connection.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    places: Vec<Place>,
    free: Vec<u32>,
    dirty: VecDeque<ConnectionId>,
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self { most, places: Vec::new(), free: Vec::new(), dirty: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, connection: Connection) -> Option<ConnectionId> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.places.len() < self.most => {
                self.places.push(Place::default());
                (self.places.len() - 1) as u32
            }
            None => return None,
        };
        let place = &mut self.places[index as usize];
        place.generation = place.generation.wrapping_add(1);
        place.connection = Some(Box::new(connection));
        Some(ConnectionId { index, generation: place.generation, lane: 0 })
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> bool {
        let Some(place) = self.places.get_mut(id.index as usize) else { return false };
        if place.generation != id.generation || place.connection.take().is_none() {
            return false;
        }
        self.free.push(id.index);
        true
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        let place = self.places.get(id.index as usize)?;
        (place.generation == id.generation).then_some(place.connection.as_deref()).flatten()
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let place = self.places.get_mut(id.index as usize)?;
        (place.generation == id.generation).then_some(place.connection.as_deref_mut()).flatten()
    }

    /// Puts `id` into the list of those with something for the driver, once.
    pub(super) fn mark_dirty(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get_mut(id)
            && !std::mem::replace(&mut connection.is_dirty, true)
        {
            self.dirty.push_back(id.by(0));
        }
    }

    /// Takes the next out of the list: what comes for it from now on puts it there again, be what it had taken or not.
    pub(super) fn next_dirty(&mut self) -> Option<ConnectionId> {
        let id = self.dirty.pop_front()?;
        if let Some(connection) = self.get_mut(id) {
            connection.is_dirty = false;
        }
        Some(id)
    }

    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        (0..self.places.len()).filter_map(|index| self.id_at(index)).collect()
    }

    /// Places, with or without a connection, for a sweep.
    pub(super) fn place_count(&self) -> usize {
        self.places.len()
    }

    /// The connection at a place.
    pub(super) fn id_at(&self, index: usize) -> Option<ConnectionId> {
        let place = self.places.get(index)?;
        place.connection.as_ref()?;
        Some(ConnectionId { index: index as u32, generation: place.generation, lane: 0 })
    }
}
