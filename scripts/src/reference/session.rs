//! A server's judgement of the frames of one session in its first generation (§5.2, §6, §7.2).

use super::{
    clock::in_time,
    frame::{Header, Parsed, Role, parse},
    reject::Reject,
    replay::Window,
    schedule::schedule,
    slot::{request_key, slot_keys, slot_of},
    suite::{Suite, open},
};

/// One session at a server.
#[derive(Debug)]
pub struct Session {
    suite: Suite,
    ck0: [u8; 32],
    key_id: u64,
    origin: u64,
    reject_after_requests: u64,
    window: Window,
}

impl Session {
    /// A new session that nobody used yet.
    pub fn new(suite: Suite, gs0: [u8; 32], key_id: u64, origin: u64, hard_limit: u64, bits: u64) -> Self {
        let ck0 = schedule(gs0, key_id, 0).ck0;
        Self { suite, ck0, key_id, origin, reject_after_requests: hard_limit, window: Window::new(bits) }
    }

    /// K_req of a request in this session, derived from the start.
    pub fn request_key(&self, counter: u64, timestamp: u64) -> Result<[u8; 32], Reject> {
        let (sk, _) = slot_keys(&self.ck0, slot_of(self.origin, timestamp)?);
        Ok(request_key(&sk, 0, counter))
    }

    /// Judges a frame received at `now`, which is not before the origin.
    pub fn judge(&mut self, now: u64, frame: &[u8]) -> Result<(), Reject> {
        let Parsed::Frame(header, _) = parse(Role::Server, frame)? else { return Err(Reject::Length) };
        assert_eq!(header.kind, Header::of("REQ").kind, "a session judges requests");
        if header.key_id != self.key_id {
            return Err(Reject::UnknownKey);
        }
        if header.generation != 0 {
            return Err(Reject::NoSlot);
        }
        let slot = u64::from(slot_of(self.origin, header.timestamp)?);
        let current = (now - self.origin) / 65536;
        let held = slot + 1 >= current && slot <= current + 1;
        if !held {
            return Err(Reject::NoSlot);
        }
        let k_req = self.request_key(header.counter, header.timestamp)?;
        open(self.suite, &k_req, frame, &[])?;
        if header.counter >= self.reject_after_requests {
            return Err(Reject::Limit);
        }
        // Recorded whether in time or not: what is answered STALE is never executed.
        self.window.accept(header.counter)?;
        in_time(now, header.timestamp)
    }
}
