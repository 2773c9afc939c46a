//! Scripted sessions that are renewed: a server of the reference beside a client of the reference.

use super::material::{KEY_ID, ORIGIN, key, key_id};
use crate::{
    hex::encode,
    reference::{
        control::{SHARE, control_header, seal_control},
        frame::{ACK, Header},
        reject::Reject,
        renewal::{Client, Told},
        schedule::{Schedule, schedule},
        session::{Bounds, Session},
        slot::{request_key, slot_keys, slot_of},
        suite::{Suite, seal},
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

pub(super) const OP: &str = "renewal";
/// Hard limit of requests in every script.
pub(super) const LIMIT: u64 = 5000;
/// Soft limit of age in every script.
pub(super) const SOFT_MS: u64 = 600_000;
/// Hard limit of age in every script.
pub(super) const HARD_MS: u64 = 900_000;
/// From renewal to renewal on the way to a later generation.
const STEP_MS: u64 = 3_000;

/// A generation as its client knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) number: u16,
    pub(super) origin: u64,
    pub(super) keys: Schedule,
}

/// A request to be sealed; `stamp` is milliseconds after the base of the script.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) of: Known,
    pub(super) counter: u64,
    pub(super) stamp: u64,
    pub(super) flags: u8,
}

/// Events with the verdict each must get.
#[derive(Debug, Clone)]
pub(super) struct Script {
    suite: u16,
    first: u16,
    origin: u64,
    base: u64,
    session: Session,
    /// The other side.
    pub(super) client: Client,
    events: Vec<Value>,
    verdicts: Vec<Value>,
    /// The newest generation of the client.
    pub(super) newest: Known,
    /// The OFFER it came from.
    pub(super) offer: Vec<u8>,
    /// The SHARE that answers it, of form 1.
    pub(super) share: Vec<u8>,
}

/// e_c of every script.
pub(super) fn client_ephemeral() -> KeyPair {
    KeyPair::new(key("renewal e_c"))
}

impl Script {
    /// A session in a generation that was used at once: counter 0, 10 ms after its origin. Generation 0 begins at the base, to
    /// which all times are relative; another one 3 s before, so that the one before it does not drain any more.
    pub(super) fn new(suite: u16, start: u16) -> Self {
        let mut script = Self::from(suite, 0, ORIGIN - STEP_MS * u64::from(start));
        for number in 1..=u64::from(start) {
            script = script.renewed(STEP_MS * number);
        }
        script.base = if start == 0 { ORIGIN } else { ORIGIN + STEP_MS };
        script
    }

    /// A session whose first generation is any, and was used at once.
    pub(super) fn from(suite: u16, first: u16, origin: u64) -> Self {
        let kind = Suite::of(suite.into()).expect("a suite");
        let bounds = Bounds {
            renew_after_requests: LIMIT / 2,
            renew_after_ms: SOFT_MS,
            reject_after_requests: LIMIT,
            reject_after_ms: HARD_MS,
            window_bits: 64,
        };
        let gs = key("gs of a renewal");
        let session = Session::new(kind, KEY_ID, bounds, (first, gs, origin), origin);
        let newest = Known { number: first, origin, keys: schedule(gs, KEY_ID, first) };
        let client = Client::new(KEY_ID, (first, newest.keys), origin, client_ephemeral());
        let (events, verdicts, offer, share) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let base = origin;
        let script =
            Self { suite, first, origin, base, session, client, events, verdicts, newest, offer, share };
        script.sent(10, 0, 10, 0, "accept")
    }

    /// A whole renewal: offer, SHARE if it needs one, commit 10 ms later.
    pub(super) fn renewed(self, at: u64) -> Self {
        let script = self.offered(at);
        let script = if script.share.is_empty() { script } else { script.shared(at + 5, "accept") };
        script.sent(at + 10, 0, at + 10, ACK, "accept")
    }

    /// Seals a request under the keys of its generation.
    pub(super) fn sealed(&self, request: Request) -> Vec<u8> {
        let Request { of, counter, stamp, .. } = request;
        let slot = slot_of(of.origin, self.base + stamp).unwrap_or(0);
        self.sealed_under(request, request_key(&slot_keys(&of.keys.ck0, slot).0, of.number, counter))
    }

    /// Seals a request under any key.
    pub(super) fn sealed_under(&self, request: Request, k_req: [u8; 32]) -> Vec<u8> {
        let Request { of, counter, stamp, flags } = request;
        let generation = of.number;
        let timestamp = self.base + stamp;
        let header =
            Header { flags, key_id: KEY_ID, generation, op: 7, counter, timestamp, ..Header::of("REQ") };
        seal(Suite::of(self.suite.into()).expect("a suite"), &k_req, header, b"payload", &[])
    }

    /// A frame received `at` ms after the base.
    pub(super) fn frame(mut self, at: u64, frame: &[u8], verdict: &str) -> Self {
        let given = self.session.judge(self.base + at, frame).map_or_else(Reject::name, |()| "accept");
        assert_eq!(given, verdict, "event {} of a script, at {at}", self.events.len());
        self.events.push(json!({ "at": self.base + at, "frame": encode(frame) }));
        self.verdicts.push(json!(verdict));
        self
    }

    /// The same frame received `times` times at once, on as many connections as it takes; the last one's verdict counts.
    pub(super) fn repeated(mut self, at: u64, frame: &[u8], times: u32, verdict: &str) -> Self {
        let mut given = "";
        for _ in 0..times {
            given = self.session.judge(self.base + at, frame).map_or_else(Reject::name, |()| "accept");
        }
        assert_eq!(given, verdict, "event {} of a script, at {at}", self.events.len());
        self.events.push(json!({ "at": self.base + at, "frame": encode(frame), "times": times }));
        self.verdicts.push(json!(verdict));
        self
    }

    /// Whether a recorded request calls for an OFFER.
    pub(super) fn due(mut self, at: u64, is_due: bool) -> Self {
        assert_eq!(self.session.is_due(self.base + at), is_due, "at {at}");
        self.events.push(json!({ "at": self.base + at, "is_due": {} }));
        self.verdicts.push(json!(if is_due { "due" } else { "not due" }));
        self
    }

    /// A good request of the client's newest generation.
    pub(super) fn sent(self, at: u64, counter: u64, stamp: u64, flags: u8, verdict: &str) -> Self {
        let of = self.newest;
        self.sent_of(of, at, counter, stamp, flags, verdict)
    }

    /// A good request of a generation.
    pub(super) fn sent_of(
        self,
        of: Known,
        at: u64,
        counter: u64,
        stamp: u64,
        flags: u8,
        verdict: &str,
    ) -> Self {
        let frame = self.sealed(Request { of, counter, stamp, flags });
        self.frame(at, &frame, verdict)
    }

    /// The server is asked to offer; it does, and the client takes it.
    pub(super) fn offered(mut self, at: u64) -> Self {
        let name = format!("{}, {at}", self.newest.number);
        let frame = self.ask(at, &name).expect("an offer is due");
        let Told::Renewed(share) = self.client.told(&frame) else { panic!("a good offer") };
        let (number, keys) = self.client.newest();
        self.newest = Known { number, origin: self.base + at, keys };
        (self.offer, self.share) = (frame, share);
        self
    }

    /// The server is asked to offer while the same offer is outstanding, with other values at hand.
    pub(super) fn offered_again(mut self, at: u64) -> Self {
        let frame = self.ask(at, "again").expect("the same offer");
        assert_eq!(frame, self.offer, "byte for byte");
        self
    }

    /// The server is asked to offer where it must not.
    pub(super) fn not_offered(mut self, at: u64) -> Self {
        assert!(self.ask(at, "not due").is_none(), "no offer is due");
        self
    }

    fn ask(&mut self, at: u64, name: &str) -> Option<Vec<u8>> {
        let (n, e_s) = (key(&format!("N {name}")), key(&format!("e_s {name}")));
        let sent = self.session.offer(self.base + at, n, KeyPair::new(e_s));
        self.events.push(json!({
            "at": self.base + at,
            "offer": { "n": encode(&n), "ephemeral_private": encode(&e_s) },
        }));
        self.verdicts.push(sent.as_ref().map_or(json!("none"), |frame| json!(encode(frame))));
        sent
    }

    /// The server time that is so many ms after the base.
    pub(super) fn time(&self, at: u64) -> u64 {
        self.base + at
    }

    /// A SHARE of any key, timestamp (after the base) and generation.
    pub(super) fn share_of(&self, of: Known, stamp: u64, e_c: &[u8; 32]) -> Vec<u8> {
        seal_control(&of.keys.ctlc, control_header(KEY_ID, of.number, SHARE, self.base + stamp), e_c)
    }

    /// The client's SHARE received.
    pub(super) fn shared(self, at: u64, verdict: &str) -> Self {
        let share = self.share.clone();
        self.frame(at, &share, verdict)
    }

    /// The script as a case of `vector`.
    pub(super) fn case(self, vector: Vector, comment: &str) -> Vector {
        let inputs = json!({
            "suite": self.suite,
            "gs": encode(&key("gs of a renewal")),
            "key_id": key_id(KEY_ID),
            "generation": self.first,
            "origin": self.origin,
            "limits": {
                "renew_after_requests": LIMIT / 2,
                "reject_after_requests": LIMIT,
                "renew_after_ms": SOFT_MS,
                "reject_after_ms": HARD_MS,
            },
            "bits": 64,
            "events": self.events,
        });
        vector.gives(comment, inputs, json!({ "verdicts": self.verdicts }))
    }
}

/// A vector of one script under both suites.
pub(super) fn both(
    name: &'static str,
    spec: &'static str,
    property: &'static str,
    start: u16,
    script: impl Fn(Script) -> Script,
) -> Vector {
    let vector = Vector::new(name, spec, OP, property);
    let vector = script(Script::new(1, start)).case(vector, "HS256");
    script(Script::new(2, start)).case(vector, "GCM256")
}
