//! One accept queue: the connections of some addresses, as far as they were taken in, and what became of them.

use std::net::IpAddr;

use mvt_sys::port_steering::Source;

use crate::{
    limits::{
        ACCEPTS_PER_INTERVAL_MAX, ACCEPTS_STRANGE_MAX, BACKLOG_CROWDED, BACKLOG_STRANGE, STRANGERS_FREE,
        UNKNOWN_MAX,
    },
    shard::suspect::Suspect,
};

/// What is remembered of one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AcceptQueue {
    /// Connections taken in during this interval.
    taken_count: u32,
    /// Open ones of which nothing is known yet.
    unknown_count: u32,
    /// Of those that ended, how many never had a session; half of them forgotten now and then.
    strangers: u32,
    /// Those that had one, likewise.
    guests: u32,
    /// While most are strangers: what may yet be taken in during this interval.
    credit: u32,
    /// Who they were.
    suspect: Suspect,
    /// How many connections of it the kernel was told to hold.
    backlog: Backlog,
}

impl AcceptQueue {
    pub(super) const fn note_taken(&mut self) {
        self.taken_count += 1;
        self.unknown_count += 1;
        self.credit = self.credit.saturating_sub(1);
    }

    pub(super) const fn note_guest(&mut self) {
        self.unknown_count = self.unknown_count.saturating_sub(1);
        self.guests = self.guests.saturating_add(1);
    }

    pub(super) fn note_stranger(&mut self, address: IpAddr) {
        self.suspect.note(address);
        self.unknown_count = self.unknown_count.saturating_sub(1);
        let was_strange = self.is_strange();
        self.strangers = self.strangers.saturating_add(1);
        if self.is_strange() && !was_strange {
            self.credit = ACCEPTS_STRANGE_MAX.saturating_sub(self.taken_count);
        }
    }

    /// Whether most of what comes ends as a stranger.
    pub(super) const fn is_strange(&self) -> bool {
        self.strangers > STRANGERS_FREE && self.strangers > self.guests
    }

    /// Whether so many of it are there that have not shown what they are that it is not free any more.
    const fn is_crowded(&self) -> bool {
        self.unknown_count > UNKNOWN_MAX
    }

    /// Whether a connection of it is to be taken in, where those that are not strange took in `taken_count` in this interval and have a
    /// bound for it or none.
    pub(super) fn is_open(&self, bound: Option<u32>, taken_count: u32) -> bool {
        if self.is_strange() {
            return self.credit > 0;
        }
        let bound = bound.or(self.is_crowded().then_some(ACCEPTS_PER_INTERVAL_MAX));
        self.taken_count == 0 || bound.is_none_or(|bound| taken_count < bound)
    }

    /// Whom it suffers from, if it is one or one prefix.
    pub(super) fn suspect(&self) -> Option<Source> {
        self.suspect.name()
    }

    /// Those it suffered from come elsewhere from now on.
    pub(super) fn forgive(&mut self) {
        self.strangers = 0;
        self.suspect = Suspect::default();
    }

    pub(super) const fn unknown_count(&self) -> u32 {
        self.unknown_count
    }

    pub(super) const fn begin_interval(&mut self, credit: u32) {
        self.taken_count = 0;
        self.credit = credit;
    }

    pub(super) const fn forget_half(&mut self) {
        self.strangers /= 2;
        self.guests /= 2;
        self.suspect.forget_half();
    }

    pub(super) const fn note_unknown(&mut self) {
        self.unknown_count += 1;
    }

    /// Forgets all but what the kernel was told.
    pub(super) fn move_away(&mut self) {
        *self = Self { backlog: self.backlog, ..Self::default() };
    }

    /// How many the kernel is to hold of it from now on, if that is news; `is_crowded`: all queues together are.
    pub(super) fn next_backlog(&mut self, is_crowded: bool) -> Option<Backlog> {
        let backlog = match (self.is_strange(), is_crowded || self.is_crowded()) {
            (true, _) => Backlog::Narrow,
            (false, true) => Backlog::Middle,
            (false, false) => Backlog::Wide,
        };
        (std::mem::replace(&mut self.backlog, backlog) != backlog).then_some(backlog)
    }
}

/// How many connections the kernel holds before they are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backlog {
    /// A burst of honest clients.
    #[default]
    Wide,
    /// What is out of the way soon, should it turn out to be a flood: until half-open ones end nobody knows.
    Middle,
    /// What is accepted within a moment.
    Narrow,
}

impl Backlog {
    /// As listen(2) takes it.
    #[must_use]
    pub const fn count(self) -> i32 {
        match self {
            Self::Wide => mvt_sys::socket::LISTEN_BACKLOG,
            Self::Middle => BACKLOG_CROWDED,
            Self::Narrow => BACKLOG_STRANGE,
        }
    }
}
