//! What the driver keeps of each connection, by its line and by its name in the shard.

use mvt_sys::uring::LineId;

use crate::shard::ConnectionId;

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) id: ConnectionId,
    /// Nothing more is received: the peer is done, the connection is broken or cut off.
    pub(super) is_deaf: bool,
    /// Nothing more is sent: all was, the connection is broken or cut off.
    pub(super) is_mute: bool,
    /// The peer is being told, or was told, that nothing more comes.
    pub(super) is_shut_down: bool,
    /// Out of time: whatever is under way is stopped.
    pub(super) is_cut_off: bool,
    /// Something is to be done when the send under way has ended.
    pub(super) awaits_send: bool,
}

/// Both tables name the same connections.
#[derive(Debug, Default)]
pub(super) struct Wires {
    by_line: Vec<Option<(LineId, Wire)>>,
    by_connection: Vec<Option<(ConnectionId, LineId)>>,
}

impl Wires {
    pub(super) fn insert(&mut self, line: LineId, id: ConnectionId) {
        let wire = Wire {
            id,
            is_deaf: false,
            is_mute: false,
            is_shut_down: false,
            is_cut_off: false,
            awaits_send: false,
        };
        put(&mut self.by_line, line.index(), (line, wire));
        put(&mut self.by_connection, id.index(), (id, line));
    }

    pub(super) fn get(&self, line: LineId) -> Option<&Wire> {
        let (name, wire) = self.by_line.get(line.index())?.as_ref()?;
        (*name == line).then_some(wire)
    }

    pub(super) fn get_mut(&mut self, line: LineId) -> Option<&mut Wire> {
        let (name, wire) = self.by_line.get_mut(line.index())?.as_mut()?;
        (*name == line).then_some(wire)
    }

    pub(super) fn line_of(&self, id: ConnectionId) -> Option<LineId> {
        let (name, line) = self.by_connection.get(id.index())?.as_ref()?;
        (*name == id).then_some(*line)
    }

    pub(super) fn remove(&mut self, line: LineId) {
        if let Some(id) = self.get(line).map(|wire| wire.id) {
            self.by_line[line.index()] = None;
            self.by_connection[id.index()] = None;
        }
    }
}

fn put<T>(table: &mut Vec<Option<T>>, index: usize, value: T) {
    if index >= table.len() {
        table.resize_with(index + 1, || None);
    }
    table[index] = Some(value);
}
