//! Lines: accepted connections, each a direct descriptor of the ring, or a client's own, with what is under way on them.

use std::net::TcpStream;

/// Names a line; a direct descriptor used again has another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LineId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl LineId {
    /// The number of the direct descriptor: small and dense, an index for tables beside the ring.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// The multishot receive of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Receive {
    #[default]
    Idle,
    Armed,
    /// Armed, and a cancellation is under way.
    Cancelling,
}

/// A send in flight: the kernel reads `buffer` from `begin` on until its completion.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) buffer: Vec<u8>,
    pub(super) begin: usize,
}

/// One line.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) generation: u32,
    pub(super) is_open: bool,
    pub(super) is_shutting_down: bool,
    pub(super) receive: Receive,
    pub(super) sending: Option<Sending>,
    /// The connection of an adopted line; an accepted one is a direct descriptor.
    pub(super) stream: Option<TcpStream>,
}

impl Line {
    /// Whether no operation is in flight on it.
    pub(super) fn is_idle(&self) -> bool {
        self.receive == Receive::Idle && self.sending.is_none() && !self.is_shutting_down
    }
}

/// The lines of a ring, by direct descriptor; grows as the kernel hands descriptors out.
#[derive(Debug, Default)]
pub(super) struct Lines {
    places: Vec<Line>,
}

impl Lines {
    /// A line for `stream` at the first free place.
    pub(super) fn adopt(&mut self, stream: TcpStream) -> LineId {
        let free = self.places.iter().position(|line| !line.is_open);
        let id = self.open(free.unwrap_or(self.places.len()) as u32);
        self.places[id.index()].stream = Some(stream);
        id
    }

    /// The line at a direct descriptor that accept just gave.
    pub(super) fn open(&mut self, index: u32) -> LineId {
        let place = index as usize;
        if place >= self.places.len() {
            self.places.resize_with(place + 1, Line::default);
        }
        let line = &mut self.places[place];
        assert!(!line.is_open && line.is_idle(), "the kernel gives a free descriptor");
        line.generation = line.generation.wrapping_add(1);
        line.is_open = true;
        LineId { index, generation: line.generation }
    }

    /// The open line of that name.
    ///
    /// # Panics
    /// When it is closed: names are dropped with the line.
    pub(super) fn open_mut(&mut self, id: LineId) -> &mut Line {
        let line = &mut self.places[id.index()];
        assert!(line.is_open && line.generation == id.generation, "an open line");
        line
    }

    /// The line a completion is for; `None` when its place has another one by now, or is closed.
    pub(super) fn completed_mut(&mut self, id: LineId) -> Option<&mut Line> {
        let line = self.places.get_mut(id.index())?;
        (line.is_open && line.generation == id.generation).then_some(line)
    }
}
