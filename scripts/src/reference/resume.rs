//! RESUME with its answer (§12.3, §12.4).

use super::{
    frame::{HEADER_BYTES, Header, Parsed, Role, parse, parts},
    grant::{GRANT_BYTES, Grant},
    hkdf::{array, extract, hmac16, sha256},
    label::label32,
    login::{LOGIN_FRAME_BYTES, mac1},
    point::shared,
    reject::Reject,
    schedule::{Schedule, schedule},
    suite::{gcm_open, gcm_seal},
    ticket::{PSK_ALONE, Revocation, RingKey, TICKET_BYTES, Ticket, open_ticket},
    x25519::KeyPair,
};

/// Mode: psk with Diffie-Hellman.
pub const WITH_DH: u16 = 1;
/// Mode: psk alone.
pub const ALONE: u16 = 2;

/// `CB`: the channel binding after its length.
pub fn framed(channel_binding: &[u8]) -> Vec<u8> {
    [&[u8::try_from(channel_binding.len()).expect("a u8")], channel_binding].concat()
}

/// Gives a frame its mac1.
pub fn with_mac1(server_public: &[u8; 32], mut frame: Vec<u8>) -> Vec<u8> {
    let at = frame.len() - 16;
    let tag = mac1(server_public, &frame);
    frame[at..].copy_from_slice(&tag);
    frame
}

/// The header of a RESUME.
pub fn resume_header(mode: u16, login_id: u64) -> Header {
    Header { op: mode, counter: login_id, ..Header::of("RESUME") }
}

/// A client that resumes.
#[derive(Debug, Clone)]
pub struct Client {
    /// RS_g.
    pub rs: [u8; 32],
    /// What it was sealed into.
    pub ticket: Vec<u8>,
    /// Suite of the old session.
    pub suite: u16,
    /// Random.
    pub nonce: [u8; 32],
    /// Used with mode 1.
    pub ephemeral: KeyPair,
    /// Known since login.
    pub server_public: [u8; 32],
    /// Empty on raw TCP.
    pub channel_binding: Vec<u8>,
}

impl Client {
    /// A well-formed payload up to the padding.
    pub fn front(&self, mode: u16, cookie: &[u8]) -> Vec<u8> {
        let e_c = if mode == WITH_DH { self.ephemeral.public.as_slice() } else { &[] };
        let ticket_bytes = (self.ticket.len() as u16).to_be_bytes();
        [&[cookie.len() as u8], cookie, &self.nonce, e_c, &ticket_bytes, &self.ticket].concat()
    }

    /// Ends a frame: padding as given, binder, mac1.
    pub fn finish(&self, header: Header, front: &[u8], padding: &[u8]) -> Vec<u8> {
        let before = [header.encode(front.len() + padding.len() + 16).as_slice(), front, padding].concat();
        let binder = binder(&self.rs, &self.channel_binding, &before);
        with_mac1(&self.server_public, [before.as_slice(), &binder, &[0; 16]].concat())
    }

    /// A well-formed RESUME.
    pub fn resume(&self, mode: u16, login_id: u64, cookie: &[u8]) -> Vec<u8> {
        let front = self.front(mode, cookie);
        let padding = vec![0; LOGIN_FRAME_BYTES - 28 - front.len() - 32];
        self.finish(resume_header(mode, login_id), &front, &padding)
    }

    /// What a client makes of a RESUME_R that answers `resume`.
    pub fn read(&self, resume: &[u8], frame: &[u8]) -> Result<(Grant, Schedule), Reject> {
        let secret = |e_s: Option<[u8; 32]>| {
            let dh = e_s.map(|e_s| shared(&self.ephemeral, &e_s).ok_or(Reject::Binder)).transpose()?;
            Ok([self.rs.as_slice(), dh.as_ref().map_or(&[], |dh| dh)].concat())
        };
        let mode = Header::decode(resume).op;
        let form = Form { kind: "RESUME_R", context: b"mvt1 resume", with_dh: mode == WITH_DH };
        read_answer(form, &self.channel_binding, resume, frame, &[self.suite], secret)
    }
}

/// `binder`, over the frame before it.
pub fn binder(rs: &[u8; 32], channel_binding: &[u8], before: &[u8]) -> [u8; 16] {
    hmac16(&label32(rs, "binder", &[]), &[&framed(channel_binding), before])
}

/// What a server judges a RESUME by.
#[derive(Debug, Clone)]
pub struct Server {
    /// The static public key.
    pub public: [u8; 32],
    /// The ring.
    pub ring: Vec<RingKey>,
    /// In force.
    pub revoked: Vec<Revocation>,
    /// Suites it would allow at a login.
    pub allowed: Vec<u16>,
    /// Empty on raw TCP.
    pub channel_binding: Vec<u8>,
}

/// A RESUME that a server accepts.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// The ticket opened.
    pub ticket: Ticket,
    /// 1 or 2.
    pub mode: u16,
    /// The counter of the RESUME.
    pub login_id: u64,
    /// e_c of mode 1.
    pub e_c: Option<[u8; 32]>,
}

impl Server {
    /// Judges a RESUME: frame, mac1, layout, ticket, mode, binder, e_c, suite.
    pub fn accept(&self, now: u64, frame: &[u8]) -> Result<Accepted, Reject> {
        let Parsed::Frame(header, _) = parse(Role::Server, frame)? else { return Err(Reject::Length) };
        assert_eq!(header.kind, Header::of("RESUME").kind, "only RESUME comes here");
        let (_, payload, tag) = parts(frame);
        if mac1(&self.public, frame) != tag {
            return Err(Reject::Mac1);
        }
        let (e_c, ticket) = read_layout(header.op, frame.len(), payload).ok_or(Reject::Field)?;
        let ticket = open_ticket(&self.ring, &self.revoked, now, ticket)?;
        let (before, rest) = frame.split_at(frame.len() - 32);
        let allowed = header.op == WITH_DH || ticket.policy & PSK_ALONE != 0;
        if !allowed || binder(&ticket.rs, &self.channel_binding, before) != rest[..16] {
            return Err(Reject::Binder);
        }
        // Any private key tells whether the point is one that §10.3.1 lets pass.
        if e_c.is_some_and(|e_c| shared(&KeyPair::new([1; 32]), &e_c).is_none()) {
            return Err(Reject::Binder);
        }
        if !self.allowed.contains(&ticket.suite) {
            return Err(Reject::NoSuite);
        }
        Ok(Accepted { ticket, mode: header.op, login_id: header.counter, e_c })
    }

    /// The RESUME_R that answers an accepted RESUME; `grant` is what is sealed.
    pub fn answer(
        &self,
        accepted: &Accepted,
        resume: &[u8],
        nonce: &[u8; 32],
        e_s: &KeyPair,
        grant: &[u8],
    ) -> (Vec<u8>, Schedule) {
        let dh = accepted.e_c.map(|e_c| e_s.dh(&e_c));
        let secret = [accepted.ticket.rs.as_slice(), dh.as_ref().map_or(&[], |dh| dh)].concat();
        let form = Form { kind: "RESUME_R", context: b"mvt1 resume", with_dh: dh.is_some() };
        seal_answer(form, &self.channel_binding, resume, (nonce, &e_s.public), &secret, grant)
    }
}

/// e_c and ticket of a payload; `None` if the layout is broken.
fn read_layout(mode: u16, frame_bytes: usize, payload: &[u8]) -> Option<(Option<[u8; 32]>, &[u8])> {
    let mut rest = payload;
    let mut take = |count: usize| {
        let (head, tail) = rest.split_at_checked(count)?;
        rest = tail;
        Some(head)
    };
    let cookie_bytes = take(1)?[0];
    if frame_bytes != LOGIN_FRAME_BYTES || !matches!(cookie_bytes, 0 | 16) || !matches!(mode, WITH_DH | ALONE)
    {
        return None;
    }
    take(cookie_bytes.into())?;
    take(32)?;
    let e_c = if mode == WITH_DH { Some(array(take(32)?)) } else { None };
    if take(2)? != (TICKET_BYTES as u16).to_be_bytes() {
        return None;
    }
    let ticket = take(TICKET_BYTES)?;
    let padding = rest.len().checked_sub(16)?;
    rest[..padding].iter().all(|byte| *byte == 0).then_some((e_c, ticket))
}

/// What differs between RESUME_R and RECOVER_R.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// The kind of the answer.
    pub kind: &'static str,
    /// First in th.
    pub context: &'static [u8],
    /// Whether it carries e_s.
    pub with_dh: bool,
}

fn transcript(form: Form, channel_binding: &[u8], asked: &[u8], head: &[u8]) -> [u8; 32] {
    sha256(&[form.context, &framed(channel_binding), asked, head].concat())
}

/// Seals an answer; `ikm` of GS_0 is given, e_s unused without Diffie-Hellman.
pub fn seal_answer(
    form: Form,
    channel_binding: &[u8],
    asked: &[u8],
    (nonce, e_s): (&[u8; 32], &[u8; 32]),
    ikm: &[u8],
    grant: &[u8],
) -> (Vec<u8>, Schedule) {
    let e_s = if form.with_dh { e_s.as_slice() } else { &[] };
    let header = Header { counter: Header::decode(asked).counter, ..Header::of(form.kind) };
    let header = header.encode(32 + e_s.len() + grant.len() + 16);
    let head = [header.as_slice(), nonce, e_s].concat();
    let gs = extract(&transcript(form, channel_binding, asked, &head), ikm);
    let sealed = gcm_seal(&label32(&gs, "grant", &[]), [0; 12], &head, grant);
    let keys = schedule(gs, u64::from_be_bytes(array(&grant[..8])), 0);
    let before = [head, sealed].concat();
    let tag = hmac16(&keys.cf, &[&before]);
    ([before.as_slice(), &tag].concat(), keys)
}

/// Reads an answer: frame, login id and length, e_s, grant, tag.
pub fn read_answer(
    form: Form,
    channel_binding: &[u8],
    asked: &[u8],
    frame: &[u8],
    offered: &[u16],
    ikm: impl Fn(Option<[u8; 32]>) -> Result<Vec<u8>, Reject>,
) -> Result<(Grant, Schedule), Reject> {
    let Parsed::Frame(header, _) = parse(Role::Client, frame)? else { return Err(Reject::Length) };
    let head_bytes = HEADER_BYTES + if form.with_dh { 64 } else { 32 };
    if header.kind != Header::of(form.kind).kind {
        return Err(Reject::Kind);
    }
    if header.counter != Header::decode(asked).counter || frame.len() != head_bytes + GRANT_BYTES + 32 {
        return Err(Reject::Field);
    }
    let (before, tag) = frame.split_at(frame.len() - 16);
    let (head, sealed) = before.split_at(head_bytes);
    let ikm = ikm(form.with_dh.then(|| array(&head[HEADER_BYTES + 32..])))?;
    let gs = extract(&transcript(form, channel_binding, asked, head), &ikm);
    let grant = gcm_open(&label32(&gs, "grant", &[]), [0; 12], head, sealed).ok_or(Reject::BadTag)?;
    let grant = Grant::decode(&grant, offered)?;
    let keys = schedule(gs, grant.key_id, 0);
    if hmac16(&keys.cf, &[before]) != tag {
        return Err(Reject::BadTag);
    }
    Ok((grant, keys))
}
