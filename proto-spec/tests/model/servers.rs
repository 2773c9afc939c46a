//! Servers of the model: the real one, and one of loose parts that can be built wrong.

use std::{collections::BTreeSet, sync::Arc};

use mvt_proto::{
    Header, Kind, Limits, Reject, Role, Suite,
    agreement::Ephemeral,
    frame::control::{About, Control},
    lost::LostKeys,
    schedule::{GenerationKeys, extract},
    secret::Secret,
    session::{Agreement, Offering, ServerSession, Shared},
};

use crate::support::{KEY_ID, MODEL_LIMITS, lost_keys, secret};

/// What a server made of a frame.
pub struct Judged {
    pub verdict: Result<(), Reject>,
    /// What it says to the client, in order.
    pub says: Vec<Vec<u8>>,
}

/// A server of one session, as the network sees it.
pub trait Server {
    /// A mistake: a session is rebuilt on another server as it was, with an empty window.
    const RESUMES_UNDER_THE_SAME_KEYS: bool = false;
    /// What somebody else computes for it.
    type Job: std::fmt::Debug;
    /// A session with generation secret `gs`, beginning in generation `number`.
    fn begin(gs: [u8; 32], number: u16, now_ms: u64) -> Self;
    /// Judges a request or a CTL; a recorded request may make it offer, with randomness that follows from `random`.
    fn judge(&mut self, frame: &[u8], random: u8, now_ms: u64) -> Judged;
    /// What the frame judged last gives others to compute (§11.2.7).
    fn job(&mut self) -> Option<Self::Job>;
    /// It is computed: this server hears of it, whoever asked.
    fn agreed(&mut self, job: &Self::Job);
    /// Everything its future depends on, but for what it recorded.
    fn print(&self) -> String;
}

/// A renewal is due with every recorded request: every schedule meets one.
pub const SOFT: Limits = Limits { renew_after_requests: 1, ..Limits::DEFAULT };

pub fn answer(
    header: &Header,
    frame: &[u8],
    judged: Result<mvt_proto::session::Exchange, Outcome>,
    now_ms: u64,
) -> Judged {
    let mut out = Vec::new();
    let verdict = match judged {
        Ok(exchange) => {
            exchange.respond(0, b"done", now_ms, &mut out);
            Ok(())
        }
        Err(Outcome::Refused(refused)) => {
            let (reject, reason) = (refused.reject, refused.reason());
            refused.exchange.refuse(reason, now_ms, &mut out);
            Err(reject)
        }
        Err(Outcome::Unverified(reject)) => {
            let keys: LostKeys = lost_keys();
            out.extend_from_slice(&keys.answer(frame, reject != Reject::BadTag));
            Err(reject)
        }
    };
    debug_assert_eq!(header.kind, Kind::Req);
    Judged { verdict, says: vec![out] }
}

pub enum Outcome {
    Unverified(Reject),
    Refused(Box<mvt_proto::session::Refused>),
}

pub fn judge_one(
    session: &mut ServerSession,
    header: &Header,
    frame: &[u8],
    now_ms: u64,
) -> Result<mvt_proto::session::Exchange, Outcome> {
    let fresh = session.check(header, now_ms);
    let authentic = session.open(fresh, &mut frame.to_vec()).map_err(Outcome::Unverified)?;
    session.commit(authentic, now_ms).map_err(|refused| Outcome::Refused(Box::new(refused)))
}

/// The protocol core.
pub struct Real(ServerSession, Option<Agreement>);

impl Server for Real {
    type Job = Agreement;

    fn begin(gs: [u8; 32], number: u16, now_ms: u64) -> Self {
        let keys = GenerationKeys::derive(Secret::new(gs), KEY_ID, number);
        Self(ServerSession::new(KEY_ID, Suite::Hs256, MODEL_LIMITS, keys, now_ms), None)
    }

    fn judge(&mut self, frame: &[u8], random: u8, now_ms: u64) -> Judged {
        let header = Header::parse(frame, Role::Server).expect("well formed");
        let session = &mut self.0;
        if header.kind == Kind::Ctl {
            let verdict = session.control(&header, &mut frame.to_vec(), now_ms);
            assert_ne!(verdict, Ok(Shared::Broken), "an honest client's point");
            if verdict == Ok(Shared::Taken) {
                self.1 = session.renewal().and_then(|renewal| renewal.agreement());
            }
            return Judged { verdict: verdict.map(|_| ()), says: Vec::new() };
        }
        let mut judged = answer(&header, frame, judge_one(session, &header, frame, now_ms), now_ms);
        let is_current = header.generation == session.generation();
        if judged.verdict.is_ok() && is_current && session.wants_offer(&SOFT, now_ms) {
            let ephemeral =
                session.wants_exchange(now_ms).then(|| Arc::new(Ephemeral::new(secret(random ^ 0x5a))));
            let mut offer = Vec::new();
            session.offer(|| Offering { nonce: secret(random), ephemeral }, now_ms, &mut offer);
            judged.says.push(offer);
            judged.says.retain(|frame| !frame.is_empty());
        }
        judged
    }

    fn job(&mut self) -> Option<Agreement> {
        self.1.take()
    }

    fn agreed(&mut self, job: &Agreement) {
        self.0.take_agreed(&job.compute().expect("an honest point"));
    }

    fn print(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// What is built wrong.
pub const NOTHING: u8 = 0;
pub const COMMITS_ON_OFFER: u8 = 1;
pub const OFFERS_TWICE: u8 = 2;
pub const REBUILDS_THE_WINDOW: u8 = 3;
pub const ENDS_ON_LAST: u8 = 4;
pub const RESUMES_WITHOUT_NEW_KEYS: u8 = 5;

/// A server of loose parts: sessions of one generation each, with the rules of renewal written around them, form 0 only.
pub struct Loose<const WRONG: u8> {
    current: Part,
    next: Option<(Part, Vec<u8>)>,
    old: Option<(Part, u64)>,
}

pub struct Part {
    pub session: ServerSession,
    pub gs: [u8; 32],
    recorded: BTreeSet<u64>,
    last: Option<u64>,
}

impl Part {
    pub fn new(gs: [u8; 32], number: u16, origin_ms: u64) -> Self {
        let keys = GenerationKeys::derive(Secret::new(gs), KEY_ID, number);
        let session = ServerSession::new(KEY_ID, Suite::Hs256, MODEL_LIMITS, keys, origin_ms);
        Self { session, gs, recorded: BTreeSet::new(), last: None }
    }

    /// §11.3.8. No model comes near the width of a window.
    fn is_spent(&self, wrong: u8) -> bool {
        let has_all = |last: u64| (0..last).all(|counter| self.recorded.contains(&counter));
        self.last.is_some_and(|last| wrong == ENDS_ON_LAST || has_all(last))
    }
}

impl<const WRONG: u8> Loose<WRONG> {
    fn offer(&mut self, random: u8, now_ms: u64) -> Option<Vec<u8>> {
        if let Some((old, until_ms)) = &mut self.old {
            if old.is_spent(WRONG) {
                *until_ms = now_ms + 1;
            }
            return None;
        }
        if let Some((_, offer)) = &self.next
            && WRONG != OFFERS_TWICE
        {
            return Some(offer.clone());
        }
        let number = self.current.session.generation();
        let keys = GenerationKeys::derive(Secret::new(self.current.gs), KEY_ID, number);
        let nonce = [random; 32];
        let mut offer = Vec::new();
        let about = About { key_id: KEY_ID, generation: number, timestamp: now_ms };
        Control::Offer.seal(&keys.control_s2c, about, &[&nonce[..], &[0]].concat(), &mut offer);
        let gs = *extract(keys.ratchet.expose(), &nonce).expose();
        let next = Part::new(gs, number + 1, now_ms);
        if WRONG == COMMITS_ON_OFFER {
            self.current = next;
        } else {
            self.next = Some((next, offer.clone()));
        }
        Some(offer)
    }

    fn commit(&mut self, now_ms: u64) {
        let Some((next, _)) = self.next.take() else { return };
        let mut old = std::mem::replace(&mut self.current, next);
        if WRONG == REBUILDS_THE_WINDOW {
            old = Part::new(old.gs, old.session.generation(), now_ms);
        }
        self.old = Some((old, now_ms + 2_000));
    }
}

impl<const WRONG: u8> Server for Loose<WRONG> {
    const RESUMES_UNDER_THE_SAME_KEYS: bool = WRONG == RESUMES_WITHOUT_NEW_KEYS;
    type Job = ();

    fn begin(gs: [u8; 32], number: u16, now_ms: u64) -> Self {
        Self { current: Part::new(gs, number, now_ms), next: None, old: None }
    }

    fn judge(&mut self, frame: &[u8], random: u8, now_ms: u64) -> Judged {
        let header = Header::parse(frame, Role::Server).expect("well formed");
        self.old.take_if(|(_, until_ms)| now_ms >= *until_ms);
        let named = |part: &Part| part.session.generation() == header.generation;
        let is_current = named(&self.current);
        let is_next = !is_current && self.next.as_ref().is_some_and(|(part, _)| named(part));
        let has_successor = !is_current || self.next.is_some();
        let part = match (&mut self.next, &mut self.old) {
            (Some((part, _)), _) if is_next && header.flags.ack() => part,
            (_, Some((part, _))) if !is_current && named(part) => part,
            _ => &mut self.current,
        };
        let judged = judge_one(&mut part.session, &header, frame, now_ms);
        if judged.is_ok() {
            part.recorded.insert(header.counter);
        }
        if judged.is_ok() && header.flags.last() && has_successor {
            part.last.get_or_insert(header.counter);
        }
        let mut judged = answer(&header, frame, judged, now_ms);
        if judged.verdict.is_ok() && is_next {
            self.commit(now_ms);
        }
        if judged.verdict.is_ok() && (is_current || is_next) {
            judged.says.extend(self.offer(random, now_ms));
        }
        judged
    }

    fn job(&mut self) -> Option<()> {
        None
    }

    fn agreed(&mut self, (): &()) {}

    fn print(&self) -> String {
        let part =
            |Part { session, gs, recorded, last }: &Part| format!("{session:?}{gs:?}{recorded:?}{last:?}");
        let next = self.next.as_ref().map(|(next, _)| part(next));
        let old = self.old.as_ref().map(|(old, until_ms)| (part(old), *until_ms));
        format!("{}{next:?}{old:?}", part(&self.current))
    }
}
