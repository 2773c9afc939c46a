//! A server's judgement of the frames of one session, generation by generation (§5.2, §6, §7.2, §11).

use super::{
    clock::in_time,
    control::{Control, OFFER, control_header, open_control, seal_control},
    frame::{ACK, Header, LAST, Parsed, Role, parse},
    point::shared,
    reject::Reject,
    renewal::{drain_ms, form, next_secret},
    replay::Window,
    schedule::{Schedule, schedule},
    slot::{request_key, slot_keys, slot_of},
    suite::{Suite, open},
    x25519::KeyPair,
};

/// What a session is granted, as far as it is judged here.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Soft limit of requests.
    pub renew_after_requests: u64,
    /// Soft limit of age.
    pub renew_after_ms: u64,
    /// Hard limit of requests.
    pub reject_after_requests: u64,
    /// Hard limit of age.
    pub reject_after_ms: u64,
    /// Bits of each window.
    pub window_bits: u64,
}

/// A generation that is held.
#[derive(Debug, Clone)]
pub struct Generation {
    /// g.
    pub number: u16,
    /// T_g.
    pub origin: u64,
    /// Its keys.
    pub keys: Schedule,
    window: Window,
    last: Option<u64>,
    drained_at: Option<u64>,
    /// The OFFER that ended it was sent once.
    offered_once: bool,
    bad_tags: u32,
}

impl Generation {
    fn new(number: u16, origin: u64, keys: Schedule, bits: u64) -> Self {
        let window = Window::new(bits);
        Self { number, origin, keys, window, last: None, drained_at: None, offered_once: false, bad_tags: 0 }
    }

    /// K_req of a request in this generation, derived from the start.
    pub fn request_key(&self, counter: u64, timestamp: u64) -> Result<[u8; 32], Reject> {
        let (sk, _) = slot_keys(&self.keys.ck0, slot_of(self.origin, timestamp)?);
        Ok(request_key(&sk, self.number, counter))
    }
}

/// An OFFER without a commit.
#[derive(Debug, Clone)]
struct Offered {
    n: [u8; 32],
    e_s: KeyPair,
    frame: Vec<u8>,
    sent: u64,
    origin: u64,
    with_dh: bool,
    generation: Option<Generation>,
}

/// One session at a server.
#[derive(Debug, Clone)]
pub struct Session {
    suite: Suite,
    key_id: u64,
    bounds: Bounds,
    current: Option<Generation>,
    draining: Option<Generation>,
    offered: Option<Offered>,
    share: Option<Vec<u8>>,
    last_dh: u64,
}

impl Session {
    /// A session that is in a generation nobody used yet; its last Diffie-Hellman was at `last_dh`.
    pub fn new(suite: Suite, key_id: u64, bounds: Bounds, start: (u16, [u8; 32], u64), last_dh: u64) -> Self {
        let (number, gs, origin) = start;
        let current = Generation::new(number, origin, schedule(gs, key_id, number), bounds.window_bits);
        let (draining, offered, share) = (None, None, None);
        Self { suite, key_id, bounds, current: Some(current), draining, offered, share, last_dh }
    }

    /// K_req of a request in the current generation.
    pub fn request_key(&self, counter: u64, timestamp: u64) -> Result<[u8; 32], Reject> {
        self.current.as_ref().ok_or(Reject::UnknownKey)?.request_key(counter, timestamp)
    }

    /// Erases what has come to its end (7.2.3, 11.3.4, 11.3.5).
    fn expire(&mut self, now: u64) {
        let hard = self.bounds.reject_after_ms;
        let over = |generation: &Generation| {
            now >= generation.origin + hard || generation.drained_at.is_some_and(|end| now >= end)
        };
        self.draining = self.draining.take().filter(|generation| !over(generation));
        if self.current.as_ref().is_some_and(over) {
            (self.current, self.offered) = (None, None);
        }
    }

    /// The OFFER to send at `now`, a new one or the same again; none while there must be none (11.2.2).
    pub fn offer(&mut self, now: u64, n: [u8; 32], e_s: KeyPair) -> Option<Vec<u8>> {
        self.expire(now);
        let current = self.current.as_ref()?;
        if let Some(offered) = &mut self.offered {
            // 11.2.3.
            if now < offered.sent + 1_000 {
                return None;
            }
            offered.sent = now;
            return Some(offered.frame.clone());
        }
        if let Some(draining) = &mut self.draining {
            // 11.3.8.
            if draining.offered_once && draining.last.is_some_and(|last| draining.window.is_closed(last)) {
                draining.drained_at = draining.drained_at.min(Some(now + 1));
            }
            return None;
        }
        if current.number == u16::MAX {
            return None;
        }
        let next = current.number + 1;
        let with_dh = form(next, now - self.last_dh) == 1;
        let payload = Control::Offer(n, with_dh.then_some(e_s.public)).payload();
        let header = control_header(self.key_id, current.number, OFFER, now);
        let frame = seal_control(&current.keys.ctls, header, &payload);
        let generation = (!with_dh).then(|| self.next(current, now, next_secret(&current.keys.rt, &n, None)));
        self.share = None;
        self.offered =
            Some(Offered { n, e_s, frame: frame.clone(), sent: now, origin: now, with_dh, generation });
        Some(frame)
    }

    /// Whether a recorded request calls for an OFFER at `now`, new or once more (11.2.1 to 11.2.3); nothing is spread.
    pub fn is_due(&mut self, now: u64) -> bool {
        self.expire(now);
        let Some(current) = self.current.as_ref() else { return false };
        if self.offered.is_some() {
            return true;
        }
        let soft = current.window.top() >= self.bounds.renew_after_requests
            || now >= current.origin + self.bounds.renew_after_ms
            || current.bad_tags >= 1 << 10;
        soft && self.draining.is_none() && current.number < u16::MAX
    }

    /// 11.3.7.
    fn count_bad_tag(&mut self, number: u16) {
        let offered = self.offered.as_mut().and_then(|offered| offered.generation.as_mut());
        let held = [self.current.as_mut(), self.draining.as_mut(), offered];
        let generation = held.into_iter().flatten().find(|generation| generation.number == number);
        let Some(generation) = generation else { return };
        generation.bad_tags += 1;
        if generation.bad_tags >= 1 << 14 {
            (self.current, self.draining, self.offered) = (None, None, None);
        }
    }

    /// Judges a frame received at `now`, which is not before the origin, and counts it if its tag is bad.
    pub fn judge(&mut self, now: u64, frame: &[u8]) -> Result<(), Reject> {
        let verdict = self.judge_one(now, frame);
        if let Err(Reject::BadTag) = verdict {
            self.count_bad_tag(Header::decode(frame).generation);
        }
        verdict
    }

    fn next(&self, current: &Generation, origin: u64, gs: [u8; 32]) -> Generation {
        let number = current.number + 1;
        Generation::new(number, origin, schedule(gs, self.key_id, number), self.bounds.window_bits)
    }

    fn judge_one(&mut self, now: u64, frame: &[u8]) -> Result<(), Reject> {
        self.expire(now);
        let Parsed::Frame(header, _) = parse(Role::Server, frame)? else { return Err(Reject::Length) };
        if header.kind == Header::of("CTL").kind {
            return self.judge_control(now, header, frame);
        }
        assert_eq!(header.kind, Header::of("REQ").kind, "a session judges requests and control frames");
        if header.key_id != self.key_id || self.current.is_none() {
            return Err(Reject::UnknownKey);
        }
        let offered = self.offered.as_ref().and_then(|offered| offered.generation.as_ref());
        let offered = offered.is_some_and(|generation| generation.number == header.generation);
        let (suite, limit) = (self.suite, self.bounds.reject_after_requests);
        let has_successor = self.offered.is_some();
        let generation = self.held(&header).ok_or(Reject::NoSlot)?;
        verify(generation, suite, now, &header, frame)?;
        let last_counts = has_successor || generation.drained_at.is_some();
        record(generation, limit, last_counts, &header)?;
        if offered {
            self.commit(now);
        }
        in_time(now, header.timestamp)
    }

    /// The generation of a request, unless it is offered and the request has no `ack`.
    fn held(&mut self, header: &Header) -> Option<&mut Generation> {
        let ack = header.flags & ACK != 0;
        let offered = self.offered.as_mut().filter(|_| ack).and_then(|offered| offered.generation.as_mut());
        let held = [self.current.as_mut(), self.draining.as_mut(), offered];
        held.into_iter().flatten().find(|generation| generation.number == header.generation)
    }

    fn commit(&mut self, now: u64) {
        let offered = self.offered.take().expect("a request of it was recorded");
        let mut old = self.current.take().expect("offers are made in a generation");
        old.drained_at = Some(now + drain_ms(now - offered.origin));
        old.offered_once = offered.sent == offered.origin;
        if offered.with_dh {
            self.last_dh = offered.origin;
        }
        (self.draining, self.current) = (Some(old), offered.generation);
    }

    /// SHARE (11.2.6).
    fn judge_control(&mut self, now: u64, header: Header, frame: &[u8]) -> Result<(), Reject> {
        let held = [self.current.as_ref(), self.draining.as_ref()];
        let generation = held.into_iter().flatten().find(|generation| generation.number == header.generation);
        let keys = generation.filter(|_| header.key_id == self.key_id).ok_or(Reject::Control)?.keys;
        let opened = open_control(Role::Server, &keys, frame);
        if opened.is_err() {
            self.count_bad_tag(header.generation);
        }
        let (header, control) = opened?;
        let Control::Share(e_c) = control else { return Err(Reject::Control) };
        if self.share.as_deref() == Some(frame) {
            return Ok(());
        }
        let current = self.current.clone().ok_or(Reject::Control)?;
        let due = |offered: &&Offered| {
            offered.with_dh
                && offered.generation.is_none()
                && offered.origin == header.timestamp
                && current.number == header.generation
        };
        let offered = self.offered.clone();
        let offered = offered.as_ref().filter(due).ok_or(Reject::Control)?;
        let Some(secret) = shared(&offered.e_s, &e_c) else {
            (self.current, self.draining, self.offered) = (None, None, None);
            return Err(Reject::Control);
        };
        let dh = [secret, e_c, offered.e_s.public];
        let gs = next_secret(&current.keys.rt, &offered.n, Some(dh));
        let next = self.next(&current, offered.origin, gs);
        assert!(now >= next.origin, "time does not go back");
        self.offered = Some(Offered { generation: Some(next), ..offered.clone() });
        self.share = Some(frame.to_vec());
        Ok(())
    }
}

/// Slot and tag.
fn verify(
    generation: &Generation,
    suite: Suite,
    now: u64,
    header: &Header,
    frame: &[u8],
) -> Result<(), Reject> {
    let slot = u64::from(slot_of(generation.origin, header.timestamp)?);
    let current = (now - generation.origin) / 65536;
    if slot + 1 < current || slot > current + 1 {
        return Err(Reject::NoSlot);
    }
    let k_req = generation.request_key(header.counter, header.timestamp)?;
    open(suite, &k_req, frame, &[]).map(|_| ())
}

/// LIMIT, REPLAY, EXPIRED, then the counter is set (11.3.3); whether in time or not: what is answered STALE is never executed.
fn record(generation: &mut Generation, limit: u64, last_counts: bool, header: &Header) -> Result<(), Reject> {
    if header.counter >= limit {
        return Err(Reject::Limit);
    }
    generation.window.test(header.counter)?;
    if generation.last.is_some_and(|last| header.counter > last) {
        return Err(Reject::Ended);
    }
    generation.window.accept(header.counter)?;
    if last_counts && header.flags & LAST != 0 && generation.last.is_none() {
        generation.last = Some(header.counter);
    }
    Ok(())
}
