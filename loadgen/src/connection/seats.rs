//! The sessions of one connection, usually one.

use std::collections::HashMap;

use mvt_proto::{
    Header, Kind, Role,
    constants::UNVERIFIED_PER_CONNECTION_MAX,
    framer::{self, Cut},
};

use super::{
    Arrival, Turn,
    established::{Draw, Established, SOME},
    login::{ChannelBinding, Login, Wish},
    outgoing::Outgoing,
    repeats::PAUSE_NS_MIN,
    seat::Seat,
};
use crate::{
    clock,
    phase::Phase,
    tally::Tally,
    target::Parties,
    trouble::Trouble,
    workload::{Answers, Picker, Workload},
};

/// Logins under way on one connection at once.
pub const LOGINS_AT_ONCE_MAX: usize = 8;
/// Forged frames on one connection: at one more the server closes it (SPEC §9.4), so another one is made before.
pub const FORGED_COUNT_MAX: u32 = UNVERIFIED_PER_CONNECTION_MAX - 1;
/// Seats whose limits are looked at in one turn.
const LOOKS: usize = 8;

/// All sessions of a connection.
#[derive(Debug)]
pub(super) struct Seats {
    seats: Vec<Seat>,
    /// The seat of each session, when there are several; sessions of before may stand in it.
    by_key_id: HashMap<u64, usize>,
    /// Seats with a login under way.
    logging_in: Vec<usize>,
    login_count: u64,
    established_count: usize,
    picker: Picker,
    draw: Draw,
    /// Requests are answered together where the server can (SPEC §7.4).
    is_joint: bool,
    /// Requests may be lost on their way.
    loses: bool,
    /// When some may have been, at the earliest.
    repeat_ns: Option<u64>,
    waiting: usize,
    /// Seats whose last requests the kernel has not seen.
    unstamped: Vec<usize>,
    held: bool,
    /// The seat to look at next.
    cursor: usize,
}

impl Seats {
    /// Of connection `of_all`; identities are dealt to the sessions of all connections in turn.
    pub(super) fn new(parties: &Parties, workload: &Workload, of_all: usize, loses: bool) -> Self {
        let count = workload.sessions_of(of_all).max(1);
        let first: usize = (0..of_all).map(|other| workload.sessions_of(other)).sum();
        let identities = parties.identities.len();
        let seat = |index| Seat::of((first + index) % identities);
        Self {
            seats: (0..count).map(seat).collect(),
            by_key_id: HashMap::new(),
            logging_in: Vec::new(),
            login_count: 0,
            established_count: 0,
            picker: Picker::new(workload.popularity, count),
            draw: Draw::new(workload, of_all, FORGED_COUNT_MAX),
            is_joint: workload.answers == Answers::Joint,
            loses,
            repeat_ns: None,
            waiting: 0,
            unstamped: Vec::new(),
            held: false,
            cursor: 0,
        }
    }

    pub(super) const fn is_established(&self) -> bool {
        self.established_count == self.seats.len()
    }

    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    #[inline]
    pub(super) fn can_seal(&self) -> bool {
        !self.held && self.is_established() && self.seats.iter().any(Seat::can_seal)
    }

    pub(super) const fn hold(&mut self, held: bool) {
        self.held = held;
    }

    pub(super) const fn is_quiet(&self) -> bool {
        self.logging_in.is_empty()
    }

    pub(super) fn has_forged_all(&self) -> bool {
        self.draw.forges() && self.draw.forged_left == 0
    }

    pub(super) const fn begin_anew(&mut self) {
        self.draw.forged_left = FORGED_COUNT_MAX;
    }

    /// Starts logins that are due, a bounded number; whether there are more.
    pub(super) fn renew(
        &mut self,
        parties: &Parties,
        turn: &Turn<'_>,
        binding: ChannelBinding,
        outbox: &mut Vec<u8>,
    ) -> Result<bool, Trouble> {
        if turn.phase == Phase::Drain || self.held {
            return Ok(false);
        }
        let now_ms = clock::boot_ms();
        for _ in 0..self.seats.len().min(LOOKS) {
            if self.logging_in.len() >= LOGINS_AT_ONCE_MAX {
                return Ok(false);
            }
            let index = self.cursor;
            self.cursor = (index + 1) % self.seats.len();
            let seat = &mut self.seats[index];
            if seat.wants_login(now_ms, turn.workload.churn.login_every) {
                let (identity, login_id) = (seat.identity, self.login_count);
                let wish = Wish { identity, suite: turn.workload.suite, login_id, binding };
                seat.login = Some(Login::start(parties, wish, now_ms, outbox)?);
                self.login_count += 1;
                self.logging_in.push(index);
            }
        }
        Ok(!self.is_established())
    }

    /// Reads every whole frame of `bytes`: how many bytes they were.
    pub(super) fn read(
        &mut self,
        parties: &Parties,
        bytes: &mut [u8],
        arrival: Arrival,
        turn: &mut Turn<'_>,
        outbox: &mut Vec<u8>,
    ) -> Result<usize, Trouble> {
        let mut used = 0;
        while let Cut::Frame(length) = framer::cut(&bytes[used..], Role::Client)? {
            let header = Header::parse(&bytes[used..used + length], Role::Client)?;
            used += match header.kind {
                Kind::HelloR | Kind::Retry => {
                    let frame = &bytes[used..used + length];
                    self.accept_login(parties, &header, frame, arrival, turn.tally, outbox)?;
                    length
                }
                Kind::Ctl => {
                    let frame = &mut bytes[used..used + length];
                    self.accept_control(&header, frame, arrival, turn.tally, outbox)?;
                    length
                }
                _ => self.accept_answers(&header, &mut bytes[used..], length, arrival, turn.tally),
            };
        }
        Ok(used)
    }

    fn accept_control(
        &mut self,
        header: &Header,
        frame: &mut [u8],
        arrival: Arrival,
        tally: &mut Tally,
        outbox: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        let loses = self.loses;
        let Some(session) = self.session(header.key_id) else {
            self.meet_stray(tally);
            return Ok(());
        };
        if session.defers(header, frame) {
            return Ok(());
        }
        // Where a SHARE could be lost it goes with a request.
        let mut aside = Vec::new();
        let out = if loses { &mut aside } else { outbox };
        session.control(header, frame, arrival.boot_ms, tally, out)
    }

    fn session(&mut self, key_id: u64) -> Option<&mut Established> {
        let index = if self.seats.len() == 1 { Some(0) } else { self.by_key_id.get(&key_id).copied() };
        index.and_then(|index| self.seats[index].session(key_id))
    }

    fn accept_answers(
        &mut self,
        header: &Header,
        bytes: &mut [u8],
        length: usize,
        arrival: Arrival,
        tally: &mut Tally,
    ) -> usize {
        let index = if self.seats.len() == 1 { Some(0) } else { self.by_key_id.get(&header.key_id).copied() };
        let session = index.and_then(|index| self.seats[index].session(header.key_id));
        let (Some(session), Some(index)) = (session, index) else {
            self.meet_stray(tally);
            return length;
        };
        let before = session.waiting();
        let used = session.accept(bytes, arrival, tally);
        self.waiting -= before - session.waiting();
        session.take_offer(arrival.boot_ms, tally);
        self.seats[index].settle();
        used
    }

    /// What answers nothing is an error, except where a copy may have been answered too.
    fn meet_stray(&self, tally: &mut Tally) {
        if self.loses {
            tally.datagrams.late_answers += 1;
        } else {
            tally.meet(Trouble::Unsolicited);
        }
    }

    /// When requests may be due to be sent again.
    #[inline]
    pub(super) fn repeat_ns(&self) -> Option<u64> {
        self.repeat_ns.filter(|_| self.waiting > 0)
    }

    /// Appends again what was not answered in time, and gives up what has no hope.
    pub(super) fn repeat(&mut self, now_ns: u64, rtt_ns: u64, tally: &mut Tally, outbox: &mut Vec<u8>) {
        if self.repeat_ns.is_none_or(|repeat_ns| now_ns < repeat_ns) {
            return;
        }
        self.repeat_ns = None;
        for seat in &mut self.seats {
            for session in seat.sessions() {
                let before = session.waiting();
                let next_ns = session.repeat(now_ns, rtt_ns, tally, outbox);
                self.waiting -= before - session.waiting();
                session.take_offer(clock::boot_ms(), tally);
                self.repeat_ns = [self.repeat_ns, next_ns].into_iter().flatten().min();
            }
            seat.settle();
        }
    }

    fn accept_login(
        &mut self,
        parties: &Parties,
        header: &Header,
        frame: &[u8],
        arrival: Arrival,
        tally: &mut Tally,
        outbox: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        // The counter of a login's frames is its id (SPEC §10.1).
        let of_login = |index: &usize| {
            let login = self.seats[*index].login.as_ref();
            login.is_some_and(|login| login.id() == header.counter)
        };
        let place = self.logging_in.iter().position(of_login).ok_or(Trouble::Unsolicited)?;
        let index = self.logging_in[place];
        let seat = &mut self.seats[index];
        if header.kind == Kind::Retry {
            let login = seat.login.as_mut().ok_or(Trouble::Unsolicited)?;
            return login.retry(parties, frame, arrival.boot_ms, outbox);
        }
        let login = seat.login.take().ok_or(Trouble::Unsolicited)?;
        self.logging_in.swap_remove(place);
        let mut session = login.finish(frame, arrival.boot_ms)?;
        if self.is_joint {
            session.take_verdicts();
        }
        tally.logins += 1;
        self.established_count += usize::from(!seat.is_established());
        if self.seats.len() > 1 {
            self.note_key_id(session.key_id(), index);
        }
        self.seats[index].replace(Established::new(session, arrival.boot_ms, self.loses), arrival.at_ns);
        Ok(())
    }

    /// Remembers whose session it is, and forgets those of before when there are many.
    fn note_key_id(&mut self, key_id: u64, index: usize) {
        if self.by_key_id.len() > 4 * self.seats.len() {
            let seats = &mut self.seats;
            self.by_key_id.retain(|key_id, index| seats[*index].session(*key_id).is_some());
        }
        self.by_key_id.insert(key_id, index);
    }

    /// Seals what is due: requests of one session together, those of several one by one.
    pub(super) fn seal(&mut self, outgoing: &mut Outgoing<'_>, out: &mut Vec<u8>) -> usize {
        let count_max = if self.seats.len() == 1 { SOME } else { 1 };
        let mut sealed = 0;
        let mut waiting = 0;
        while let Some(index) = self.next_seat() {
            let Some(session) = &mut self.seats[index].current else { break };
            let before = session.waiting();
            let count = session.seal(count_max, outgoing, &mut self.draw, out);
            waiting += session.waiting() - before;
            sealed += count;
            if count == 0 && !session.spent {
                break;
            }
            if self.unstamped.last() != Some(&index) {
                self.unstamped.push(index);
            }
        }
        self.waiting += waiting;
        if self.loses && sealed > 0 {
            let first_ns = outgoing.now_ns + PAUSE_NS_MIN;
            self.repeat_ns = Some(self.repeat_ns.map_or(first_ns, |repeat_ns| repeat_ns.min(first_ns)));
        }
        sealed
    }

    /// The session of the next request: as drawn, or the next one that is not about to be replaced.
    fn next_seat(&mut self) -> Option<usize> {
        let drawn = self.picker.pick(&mut self.draw.random);
        let mut from_there = (drawn..self.seats.len()).chain(0..drawn);
        from_there.find(|index| self.seats[*index].can_seal())
    }

    pub(super) fn stamp(&mut self, now_ns: u64, tally: &mut Tally) {
        for index in self.unstamped.drain(..) {
            if let Some(session) = &mut self.seats[index].current {
                session.stamp(now_ns, tally);
            }
        }
    }

    pub(super) fn tick(
        &mut self,
        parties: &Parties,
        now_ns: u64,
        tally: &mut Tally,
        outbox: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        let boot_ms = clock::boot_ms();
        for seat in &mut self.seats {
            self.waiting -= seat.tick(parties, now_ns, boot_ms, tally, outbox)?;
        }
        Ok(())
    }

    pub(super) fn abandon(&mut self, tally: &mut Tally) {
        self.seats.iter_mut().for_each(|seat| seat.abandon(tally));
        self.waiting = 0;
    }
}
