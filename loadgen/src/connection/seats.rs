//! The sessions of one connection, usually one.

use std::collections::HashMap;

use arrayvec::ArrayVec;
use mvt_lanes::Engine;
use mvt_proto::{
    Header, Kind, Role,
    constants::UNVERIFIED_PER_CONNECTION_MAX,
    framer::{self, Cut},
    session::Sealer,
};

use super::{
    Arrival, Turn,
    established::{Draw, Established},
    login::{By, ChannelBinding, Login, Wish},
    outgoing::{Outgoing, Sent},
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

/// Requests of one seat that were written in a row, of which the same is kept.
#[derive(Debug)]
struct Written {
    seat: usize,
    sent: Sent,
    count: usize,
}

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
    /// Seals the requests of all seats.
    sealer: Sealer,
    engine: Engine,
    /// The requests written and not sealed; empty between two calls.
    written: ArrayVec<Written, { Sealer::REQUESTS_MAX }>,
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
        let engine = Engine::detect();
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
            sealer: Sealer::new(engine),
            engine,
            written: ArrayVec::new(),
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
                let Workload { suite, churn, .. } = turn.workload;
                // The first session of a seat has no ticket.
                let by = match seat.kept.take_if(|_| self.draw.happens(churn.resume_share)) {
                    Some(kept) => By::Ticket(kept),
                    None => By::Key,
                };
                let (identity, login_id) = (seat.identity, self.login_count);
                let wish = Wish { identity, suite: *suite, login_id, binding };
                seat.login = Some(Login::start(parties, wish, by, now_ms, outbox)?);
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
                Kind::HelloR | Kind::ResumeR | Kind::Retry => {
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
        let Some(seat) = self.seat_of(header.key_id) else {
            self.meet_stray(tally);
            return Ok(());
        };
        let Some(session) = seat.session(header.key_id) else {
            self.meet_stray(tally);
            return Ok(());
        };
        if session.defers(header, frame) {
            return Ok(());
        }
        // Where a SHARE could be lost it goes with a request.
        let mut aside = Vec::new();
        let out = if loses { &mut aside } else { outbox };
        if let Some(kept) = session.control(header, frame, arrival.boot_ms, tally, out)? {
            seat.kept = Some(kept);
        }
        Ok(())
    }

    /// The seat that has, or had, the session of `key_id`.
    #[inline]
    fn seat_of(&mut self, key_id: u64) -> Option<&mut Seat> {
        let index = if self.seats.len() == 1 { Some(0) } else { self.by_key_id.get(&key_id).copied() };
        index.map(|index| &mut self.seats[index])
    }

    fn accept_answers(
        &mut self,
        header: &Header,
        bytes: &mut [u8],
        length: usize,
        arrival: Arrival,
        tally: &mut Tally,
    ) -> usize {
        let Some(seat) = self.seat_of(header.key_id) else {
            self.meet_stray(tally);
            return length;
        };
        let Some(session) = seat.session(header.key_id) else {
            self.meet_stray(tally);
            return length;
        };
        let before = session.waiting();
        let used = session.accept(bytes, arrival, tally);
        let answered = before - session.waiting();
        session.take_offer(arrival.boot_ms, tally);
        seat.settle();
        self.waiting -= answered;
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
        let is_resume = login.is_resume();
        let mut session = login.finish(header.kind, frame, arrival.boot_ms)?;
        if self.is_joint {
            session.take_verdicts();
        }
        *(if is_resume { &mut tally.resumes } else { &mut tally.logins }) += 1;
        self.established_count += usize::from(!seat.is_established());
        if self.seats.len() > 1 {
            self.note_key_id(session.key_id(), index);
        }
        let session = Established::new(session, self.engine, arrival.boot_ms, self.loses);
        self.seats[index].replace(session, arrival.at_ns);
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

    /// Seals what is due in lanes, whatever sessions it is of: how many requests.
    pub(super) fn seal(&mut self, outgoing: &mut Outgoing<'_>, out: &mut Vec<u8>) -> usize {
        // Where nothing is drawn for each request, and each has not a copy of its own, many are written as one.
        let most = if self.picker.is_only() && self.draw.is_alike() && !self.loses { usize::MAX } else { 1 };
        let mut count = 0;
        let mut start = out.len();
        while out.len() < outgoing.bytes_max
            && let Some(seat) = self.next_seat()
        {
            let Some(session) = &mut self.seats[seat].current else { break };
            if !session.has_room(outgoing.boot_ms) {
                continue;
            }
            let most = outgoing.due_count(most);
            if most == 0 {
                break;
            }
            if !session.share_ahead().is_empty() {
                let share = session.share_ahead().to_vec();
                self.seal_written(start, outgoing, out);
                out.extend_from_slice(&share);
                start = out.len();
            }
            let Some(session) = &mut self.seats[seat].current else { break };
            let bounds = (most, outgoing.bytes_max);
            let some = session.write(&mut self.sealer, &mut self.draw, outgoing.boot_ms, bounds, out);
            self.written.push(Written { seat, sent: outgoing.take(some), count: some });
            count += some;
            if self.sealer.is_full() {
                self.seal_written(start, outgoing, out);
                start = out.len();
            }
        }
        self.seal_written(start, outgoing, out);
        if self.loses && count > 0 {
            let first_ns = outgoing.now_ns + PAUSE_NS_MIN;
            self.repeat_ns = Some(self.repeat_ns.map_or(first_ns, |repeat_ns| repeat_ns.min(first_ns)));
        }
        count
    }

    /// Seals the requests written from `start` on, with the copies and the bad frames that go with them.
    fn seal_written(&mut self, mut start: usize, outgoing: &mut Outgoing<'_>, out: &mut Vec<u8>) {
        let Self { seats, sealer, written, draw, unstamped, waiting, loses, .. } = self;
        *waiting += sealer.len();
        {
            let mut left = written.iter().map(|some| (some, some.count));
            let mut some = left.next();
            sealer.seal(out, |_, waiting| {
                let Some((of, count)) = &mut some else { return };
                if let Some(session) = &mut seats[of.seat].current {
                    session.keep(waiting, of.sent.clone());
                }
                *count -= 1;
                if *count == 0 {
                    some = left.next();
                }
            });
        }
        for some in &*written {
            if unstamped.last() != Some(&some.seat) {
                unstamped.push(some.seat);
            }
        }
        if draw.bad.is_none() && !*loses {
            written.clear();
            return;
        }
        for seat in written.drain(..).flat_map(|some| std::iter::repeat_n(some.seat, some.count)) {
            let frame = start..start + 2 + usize::from(u16::from_be_bytes([out[start], out[start + 1]]));
            start = frame.end;
            if let Some(session) = &mut seats[seat].current {
                session.keep_copy(&out[frame.clone()], outgoing.now_ns);
                *waiting += session.add_bad(frame, outgoing, draw, out);
            }
        }
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

    pub(super) fn put_off(&mut self, away_ns: u64) {
        self.seats.iter_mut().for_each(|seat| seat.put_off(away_ns));
    }

    pub(super) fn abandon(&mut self, tally: &mut Tally) {
        self.seats.iter_mut().for_each(|seat| seat.abandon(tally));
        self.waiting = 0;
    }
}
