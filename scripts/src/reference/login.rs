//! HELLO, and what a server makes of it (§10.1).

use super::{
    frame::{Header, Parsed, Role, parse, parts},
    hkdf::{hmac16, sha256},
    noise::{HandshakeState, NAME},
    reject::Reject,
    x25519::KeyPair,
};

/// Bytes of a HELLO; at most of a HELLO_R.
pub const LOGIN_FRAME_BYTES: usize = 512;
/// Noise message 1 without its payload: e, sealed s, tag of the payload.
const NOISE_1_BYTES: usize = 32 + 48 + 16;

/// The key of mac1 and of RETRY.
pub fn mac1_key(server_public: &[u8; 32]) -> [u8; 32] {
    sha256(&[b"mvt1 mac1".as_slice(), server_public].concat())
}

/// mac1 of a HELLO, whatever tag it carries now.
pub fn mac1(server_public: &[u8; 32], hello: &[u8]) -> [u8; 16] {
    hmac16(&mac1_key(server_public), &[&hello[..hello.len() - 16]])
}

/// Cookie and suites as a HELLO's payload starts with them.
pub fn front(cookie: &[u8], suites: &[u16]) -> Vec<u8> {
    let mut out = vec![u8::try_from(cookie.len()).expect("a u8")];
    out.extend_from_slice(cookie);
    out.push(u8::try_from(suites.len()).expect("a u8"));
    suites.iter().for_each(|suite| out.extend_from_slice(&suite.to_be_bytes()));
    out
}

/// `prologue` of §10; `before_noise` is the HELLO up to the Noise message.
pub fn prologue(before_noise: &[u8], channel_binding: &[u8]) -> Vec<u8> {
    [b"mvt1 ", NAME, before_noise, channel_binding].concat()
}

/// The header of a HELLO of pattern 1.
pub fn hello_header(login_id: u64) -> Header {
    Header { op: 1, counter: login_id, ..Header::of("HELLO") }
}

/// A client at the start of a login.
#[derive(Debug, Clone)]
pub struct Client {
    /// The enrolled key.
    pub identity: KeyPair,
    /// The key of this login.
    pub ephemeral: KeyPair,
    /// The server's static public key.
    pub server_public: [u8; 32],
    /// Empty on raw TCP.
    pub channel_binding: Vec<u8>,
}

impl Client {
    /// A HELLO that ends with the Noise message over `padding`, and the handshake to read the answer with.
    pub fn hello(&self, header: Header, front: &[u8], padding: &[u8]) -> (Vec<u8>, HandshakeState) {
        let bytes = header.encode(front.len() + NOISE_1_BYTES + padding.len());
        let before = [bytes.as_slice(), front].concat();
        let prologue = prologue(&before, &self.channel_binding);
        let mut noise =
            HandshakeState::initiator(&prologue, self.identity, self.ephemeral, self.server_public);
        let message = noise.write(padding).expect("the server's key is a good one");
        (finish_hello(&self.server_public, &before, &message), noise)
    }

    /// A well-formed HELLO of 512 bytes.
    pub fn padded_hello(&self, login_id: u64, cookie: &[u8], suites: &[u16]) -> (Vec<u8>, HandshakeState) {
        let front = front(cookie, suites);
        let padding = vec![0; padding_bytes(front.len())];
        self.hello(hello_header(login_id), &front, &padding)
    }
}

/// The padding that makes a HELLO 512 bytes.
pub fn padding_bytes(front_bytes: usize) -> usize {
    LOGIN_FRAME_BYTES - 28 - front_bytes - NOISE_1_BYTES - 16
}

/// Joins a HELLO and gives it its mac1.
pub fn finish_hello(server_public: &[u8; 32], before_noise: &[u8], message: &[u8]) -> Vec<u8> {
    let mut frame = [before_noise, message, &[0; 16]].concat();
    let tag = mac1(server_public, &frame);
    let at = frame.len() - 16;
    frame[at..].copy_from_slice(&tag);
    frame
}

/// What a server knows before a login.
#[derive(Debug, Clone)]
pub struct Server {
    /// The static key.
    pub identity: KeyPair,
    /// The key of this login.
    pub ephemeral: KeyPair,
    /// Enrolled public keys.
    pub enrolled: Vec<[u8; 32]>,
    /// Suites allowed to the client.
    pub allowed: Vec<u16>,
    /// Empty on raw TCP.
    pub channel_binding: Vec<u8>,
}

/// A HELLO that a server accepts.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The client's public key.
    pub client_public: [u8; 32],
    /// The first suite of the list that is allowed.
    pub suite: u16,
    /// The counter of the HELLO.
    pub login_id: u64,
    /// The handshake, ready to write message 2.
    pub noise: HandshakeState,
}

impl Server {
    /// Judges a HELLO: frame, mac1, fields, Noise, padding, client, suite.
    pub fn accept(&self, hello: &[u8]) -> Result<Accepted, Reject> {
        let Parsed::Frame(header, payload_bytes) = parse(Role::Server, hello)? else {
            return Err(Reject::Length);
        };
        if header.kind != Header::of("HELLO").kind || payload_bytes + 44 != hello.len() {
            return Err(Reject::Kind);
        }
        let (_, payload, tag) = parts(hello);
        if mac1(&self.identity.public, hello) != tag {
            return Err(Reject::Mac1);
        }
        if hello.len() != LOGIN_FRAME_BYTES || header.op != 1 {
            return Err(Reject::Field);
        }
        let (front_bytes, suites) = read_front(payload).ok_or(Reject::Field)?;
        let prologue = prologue(&hello[..28 + front_bytes], &self.channel_binding);
        let mut noise = HandshakeState::responder(&prologue, self.identity, self.ephemeral);
        let padding = noise.read(&payload[front_bytes..])?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Reject::Field);
        }
        let client_public = noise.remote_static().expect("message 1 carries it");
        if !self.enrolled.contains(&client_public) {
            return Err(Reject::UnknownClient);
        }
        let suite = suites.into_iter().find(|suite| self.allowed.contains(suite)).ok_or(Reject::NoSuite)?;
        Ok(Accepted { client_public, suite, login_id: header.counter, noise })
    }
}

/// Bytes of cookie and suites, and the suites; `None` if a length or a repetition breaks §10.1.
fn read_front(payload: &[u8]) -> Option<(usize, Vec<u16>)> {
    let cookie_bytes = usize::from(*payload.first()?);
    if cookie_bytes != 0 && cookie_bytes != 16 {
        return None;
    }
    let (list_bytes, suites) = suite_list(payload.get(1 + cookie_bytes..)?)?;
    Some((1 + cookie_bytes + list_bytes, suites))
}

/// Bytes of a list that starts with its count, and its suites; `None` if §10.1 refuses it.
pub fn suite_list(bytes: &[u8]) -> Option<(usize, Vec<u16>)> {
    let count = usize::from(*bytes.first()?);
    if !(1..=8).contains(&count) {
        return None;
    }
    let list = bytes.get(1..1 + 2 * count)?;
    let suites: Vec<u16> = list.chunks(2).map(|two| u16::from(two[0]) << 8 | u16::from(two[1])).collect();
    let repeated = suites.iter().enumerate().any(|(i, suite)| suites[..i].contains(suite));
    (!repeated).then_some((1 + 2 * count, suites))
}
