//! The sessions a shard owns, found by key id, each with the time at which it is to be looked at next.

use std::io;

use mvt_proto::{
    Header,
    constants::TICKET_NONCE_BYTES,
    replay::word_of,
    session::{BadTags, Current, Fresh, Rekey, Renewal, STATE_BYTES_HOT, ServerSession, SessionState},
    ticket::{SealedTicket, Terms},
};
use mvt_sys::slab::Slab;

use crate::{
    owner::Owner,
    shard::{
        index::{Index, Place},
        renewals::Renewals,
        wheel::{self, Wheel},
    },
    tickets::TicketKeys,
};

/// What a session has that no ordinary request needs: kept apart, so that no request brings it near.
#[derive(Debug)]
pub struct Cold {
    /// For the renewal of its keys.
    pub rekey: Rekey,
    /// Whose session it is.
    pub owner: Owner,
    /// Whether its tickets allow RESUME without a Diffie-Hellman (SPEC §12.3.2).
    pub psk_alone: bool,
}

impl Cold {
    const fn vacant() -> Self {
        Self { rekey: Rekey::vacant(), owner: Owner::NOBODY, psk_alone: false }
    }
}

const _: () = assert!(size_of::<Cold>() == 176);

/// Which generation of a session a request was checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// The current one.
    Current,
    /// The one kept beside it during a renewal.
    Beside,
}

/// Sessions brought near together before they are looked at, in a turn: four cache lines each, so that they neither wait
/// for each other's nor push each other out of the first-level cache. 128 at a time cost 1.1 to 1.4 times as much.
pub const PREFETCH_GROUP: usize = 32;
/// The same in a sweep, which touches every line of a state.
const GROUP: usize = 16;

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Sessions erased.
    pub erased_count: u64,
    /// Whether all that is due was looked at.
    pub is_done: bool,
}

/// At most `most` sessions, all with windows of the same width. A session costs 192 bytes and its window, 320 bytes with the
/// default window, 176 cold bytes, 12 of index and 8 of the wheel. While it is renewed, another generation of it is kept in
/// [`Renewals`].
///
/// Invariants: `free` holds the places without a session, which hold [`SessionState::vacant`], a window of zeros and
/// [`Cold::vacant`], and are not in the wheel; every other place is in the wheel, at the first time at which it has something to erase or, if the
/// session got ahead of the wheel by being used, before. A session that leaves is wiped. `colds` never grows beyond its
/// capacity, so nothing in it moves.
#[derive(Debug)]
pub struct Sessions {
    most: usize,
    window_words: usize,
    index: Index,
    places: Slab<SessionState>,
    colds: Vec<Cold>,
    renewals: Renewals,
    /// Drains that ended between two sweeps.
    ended_count: u64,
    /// Key agreements computed here, likewise.
    agreed_count: u64,
    free: Vec<u32>,
    wheel: Wheel,
}

impl Sessions {
    /// An empty table for at most `most` sessions with windows of `window_bits`.
    ///
    /// # Errors
    /// The OS's: no address space for so many.
    pub fn new(most: usize, window_bits: u16) -> io::Result<Self> {
        let window_words = mvt_proto::replay::window_words(window_bits);
        let most = most.min(wheel::PLACES_MAX);
        Ok(Self {
            most,
            window_words,
            index: Index::new(most)?,
            places: Slab::new(most, window_words)?,
            // The kernel gives memory only to what is touched.
            colds: Vec::with_capacity(most),
            renewals: Renewals::default(),
            ended_count: 0,
            agreed_count: 0,
            free: Vec::new(),
            wheel: Wheel::new(most),
        })
    }

    /// Sessions held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps `session`; false when the table is full or the key id is taken.
    ///
    /// # Panics
    /// If its window is not of the width of this table: one node grants one width.
    pub fn insert(&mut self, mut session: ServerSession, owner: Owner, now_ms: u64) -> bool {
        self.take_in(&mut session, owner, now_ms)
    }

    /// [`Sessions::insert`] of a session that stands on the heap: no key is left there.
    pub fn take_in(&mut self, session: &mut ServerSession, owner: Owner, now_ms: u64) -> bool {
        let (state, window, rekey) = session.take_parts();
        let key_id = state.key_id();
        if self.len() >= self.most || self.find(key_id).is_some() {
            return false;
        }
        assert_eq!(window.len(), self.window_words, "a node grants windows of one width");
        let due_ms = due_ms(&state);
        let cold = Cold { rekey, owner, psk_alone: false };
        let place = match self.free.pop() {
            Some(place) => {
                *self.places.get_mut(place as usize).0 = state;
                self.colds[place as usize] = cold;
                place
            }
            None => {
                self.colds.push(cold);
                self.places.push(state) as u32
            }
        };
        self.places.get_mut(place as usize).1.copy_from_slice(&window);
        self.index.insert(key_id, Place(place));
        self.wheel.put(place, due_ms, now_ms);
        true
    }

    /// First step of a lookup: asks for the index entry of `key_id` to be brought near.
    #[inline]
    pub fn prefetch_index(&self, key_id: u64) {
        self.index.prefetch(key_id);
    }

    /// Second step: asks for what a request of this counter will touch, guessing by the hash alone.
    #[inline]
    pub fn prefetch_session(&self, key_id: u64, counter: u64) {
        if let Some(Place(place)) = self.index.find(key_id, |_| true) {
            self.places.prefetch(place as usize, STATE_BYTES_HOT, word_of(counter, self.window_words));
        }
    }

    /// Where the session of `key_id` is kept.
    #[inline]
    #[must_use]
    pub fn find(&self, key_id: u64) -> Option<Place> {
        self.index.find(key_id, |place| self.state(place).key_id() == key_id)
    }

    /// The session at a place, which stays valid until a session is removed.
    #[inline]
    #[must_use]
    pub fn state(&self, place: Place) -> &SessionState {
        self.places.get(place.0 as usize)
    }

    /// The session at a place, with the words of its window.
    #[inline]
    pub fn parts_mut(&mut self, place: Place) -> (&mut SessionState, &mut [u64]) {
        self.places.get_mut(place.0 as usize)
    }

    /// What no ordinary request needs of the session at a place.
    #[must_use]
    pub fn cold(&self, place: Place) -> &Cold {
        &self.colds[place.0 as usize]
    }

    /// The same, to be changed.
    pub fn cold_mut(&mut self, place: Place) -> &mut Cold {
        &mut self.colds[place.0 as usize]
    }

    /// A ticket over RS_g of the current generation, which is erased; `None` when it was given before, or no key seals now.
    ///
    /// # Panics
    /// When the operating system gives no randomness: a predictable nonce must never be used.
    pub fn issue_ticket(&mut self, place: Place, tickets: &TicketKeys, now_ms: u64) -> Option<SealedTicket> {
        let (suite, generation) = (self.state(place).suite(), self.state(place).generation());
        let Cold { rekey, owner, psk_alone } = self.cold_mut(place);
        let resume_secret = rekey.take_resume()?;
        let terms = Terms {
            suite,
            client: owner.client,
            authenticated_ms: owner.authenticated_ms,
            generation,
            psk_alone: *psk_alone,
            life_ms: tickets.life_ms(),
        };
        let mut nonce = [0; TICKET_NONCE_BYTES];
        getrandom::fill(&mut nonce).expect("the operating system gives randomness");
        tickets.ring().issue(&terms, &resume_secret, &nonce, now_ms)
    }

    /// Appends the TICKET that carries `ticket` to `out`.
    pub fn seal_ticket(&self, place: Place, ticket: &SealedTicket, now_ms: u64, out: &mut Vec<u8>) {
        self.cold(place).rekey.seal_ticket(self.state(place), ticket, now_ms, out);
    }

    /// Time and key of a request to the session at a place, and which of its generations it was checked against.
    #[inline]
    pub fn check(&mut self, place: Place, header: &Header, now_ms: u64) -> (Fresh, Generation) {
        let (state, _) = self.places.get_mut(place.0 as usize);
        if state.is_cut() {
            self.end_if_over(place, now_ms);
        }
        let (state, _) = self.places.get_mut(place.0 as usize);
        if header.generation != state.generation()
            && state.is_renewing()
            && let Some(fresh) = self.check_beside(place, header, now_ms)
        {
            return (fresh, Generation::Beside);
        }
        let (state, _) = self.places.get_mut(place.0 as usize);
        (state.check(header, now_ms), Generation::Current)
    }

    #[cold]
    fn check_beside(&mut self, place: Place, header: &Header, now_ms: u64) -> Option<Fresh> {
        let state = self.places.get(place.0 as usize);
        let renewal = self.renewals.get_mut(state.key_id())?;
        let was_agreeing = renewal.is_agreeing();
        let fresh = renewal.check(state, &mut self.colds[place.0 as usize].rekey, header, now_ms);
        if was_agreeing && !renewal.is_agreeing() {
            self.agreed_count += 1;
            self.renewals.watch(state.key_id(), now_ms);
        }
        fresh
    }

    /// Erases the generation beside the one at a place as soon as its drain, which was cut short, is over (SPEC §11.3.8). No
    /// frame of the piece under way was checked against it: at one instant a drain is over for all of them, or for none.
    #[cold]
    fn end_if_over(&mut self, place: Place, now_ms: u64) {
        let (state, _) = self.places.get_mut(place.0 as usize);
        if self.renewals.get(state.key_id()).is_some_and(|renewal| renewal.is_over(now_ms)) {
            self.renewals.end(state.key_id());
            Renewal::end(state);
            self.ended_count += 1;
        }
    }

    /// The state that a request was checked against.
    ///
    /// # Panics
    /// When it is gone: nothing is erased between the check and the opening.
    #[inline]
    #[must_use]
    pub fn checked(&self, place: Place, generation: Generation) -> &SessionState {
        match generation {
            Generation::Current => self.state(place),
            Generation::Beside => self.checked_beside(place),
        }
    }

    #[cold]
    #[inline(never)]
    fn checked_beside(&self, place: Place) -> &SessionState {
        let renewal = self.renewals.get(self.state(place).key_id());
        renewal.and_then(Renewal::state).expect("a generation that a frame was checked against")
    }

    /// The session at a place for what concerns its renewal: the current generation, and the renewal under way.
    pub fn renewal_mut(&mut self, place: Place) -> (Current<'_>, Option<&mut Renewal>) {
        let (state, window) = self.places.get_mut(place.0 as usize);
        let rekey = &mut self.colds[place.0 as usize].rekey;
        let renewal = if state.is_renewing() { self.renewals.get_mut(state.key_id()) } else { None };
        (Current { state, window, rekey }, renewal)
    }

    /// The renewal under way of the session at a place, if it keeps the generation that a frame names.
    #[must_use]
    pub fn renewal_of(&self, place: Place, header: &Header, now_ms: u64) -> Option<&Renewal> {
        let state = self.state(place);
        let renewal = if state.is_renewing() { self.renewals.get(state.key_id()) } else { None };
        renewal.filter(|renewal| renewal.holds(state, header, now_ms))
    }

    /// Keeps a renewal of the session at a place.
    pub fn begin_renewal(&mut self, place: Place, renewal: Box<Renewal>, now_ms: u64) {
        let key_id = self.state(place).key_id();
        self.renewals.begin(key_id, renewal, now_ms);
    }

    /// After a commit or the derivation of a generation: there is something else to be erased next.
    pub fn note_renewal(&mut self, place: Place, now_ms: u64) {
        let state = self.places.get(place.0 as usize);
        self.renewals.watch(state.key_id(), now_ms);
        self.wheel.remove(place.0);
        self.wheel.put(place.0, due_ms(state), now_ms);
    }

    /// Counts a frame of `generation` of the session at a place whose tag did not hold (SPEC §11.3.7).
    pub fn note_bad_tag(&mut self, place: Place, generation: u16) -> BadTags {
        let (current, renewal) = self.renewal_mut(place);
        if current.state.generation() == generation {
            return current.rekey.note_bad_tag(current.state);
        }
        match renewal.and_then(Renewal::parts_mut) {
            Some((state, rekey)) if state.generation() == generation => rekey.note_bad_tag(state),
            _ => BadTags::Few,
        }
    }

    /// Generations kept beside the current ones.
    #[must_use]
    pub fn renewal_count(&self) -> usize {
        self.renewals.len()
    }

    /// Key agreements computed here for requests that needed them (SPEC §11.2.7), since the last time.
    pub const fn take_agreed_count(&mut self) -> u64 {
        std::mem::replace(&mut self.agreed_count, 0)
    }

    /// Erases generations whose drain is over and the keys of slots that passed, up to `most`; how many drains ended since the
    /// last time.
    pub fn sweep_renewals(&mut self, most: usize, now_ms: u64) -> u64 {
        let mut ended_count = std::mem::take(&mut self.ended_count);
        for _ in 0..most {
            let Some(key_id) = self.renewals.take_due(now_ms) else { break };
            ended_count += 1;
            if let Some(place) = self.find(key_id) {
                Renewal::end(self.places.get_mut(place.0 as usize).0);
            }
        }
        ended_count
    }

    /// Erases the session at a place and everything that belongs to it, before its deadline.
    pub fn erase(&mut self, place: Place) {
        self.wheel.remove(place.0);
        self.vacate(place);
    }

    /// Looks at the owners in places from number `from` on and erases the sessions of those that `is_void`, until `count` were
    /// looked at or `most` erased. Gives the number erased and the place to go on from; `None` when that was the last one.
    pub fn revoke(
        &mut self,
        from: usize,
        (count, most): (usize, usize),
        is_void: impl Fn(&Owner) -> bool,
    ) -> (u64, Option<usize>) {
        let mut erased = 0;
        let end = self.places.len().min(from + count);
        for number in from..end {
            let place = Place(number as u32);
            if is_void(&self.cold(place).owner) && self.state(place).key_id() != 0 {
                if erased == most {
                    return (erased as u64, Some(number));
                }
                self.erase(place);
                erased += 1;
            }
        }
        (erased as u64, (end < self.places.len()).then_some(end))
    }

    /// Looks at `count` places from number `from` on, after the last at the first again: sessions whose generation began before
    /// `begun_ms` are to renew with their next request. Gives how many these are.
    pub fn ask_renewals(&mut self, from: usize, count: usize, begun_ms: u64) -> u64 {
        let mut asked = 0;
        for number in from..from + count {
            let (state, _) = self.places.get_mut(number % self.places.len());
            if state.key_id() != 0 && state.origin_ms() < begun_ms {
                state.ask_renewal();
                asked += 1;
            }
        }
        asked
    }

    /// Places there are, free ones among them.
    #[must_use]
    pub const fn place_count(&self) -> usize {
        self.places.len()
    }

    /// Looks at up to `most` sessions that are due: erases those past their deadline, moves the keys of the others on.
    pub fn sweep(&mut self, most: usize, now_ms: u64) -> Swept {
        let (mut erased_count, mut looks) = (0, 0);
        let mut group = [0; GROUP];
        loop {
            let room = GROUP.min(most - looks);
            if room == 0 {
                return Swept { erased_count, is_done: false };
            }
            let mut count = 0;
            while count < room
                && let Some(place) = self.wheel.take_due(now_ms)
            {
                self.places.prefetch(place as usize, size_of::<SessionState>(), 0);
                group[count] = place;
                count += 1;
            }
            for place in &group[..count] {
                erased_count += u64::from(self.look_at(*place, now_ms));
            }
            looks += count;
            if count < room {
                return Swept { erased_count, is_done: true };
            }
        }
    }

    /// Erases the session at `place`, which the wheel gave, or moves its keys on; true when it was erased.
    fn look_at(&mut self, place: u32, now_ms: u64) -> bool {
        let (state, _) = self.places.get_mut(place as usize);
        if now_ms < state.deadline_ms() {
            state.advance(now_ms);
            let due_ms = due_ms(state);
            self.wheel.put(place, due_ms, now_ms);
            return false;
        }
        self.vacate(Place(place));
        true
    }

    /// Wipes what is at `place`, which is in no list of the wheel any more, and what is beside it.
    fn vacate(&mut self, place: Place) {
        let (state, words) = self.places.get_mut(place.0 as usize);
        let key_id = state.key_id();
        if state.is_renewing() {
            self.renewals.end(key_id);
        }
        // What was there wipes itself as it is dropped.
        *state = SessionState::vacant();
        words.fill(0);
        self.colds[place.0 as usize] = Cold::vacant();
        self.index.remove(key_id, place);
        self.free.push(place.0);
    }
}

/// When a session has something to erase next: a key of a slot that passed, or all of it.
fn due_ms(state: &SessionState) -> u64 {
    state.next_slot_ms().min(state.deadline_ms())
}
