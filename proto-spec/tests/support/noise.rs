//! Noise IK written out, without any check of points: what an attacker who keeps to no rule can send.
//!
//! It knows every private key of a test, so it computes the shared secrets of any point at all.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{AeadInOut, Nonce},
};
use hmac::{Hmac, Mac};
use mvt_proto::{
    constants::{HEADER_BYTES, HELLO_BYTES, TAG_BYTES},
    login::{Identity, Mac1},
    schedule::{GenerationKeys, extract},
};
use sha2::{Digest, Sha256};
use x25519_dalek::x25519;

type Key = [u8; 32];

/// The symmetric state of Noise, revision 34, §5.2.
struct Symmetric {
    hash: Key,
    chain: Key,
    key: Key,
    nonce: u64,
}

impl Symmetric {
    fn new(prologue: &[u8], responder_static: &Key) -> Self {
        let mut name = [0u8; 32];
        name[..28].copy_from_slice(b"Noise_IK_25519_AESGCM_SHA256");
        let mut state = Self { hash: name, chain: name, key: [0; 32], nonce: 0 };
        state.mix_hash(prologue);
        state.mix_hash(responder_static);
        state
    }

    fn mix_hash(&mut self, bytes: &[u8]) {
        self.hash = Sha256::new().chain_update(self.hash).chain_update(bytes).finalize().into();
    }

    fn two_keys(&self, input: &[u8]) -> (Key, Key) {
        let temporary = hmac(&self.chain, &[input]);
        let first = hmac(&temporary, &[&[1]]);
        (first, hmac(&temporary, &[&first, &[2]]))
    }

    fn mix_key(&mut self, shared: &Key) {
        (self.chain, self.key) = self.two_keys(shared);
        self.nonce = 0;
    }

    fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = plaintext.to_vec();
        let tag = self
            .cipher()
            .encrypt_inout_detached(&self.next_nonce(), &self.hash.clone(), sealed.as_mut_slice().into())
            .expect("short");
        sealed.extend_from_slice(&tag);
        self.mix_hash(&sealed);
        sealed
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&self.key).into())
    }

    fn next_nonce(&mut self) -> Nonce<Aes256Gcm> {
        let mut nonce = [0u8; 12];
        nonce[4..].copy_from_slice(&self.nonce.to_be_bytes());
        self.nonce += 1;
        nonce.into()
    }
}

/// What a forger puts into a HELLO.
pub struct HelloParts<'a> {
    /// e as it stands in the message.
    pub ephemeral_public: Key,
    /// s as it stands, encrypted, in the message.
    pub static_public: Key,
    /// Cookie and suite list as they stand between header and Noise message.
    pub lists: &'a [u8],
    /// The counter of the header.
    pub login_id: u64,
    /// The Noise payload; cut or filled to make 512 bytes.
    pub padding: u8,
}

/// The plain part of an honest HELLO: no cookie, one suite.
pub const LISTS: &[u8] = &[0, 1, 0, 2];

/// A HELLO with a right mac1 whose Noise message is right for a server that checks no point.
pub fn hello(server: &Identity, parts: &HelloParts<'_>) -> Vec<u8> {
    let mut frame = hello_header(parts.login_id);
    frame.extend_from_slice(parts.lists);
    let mut noise = Symmetric::new(&prologue(&frame), server.public());
    let private = server.private().expose();

    noise.mix_hash(&parts.ephemeral_public);
    frame.extend_from_slice(&parts.ephemeral_public);
    noise.mix_key(&x25519(*private, parts.ephemeral_public));
    frame.extend(noise.seal(&parts.static_public));
    noise.mix_key(&x25519(*private, parts.static_public));
    let padding = vec![parts.padding; HELLO_BYTES - 2 * TAG_BYTES - frame.len()];
    frame.extend(noise.seal(&padding));
    sign(server, &mut frame);
    frame
}

/// Writes mac1 behind `frame`.
pub fn sign(server: &Identity, frame: &mut Vec<u8>) {
    let tag = Mac1::new(server.public()).tag(frame);
    frame.extend_from_slice(&tag);
}

fn hello_header(login_id: u64) -> Vec<u8> {
    let mut header = vec![0u8; HEADER_BYTES];
    header[..2].copy_from_slice(&(HELLO_BYTES as u16 - 2).to_be_bytes());
    header[2] = 0x18;
    header[15] = 1;
    header[16..22].copy_from_slice(&login_id.to_be_bytes()[2..]);
    header
}

fn prologue(plain: &[u8]) -> Vec<u8> {
    [b"mvt1 Noise_IK_25519_AESGCM_SHA256", plain].concat()
}

/// The secrets of an honest client's login, and the server's answer to it with nothing checked.
pub struct HelloRParts<'a> {
    /// The HELLO being answered, with `lists` bytes of cookie and suites.
    pub hello: &'a [u8],
    pub lists_bytes: usize,
    pub client: &'a Identity,
    pub client_ephemeral: Key,
    /// e as it stands in the answer.
    pub ephemeral_public: Key,
    /// The plaintext of §10.2.
    pub grant: &'a [u8],
    /// For the confirming tag.
    pub key_id: u64,
}

/// A HELLO_R that is right for a client that checks no point and no field.
pub fn hello_r(server: &Identity, parts: &HelloRParts<'_>) -> Vec<u8> {
    let plain = HEADER_BYTES + parts.lists_bytes;
    let message = &parts.hello[plain..parts.hello.len() - TAG_BYTES];
    let mut noise = Symmetric::new(&prologue(&parts.hello[..plain]), server.public());
    noise.mix_hash(&message[..32]);
    noise.mix_key(&x25519(parts.client_ephemeral, *server.public()));
    noise.mix_hash(&message[32..80]);
    noise.mix_key(&x25519(*parts.client.private().expose(), *server.public()));
    noise.mix_hash(&message[80..]);

    noise.mix_hash(&parts.ephemeral_public);
    noise.mix_key(&x25519(parts.client_ephemeral, parts.ephemeral_public));
    noise.mix_key(&x25519(*parts.client.private().expose(), parts.ephemeral_public));
    let sealed = noise.seal(parts.grant);
    let mut frame = vec![0u8; HEADER_BYTES];
    frame[..2].copy_from_slice(&((HEADER_BYTES + 32 + sealed.len() + TAG_BYTES - 2) as u16).to_be_bytes());
    frame[2] = 0x19;
    frame[16..22].copy_from_slice(&parts.hello[16..22]);
    frame.extend_from_slice(&parts.ephemeral_public);
    frame.extend(sealed);

    let (k1, k2) = noise.two_keys(&[]);
    let secret = extract(&noise.hash, &[k1, k2].concat());
    let confirm = GenerationKeys::derive(secret, parts.key_id, 0).confirm;
    let tag = hmac(confirm.expose(), &[&frame]);
    frame.extend_from_slice(&tag[..TAG_BYTES]);
    frame
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}
