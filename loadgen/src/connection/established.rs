//! A session and its requests that wait.

use mvt_lanes::Engine;
use mvt_proto::{
    Header, Role,
    constants::{FRAME_BYTES_MIN, FUTURE_BOUND_MS, KEY_BYTES},
    secret::Secret,
    session::{ClientSession, Outstanding, Pending, Request, Told},
};
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::Rng as _};
use zeroize::Zeroizing;

use super::{
    outgoing::{Outgoing, Sent, Twice},
    repeats::Repeats,
};
use crate::{
    arrivals::generator,
    io::WRITE_BYTES_MAX,
    tally::Tally,
    trouble::Trouble,
    workload::{Bad, BadShares, OP, Sizes, Workload},
};

/// Requests sealed, and answers opened, together.
pub(super) const SOME: usize = 32;
/// How far ahead of the server's time a stale frame is.
const STALE_AHEAD_MS: u64 = FUTURE_BOUND_MS + 1_000;

/// The payloads and the bad frames of one connection.
#[derive(Debug)]
pub(super) struct Draw {
    sizes: Sizes,
    size_max: usize,
    /// A pattern, so that a byte in the wrong place shows.
    pattern: Vec<u8>,
    bad: BadShares,
    /// Forged frames that the server still bears on this connection.
    pub(super) forged_left: u32,
    pub(super) random: Xoshiro256PlusPlus,
}

impl Draw {
    /// Of connection `of_all`.
    pub(super) fn new(workload: &Workload, of_all: usize, forged_left: u32) -> Self {
        let size_max = workload.payload.most();
        Self {
            sizes: Sizes::new(&workload.payload).expect("checked when it was read"),
            size_max,
            pattern: (0..size_max).map(|index| (index % 251) as u8).collect(),
            bad: workload.bad,
            forged_left,
            // Arrivals take the seed itself.
            random: generator(workload.seed ^ u64::from_be_bytes(*b"payloads"), of_all),
        }
    }

    fn payload(&mut self) -> &[u8] {
        let size = self.sizes.draw(&mut self.random);
        &self.pattern[..size]
    }

    fn strikes(&mut self, bad: Bad) -> bool {
        let share = self.bad.of(bad);
        // 53 bits in [0, 1).
        share > 0.0 && ((self.random.next_u64() >> 11) as f64) < share * (1u64 << 53) as f64
    }

    pub(super) fn forges(&self) -> bool {
        self.bad.of(Bad::Forged) > 0.0
    }
}

/// One session of a connection.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) session: ClientSession,
    pub(super) outstanding: Outstanding<Sent>,
    /// Nothing more can be sealed: the key is used up, or the server lost it.
    pub(super) spent: bool,
    /// Signs and verifies.
    pub(super) engine: Engine,
    /// Server time at which the newest generation began.
    origin_ms: u64,
    /// Requests sealed whose write the kernel has not seen.
    unstamped_count: usize,
    /// Where requests may be lost: their copies.
    pub(super) repeats: Option<Repeats>,
    /// An OFFER, until every request is answered: then none of one generation is sent again among those of the next.
    pub(super) offer: Vec<u8>,
    /// Requests about to be sealed, and just sealed; empty between two calls.
    due: Vec<Sent>,
    pending: Vec<Pending>,
}

impl Established {
    /// Granted just now.
    pub(super) fn new(session: ClientSession, boot_ms: u64, loses: bool) -> Self {
        Self {
            origin_ms: session.server_time_ms(boot_ms),
            repeats: loses.then(|| Repeats::new(session.limits().replay_window_bits)),
            offer: Vec::new(),
            session,
            outstanding: Outstanding::default(),
            spent: false,
            engine: Engine::detect(),
            unstamped_count: 0,
            due: Vec::with_capacity(SOME),
            pending: Vec::with_capacity(SOME),
        }
    }

    pub(super) const fn key_id(&self) -> u64 {
        self.session.key_id()
    }

    pub(super) const fn waiting(&self) -> usize {
        self.outstanding.len()
    }

    /// Whether a request can be sealed now.
    #[inline]
    pub(super) fn can_seal(&self) -> bool {
        !self.spent && self.repeats.as_ref().is_none_or(|repeats| self.may_repeat_one_more(repeats))
    }

    /// Whether another session is due: this one is used up, its server did not offer to renew it, or `login_every` requests are
    /// sealed.
    pub(super) fn replacement_is_due(&self, now_ms: u64, login_every: Option<u64>) -> bool {
        let is_worn = login_every.is_some_and(|every| self.session.counter() >= every);
        self.spent || is_worn || self.session.replacement_is_due(now_ms)
    }

    /// Seals up to `count_max` requests that are due into `out`, in lanes, with the bad frames that go with them: how many
    /// requests.
    pub(super) fn seal(
        &mut self,
        count_max: usize,
        outgoing: &mut Outgoing<'_>,
        draw: &mut Draw,
        out: &mut Vec<u8>,
    ) -> usize {
        let room = self.room(outgoing.boot_ms);
        self.spent |= room == 0;
        let bytes_left = WRITE_BYTES_MAX.saturating_sub(out.len());
        let fitting = bytes_left.div_ceil(FRAME_BYTES_MIN + draw.size_max);
        let count_max = count_max.min(room).min(fitting).min(SOME).min(self.repeatable());
        while self.due.len() < count_max
            && let Some(sent) = outgoing.next()
        {
            self.due.push(sent);
        }
        let count = self.due.len();
        if count == 0 {
            return 0;
        }
        let mut sizes = [0; SOME];
        sizes[..count].fill_with(|| draw.payload().len());
        let requests: [_; SOME] =
            std::array::from_fn(|lane| Request { op: OP, payload: &draw.pattern[..sizes[lane]] });
        self.put_share(out);
        let start = out.len();
        let made = self.session.seal_batch(
            self.engine,
            &requests[..count],
            outgoing.boot_ms,
            out,
            &mut self.pending,
        );
        made.expect("there is room under the limits, and the payload is within bounds");
        for (pending, sent) in self.pending.drain(..).zip(self.due.drain(..)) {
            self.outstanding.push(pending, sent);
        }
        self.unstamped_count += count;
        self.keep_copies(&out[start..], outgoing.now_ns);
        if !draw.bad.is_none() {
            self.add_bad(start, count, outgoing, draw, out);
        }
        count
    }

    /// Appends the bad frames that are drawn for the `count` requests from `start` on.
    fn add_bad(
        &mut self,
        mut start: usize,
        count: usize,
        outgoing: &mut Outgoing<'_>,
        draw: &mut Draw,
        out: &mut Vec<u8>,
    ) {
        for _ in 0..count {
            let frame = start..start + 2 + usize::from(u16::from_be_bytes([out[start], out[start + 1]]));
            start = frame.end;
            let sealed = Header::parse(&out[frame.clone()], Role::Server).expect("as it was sealed");
            if draw.strikes(Bad::Replay)
                && let Some((_, sent)) = self.outstanding.get(sealed.generation, sealed.counter)
            {
                sent.twice.set(Some(Twice::default()));
                out.extend_from_within(frame);
                outgoing.tally.send_bad(Bad::Replay);
            }
            if draw.strikes(Bad::Forged) && draw.forged_left > 0 {
                draw.forged_left -= 1;
                if self.add_one(Bad::Forged, outgoing.boot_ms, outgoing.tally, draw, out) {
                    *out.last_mut().expect("a tag") ^= 1;
                }
            }
            if draw.strikes(Bad::Stale) && self.is_one_slot(outgoing.boot_ms) {
                self.add_one(Bad::Stale, outgoing.boot_ms + STALE_AHEAD_MS, outgoing.tally, draw, out);
            }
        }
    }

    fn add_one(
        &mut self,
        bad: Bad,
        boot_ms: u64,
        tally: &mut Tally,
        draw: &mut Draw,
        out: &mut Vec<u8>,
    ) -> bool {
        let Ok(pending) = self.session.seal_request(OP, draw.payload(), boot_ms, out) else { return false };
        self.outstanding.push(pending, Sent::bad(bad));
        self.unstamped_count += 1;
        tally.send_bad(bad);
        true
    }

    /// Whether a stale frame lies in the slot of now: of a later one the server may hold no key (SPEC §5.2.2), and would
    /// answer LOST.
    fn is_one_slot(&self, boot_ms: u64) -> bool {
        let slot = |at_ms: u64| self.session.server_time_ms(at_ms).saturating_sub(self.origin_ms) >> 16;
        slot(boot_ms) == slot(boot_ms + STALE_AHEAD_MS)
    }

    /// Requests the session can still seal.
    fn room(&self, boot_ms: u64) -> usize {
        usize::try_from(self.session.sealable_count(boot_ms)).unwrap_or(usize::MAX)
    }

    /// Notes `now_ns` as the time of the write of what was sealed since the last note.
    pub(super) fn stamp(&mut self, now_ns: u64, tally: &mut Tally) {
        for sent in self.outstanding.newest(std::mem::take(&mut self.unstamped_count)) {
            sent.stamp(now_ns, tally);
        }
    }

    /// Takes in a CTL; a reply goes out before any request that follows.
    ///
    /// # Errors
    /// Without randomness.
    pub(super) fn control(
        &mut self,
        header: &Header,
        frame: &mut [u8],
        boot_ms: u64,
        tally: &mut Tally,
        out: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        let mut random = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *random).map_err(|_| Trouble::Io)?;
        match self.session.control(header, frame, Secret::new(*random), boot_ms, out) {
            Ok(Told::Renewed) => {
                tally.renewals += 1;
                self.origin_ms = header.timestamp;
            }
            Ok(Told::Broken) => self.spent = true,
            Ok(Told::Nothing | Told::Ticket(_)) => {}
            Err(_) => tally.meet(Trouble::Unsolicited),
        }
        Ok(())
    }

    /// Gives up what still waits.
    pub(super) fn abandon(&mut self, tally: &mut Tally) {
        let lost = self.outstanding.drain().filter(|(_, sent)| {
            // Of two copies one may have been answered.
            sent.measured && !sent.twice.get().is_some_and(|twice| twice.one_answered)
        });
        tally.unanswered += lost.count() as u64;
    }
}
