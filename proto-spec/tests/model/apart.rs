//! A server of loose parts that has a key agreement computed apart from its requests, and can be built wrong (SPEC §11.2.7).

use mvt_proto::{
    Header, Kind, Reject, Role,
    agreement::{agree, public_of},
    frame::control::{self, About, Control, Says},
    schedule::{GenerationKeys, extract},
};

use crate::{
    model::servers::{Judged, Part, Server, answer, judge_one},
    support::{KEY_ID, secret},
};

/// What is built wrong.
pub const NOTHING: u8 = 0;
/// A result is taken by key id and generation, whatever OFFER it is of.
pub const TAKES_ANY_RESULT: u8 = 1;
/// Requests of the next generation are refused until the result is there.
pub const REFUSES_MEANWHILE: u8 = 2;
/// They are judged by keys without it.
pub const DERIVES_WITHOUT: u8 = 3;

/// Offers once, with a Diffie-Hellman; the generation before is held for good.
pub struct Apart<const WRONG: u8> {
    current: Part,
    offered: Option<Offered>,
    next: Option<Part>,
    old: Option<Part>,
    job: Option<Job>,
}

/// An OFFER of form 1.
struct Offered {
    frame: Vec<u8>,
    nonce: [u8; 32],
    job: Option<Job>,
    private: u8,
    at_ms: u64,
}

/// An agreement; the private key is a byte repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    generation: u16,
    private: u8,
    share: [u8; 32],
}

impl Job {
    /// What goes into GS_{g+1} behind N.
    fn compute(&self) -> Vec<u8> {
        let private = secret(self.private);
        let shared = agree(&private, &self.share).expect("an honest point");
        [*shared.expose(), self.share, public_of(&private)].concat()
    }
}

impl<const WRONG: u8> Apart<WRONG> {
    fn keys(&self) -> GenerationKeys {
        let number = self.current.session.generation();
        GenerationKeys::derive(mvt_proto::secret::Secret::new(self.current.gs), KEY_ID, number)
    }

    fn offer(&mut self, random: u8, now_ms: u64) -> Option<Vec<u8>> {
        if self.old.is_some() {
            return None;
        }
        if self.offered.is_none() {
            let (nonce, private) = ([random; 32], random ^ 0x5a);
            let about =
                About { key_id: KEY_ID, generation: self.current.session.generation(), timestamp: now_ms };
            let mut frame = Vec::new();
            let payload = [&nonce[..], &[1], &public_of(&secret(private))].concat();
            Control::Offer.seal(&self.keys().control_s2c, about, &payload, &mut frame);
            self.offered = Some(Offered { frame, nonce, job: None, private, at_ms: now_ms });
        }
        self.offered.as_ref().map(|offered| offered.frame.clone())
    }

    fn control(&mut self, header: &Header, frame: &[u8]) -> Result<(), Reject> {
        let keys = self.keys();
        let generation = self.current.session.generation();
        if header.generation != generation {
            return Err(Reject::Control);
        }
        let mut frame = frame.to_vec();
        let said = control::open(Role::Server, &keys.control_c2s, header, &mut frame)?;
        let (Says::Share(share), Some(offered)) = (said, &mut self.offered) else {
            return Err(Reject::Control);
        };
        if header.timestamp != offered.at_ms {
            return Err(Reject::Control);
        }
        let job = Job { generation, private: offered.private, share };
        if offered.job.is_none() {
            self.job = Some(job.clone());
            offered.job = Some(job);
        }
        Ok(())
    }

    fn derive(&mut self, agreed: &[u8]) {
        let Some(Offered { nonce, at_ms, .. }) = &self.offered else { return };
        let gs = extract(self.keys().ratchet.expose(), &[&nonce[..], agreed].concat());
        self.next = Some(Part::new(*gs.expose(), self.current.session.generation() + 1, *at_ms));
    }

    /// What a request of the next generation needs is computed for it.
    fn derive_for(&mut self, header: &Header) {
        let is_asked = header.generation == self.current.session.generation() + 1 && header.flags.ack();
        let job = self.offered.as_ref().and_then(|offered| offered.job.clone());
        if let Some(job) = job
            && self.next.is_none()
            && self.old.is_none()
            && is_asked
        {
            match WRONG {
                REFUSES_MEANWHILE => {}
                DERIVES_WITHOUT => self.derive(&[]),
                _ => self.derive(&job.compute()),
            }
        }
    }
}

impl<const WRONG: u8> Server for Apart<WRONG> {
    type Job = Job;

    fn begin(gs: [u8; 32], number: u16, now_ms: u64) -> Self {
        Self { current: Part::new(gs, number, now_ms), offered: None, next: None, old: None, job: None }
    }

    fn judge(&mut self, frame: &[u8], random: u8, now_ms: u64) -> Judged {
        let header = Header::parse(frame, Role::Server).expect("well formed");
        if header.kind == Kind::Ctl {
            return Judged { verdict: self.control(&header, frame), says: Vec::new() };
        }
        self.derive_for(&header);
        let named = |part: &Part| part.session.generation() == header.generation;
        let is_current = named(&self.current);
        let is_next = self.next.as_ref().is_some_and(named) && header.flags.ack();
        let part = match (&mut self.next, &mut self.old) {
            (Some(part), _) if is_next => part,
            (_, Some(part)) if named(part) => part,
            _ => &mut self.current,
        };
        let judged = judge_one(&mut part.session, &header, frame, now_ms);
        let mut judged = answer(&header, frame, judged, now_ms);
        if judged.verdict.is_ok() && is_next {
            self.old = self.next.take().map(|next| std::mem::replace(&mut self.current, next));
            self.offered = None;
        }
        if judged.verdict.is_ok() && is_current {
            judged.says.extend(self.offer(random, now_ms));
        }
        judged
    }

    fn job(&mut self) -> Option<Job> {
        self.job.take()
    }

    fn agreed(&mut self, job: &Job) {
        let is_ours =
            self.offered.as_ref().and_then(|offered| offered.job.as_ref()).is_some_and(|own| match WRONG {
                TAKES_ANY_RESULT => own.generation == job.generation,
                _ => own == job,
            });
        if is_ours && self.next.is_none() {
            self.derive(&job.compute());
        }
    }

    fn print(&self) -> String {
        let part = |part: &Part| format!("{:?}{:?}", part.session, part.gs);
        let (next, old) = (self.next.as_ref().map(part), self.old.as_ref().map(part));
        let offered = self.offered.as_ref().map(|offered| (&offered.frame, &offered.job));
        format!("{}{next:?}{old:?}{offered:?}", part(&self.current))
    }
}
