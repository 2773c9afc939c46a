//! A session and its requests that wait.

use std::ops::Range;

use mvt_lanes::Engine;
use mvt_proto::{
    Header, Role,
    constants::{FRAME_BYTES_MIN, FUTURE_BOUND_MS, KEY_BYTES},
    resume::Kept,
    secret::Secret,
    session::{ClientSession, Outstanding, Request, Sealer, Told, Waiting},
};
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::Rng as _};
use zeroize::Zeroizing;

use super::{
    SILENCE_NS_MAX,
    outgoing::{self, Outgoing, Sent, Twice},
    repeats::Repeats,
};
use crate::{
    arrivals::generator,
    tally::Tally,
    trouble::Trouble,
    workload::{Bad, BadShares, OP, Sizes, Workload},
};

/// Answers opened together.
pub(super) const SOME: usize = 32;
/// How far ahead of the server's time a stale frame is: still too far when it has been on its way for as long as a server may be silent.
const STALE_AHEAD_MS: u64 = FUTURE_BOUND_MS + SILENCE_NS_MAX / 1_000_000;

/// The payloads and the bad frames of one connection.
#[derive(Debug)]
pub(super) struct Draw {
    sizes: Sizes,
    /// A pattern, so that a byte in the wrong place shows.
    pattern: Vec<u8>,
    pub(super) bad: BadShares,
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
            pattern: (0..size_max).map(|index| (index % 251) as u8).collect(),
            bad: workload.bad,
            forged_left,
            // Arrivals take the seed itself.
            random: generator(workload.seed ^ u64::from_be_bytes(*b"payloads"), of_all),
        }
    }

    /// Whether every payload is the same.
    pub(super) const fn is_alike(&self) -> bool {
        self.sizes.is_fixed()
    }

    fn payload(&mut self) -> &[u8] {
        let size = self.sizes.draw(&mut self.random);
        &self.pattern[..size]
    }

    fn strikes(&mut self, bad: Bad) -> bool {
        self.happens(self.bad.of(bad))
    }

    /// Once in `1 / share` times.
    pub(super) fn happens(&mut self, share: f64) -> bool {
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
    /// Verifies.
    pub(super) engine: Engine,
    /// Server time at which the newest generation began.
    origin_ms: u64,
    /// Requests sealed whose write the kernel has not seen.
    unstamped_count: usize,
    /// Requests written and not sealed yet.
    pub(super) written_count: usize,
    /// Where requests may be lost: their copies.
    pub(super) repeats: Option<Repeats>,
    /// An OFFER, until every request is answered: then none of one generation is sent again among those of the next.
    pub(super) offer: Vec<u8>,
}

impl Established {
    /// Granted just now.
    pub(super) fn new(mut session: ClientSession, engine: Engine, boot_ms: u64, loses: bool) -> Self {
        if loses {
            session.leave_at_once();
        }
        Self {
            origin_ms: session.server_time_ms(boot_ms),
            repeats: loses.then(|| Repeats::new(session.limits().replay_window_bits)),
            offer: Vec::new(),
            session,
            outstanding: Outstanding::default(),
            spent: false,
            engine,
            unstamped_count: 0,
            written_count: 0,
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
        !self.spent && self.may_repeat_one_more()
    }

    /// Whether another session is due: this one is used up, its server did not offer to renew it, or `login_every` requests are
    /// sealed.
    pub(super) fn replacement_is_due(&self, now_ms: u64, login_every: Option<u64>) -> bool {
        let is_worn = login_every.is_some_and(|every| self.session.counter() >= every);
        self.spent || is_worn || self.session.replacement_is_due(now_ms)
    }

    /// Writes up to `most` requests, to be sealed with others, until there are `bytes_max` bytes: how many, at least one. More
    /// than one only where every payload is the same.
    #[inline]
    pub(super) fn write(
        &mut self,
        sealer: &mut Sealer,
        draw: &mut Draw,
        boot_ms: u64,
        (most, bytes_max): (usize, usize),
        out: &mut Vec<u8>,
    ) -> usize {
        let request = Request { op: OP, payload: draw.payload() };
        let frame_bytes = FRAME_BYTES_MIN + request.payload.len();
        let most = most.min(bytes_max.saturating_sub(out.len()).div_ceil(frame_bytes));
        let written = sealer.write_alike(&mut self.session, request, most, boot_ms, out);
        let count = written.expect("there is room under the limits, and the payload is within bounds");
        self.written_count += count;
        count
    }

    /// Keeps a request just sealed until its answer comes.
    #[inline]
    pub(super) fn keep(&mut self, waiting: Waiting<'_>, sent: Sent) {
        self.outstanding.push(waiting, sent);
        self.unstamped_count += 1;
        self.written_count -= 1;
    }

    /// Appends the bad frames that are drawn for the request whose `frame` is in `out`: how many wait for an answer of their
    /// own.
    pub(super) fn add_bad(
        &mut self,
        frame: Range<usize>,
        outgoing: &mut Outgoing<'_>,
        draw: &mut Draw,
        out: &mut Vec<u8>,
    ) -> usize {
        let mut added = 0;
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
                added += 1;
            }
        }
        if draw.strikes(Bad::Stale) && self.is_one_slot(outgoing.boot_ms) {
            let at_ms = outgoing.boot_ms + STALE_AHEAD_MS;
            added += usize::from(self.add_one(Bad::Stale, at_ms, outgoing.tally, draw, out));
        }
        added
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
        self.outstanding.push(&pending, Sent::bad(bad));
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

    /// Whether the session can seal a request now; `spent` if not.
    #[inline]
    pub(super) fn has_room(&mut self, boot_ms: u64) -> bool {
        self.spent |= self.session.is_exhausted(boot_ms);
        !self.spent
    }

    /// Notes `now_ns` as the time of the write of what was sealed since the last note.
    pub(super) fn stamp(&mut self, now_ns: u64, tally: &mut Tally) {
        let count = std::mem::take(&mut self.unstamped_count);
        outgoing::stamp(self.outstanding.newest(count), now_ns, tally);
    }

    /// Takes in a CTL; a reply goes out before any request that follows. A ticket is given back.
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
    ) -> Result<Option<Kept>, Trouble> {
        let mut random = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *random).map_err(|_| Trouble::Io)?;
        match self.session.control(header, frame, Secret::new(*random), boot_ms, out) {
            Ok(Told::Renewed) => {
                tally.renewals += 1;
                self.origin_ms = header.timestamp;
            }
            Ok(Told::Broken) => self.spent = true,
            Ok(Told::Ticket(kept)) => return Ok(Some(kept)),
            Ok(Told::Nothing) => {}
            Err(_) => tally.meet(Trouble::Unsolicited),
        }
        Ok(None)
    }

    /// Gives up what still waits.
    pub(super) fn abandon(&mut self, tally: &mut Tally) {
        let lost = self.outstanding.drain().filter(|sent| {
            // Of two copies one may have been answered.
            sent.measured && !sent.twice.get().is_some_and(|twice| twice.one_answered)
        });
        tally.unanswered += lost.count() as u64;
    }
}
