//! RECOVER with its answer (§13).

use super::{
    frame::{Header, Parsed, Role, parse, parts},
    grant::Grant,
    hkdf::array,
    hpke::{Context, Psk, derive_key_pair},
    label::label32,
    login::{LOGIN_FRAME_BYTES, mac1, suite_list},
    point::shared,
    reject::Reject,
    resume::{Form, framed, read_answer, seal_answer, with_mac1},
    schedule::Schedule,
    x25519::KeyPair,
};

const FORM: Form = Form { kind: "RECOVER_R", context: b"mvt1 recover", with_dh: true };
const EXPORT: &[u8] = b"mvt1 recover";

/// `server recovery key pair` of a reset secret.
pub fn recovery_key(reset_secret: &[u8; 32]) -> KeyPair {
    derive_key_pair(&label32(reset_secret, "recovery key", &[]))
}

fn info(server_public: &[u8; 32]) -> Vec<u8> {
    [b"mvt1 recover".as_slice(), server_public].concat()
}

/// The header of a RECOVER.
pub fn recover_header(login_id: u64) -> Header {
    Header { op: 1, counter: login_id, ..Header::of("RECOVER") }
}

/// A client with its kit.
#[derive(Debug, Clone)]
pub struct Client {
    /// §12.1.1.
    pub client_id: [u8; 16],
    /// The recovery secret.
    pub secret: [u8; 32],
    /// From the kit.
    pub server_public: [u8; 32],
    /// From the kit.
    pub recovery_public: [u8; 32],
    /// The new static key.
    pub identity: KeyPair,
    /// The key of the HPKE encapsulation.
    pub encapsulation: KeyPair,
    /// e_c.
    pub ephemeral: KeyPair,
    /// Empty on raw TCP.
    pub channel_binding: Vec<u8>,
}

impl Client {
    fn psk<'a>(&'a self, info: &'a [u8]) -> Psk<'a> {
        Psk { key: &self.secret, id: &self.client_id, info }
    }

    /// The context of the encapsulation.
    pub fn context(&self) -> Context {
        let info = info(&self.server_public);
        Context::sender(&self.encapsulation, &self.recovery_public, self.psk(&info))
    }

    /// New key, e_c, suites: what is sealed before the padding.
    pub fn text(&self, suites: &[u16]) -> Vec<u8> {
        let list: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
        [self.identity.public.as_slice(), &self.ephemeral.public, &[suites.len() as u8], &list].concat()
    }

    /// A frame of any header, cookie and text, sealed in any context.
    pub fn seal(&self, context: &Context, header: Header, cookie: &[u8], text: &[u8]) -> Vec<u8> {
        let front = [&[cookie.len() as u8], cookie, &self.client_id].concat();
        let before = [header.encode(front.len() + 32 + text.len() + 16).as_slice(), &front].concat();
        let sealed = context.seal(&[framed(&self.channel_binding), before.clone()].concat(), text);
        let frame = [before.as_slice(), &self.encapsulation.public, &sealed, &[0; 16]].concat();
        with_mac1(&self.server_public, frame)
    }

    /// A well-formed RECOVER.
    pub fn recover(&self, login_id: u64, cookie: &[u8], suites: &[u16]) -> Vec<u8> {
        let mut text = self.text(suites);
        text.resize(text_bytes(cookie.len()), 0);
        self.seal(&self.context(), recover_header(login_id), cookie, &text)
    }

    /// What a client makes of a RECOVER_R that answers `recover`.
    pub fn read(&self, recover: &[u8], suites: &[u16], frame: &[u8]) -> Result<(Grant, Schedule), Reject> {
        let secret = |e_s: Option<[u8; 32]>| {
            let e_s = e_s.expect("the form has e_s");
            let one = shared(&self.ephemeral, &e_s).ok_or(Reject::Recovery)?;
            let two = shared(&self.identity, &e_s).ok_or(Reject::Recovery)?;
            Ok([self.context().export(EXPORT), one, two].concat())
        };
        read_answer(FORM, &self.channel_binding, recover, frame, suites, secret)
    }
}

/// The text that makes a RECOVER 512 bytes.
pub fn text_bytes(cookie_bytes: usize) -> usize {
    LOGIN_FRAME_BYTES - 28 - 1 - cookie_bytes - 16 - 32 - 16 - 16
}

/// What a server judges a RECOVER by; the cookie is judged elsewhere (§14).
#[derive(Debug, Clone)]
pub struct Server {
    /// The static public key.
    pub public: [u8; 32],
    /// §13.
    pub recovery: KeyPair,
    /// Ids of clients that may recover, and their secrets.
    pub secrets: Vec<([u8; 16], [u8; 32])>,
    /// Public keys enrolled.
    pub enrolled: Vec<[u8; 32]>,
    /// Suites allowed to the client.
    pub allowed: Vec<u16>,
    /// Empty on raw TCP.
    pub channel_binding: Vec<u8>,
}

/// A RECOVER that a server accepts.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// Whose identity is replaced.
    pub client_id: [u8; 16],
    /// The new static key.
    pub new_public: [u8; 32],
    /// The client's ephemeral key.
    pub e_c: [u8; 32],
    /// The first of the list that is allowed.
    pub suite: u16,
    /// The counter of the RECOVER.
    pub login_id: u64,
    context: Context,
}

impl Server {
    /// Judges a RECOVER: frame, mac1, layout, HPKE, then what it sealed.
    pub fn accept(&self, frame: &[u8]) -> Result<Accepted, Reject> {
        let Parsed::Frame(header, _) = parse(Role::Server, frame)? else { return Err(Reject::Length) };
        assert_eq!(header.kind, Header::of("RECOVER").kind, "only RECOVER comes here");
        let (_, payload, tag) = parts(frame);
        if mac1(&self.public, frame) != tag {
            return Err(Reject::Mac1);
        }
        let cookie_bytes = usize::from(*payload.first().ok_or(Reject::Field)?);
        if frame.len() != LOGIN_FRAME_BYTES || header.op != 1 || !matches!(cookie_bytes, 0 | 16) {
            return Err(Reject::Field);
        }
        let front = 1 + cookie_bytes + 16;
        let client_id = array(&payload[front - 16..front]);
        let enc = array(&payload[front..front + 32]);
        let (_, secret) = self.secrets.iter().find(|(id, _)| *id == client_id).ok_or(Reject::Recovery)?;
        let info = info(&self.public);
        let psk = Psk { key: secret, id: &client_id, info: &info };
        let context = Context::recipient(&enc, &self.recovery, psk).ok_or(Reject::Recovery)?;
        let aad = [framed(&self.channel_binding), frame[..28 + front].to_vec()].concat();
        let text = context.open(&aad, &payload[front + 32..]).ok_or(Reject::Recovery)?;
        let (new_public, e_c) = (array(&text[..32]), array(&text[32..64]));
        let (list_bytes, suites) = suite_list(&text[64..]).ok_or(Reject::Recovery)?;
        let any = KeyPair::new([1; 32]);
        let bad = text[64 + list_bytes..].iter().any(|byte| *byte != 0)
            || shared(&any, &new_public).is_none()
            || shared(&any, &e_c).is_none()
            || self.enrolled.contains(&new_public);
        if bad {
            return Err(Reject::Recovery);
        }
        let suite = suites.into_iter().find(|suite| self.allowed.contains(suite)).ok_or(Reject::NoSuite)?;
        Ok(Accepted { client_id, new_public, e_c, suite, login_id: header.counter, context })
    }

    /// The RECOVER_R that answers an accepted RECOVER.
    pub fn answer(
        &self,
        accepted: &Accepted,
        recover: &[u8],
        nonce: &[u8; 32],
        e_s: &KeyPair,
        grant: &[u8],
    ) -> (Vec<u8>, Schedule) {
        let dh = [e_s.dh(&accepted.e_c), e_s.dh(&accepted.new_public)].concat();
        let ikm = [accepted.context.export(EXPORT).as_slice(), &dh].concat();
        seal_answer(FORM, &self.channel_binding, recover, (nonce, &e_s.public), &ikm, grant)
    }
}
