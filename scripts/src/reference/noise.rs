//! Noise (revision 34), `Noise_IK_25519_AESGCM_SHA256`, written out as the Noise text has it.

use super::{
    hkdf::{array, hmac, sha256},
    reject::Reject,
    suite::{gcm_open, gcm_seal},
    x25519::KeyPair,
};

/// The protocol name, 28 bytes.
pub const NAME: &[u8] = b"Noise_IK_25519_AESGCM_SHA256";

/// Noise §5.1.
#[derive(Debug, Clone, Default)]
pub struct CipherState {
    k: Option<[u8; 32]>,
    n: u64,
}

impl CipherState {
    /// `InitializeKey`.
    pub fn new(k: [u8; 32]) -> Self {
        Self { k: Some(k), n: 0 }
    }

    /// Noise §12.4: four zero bytes, then n big-endian.
    fn nonce(n: u64) -> [u8; 12] {
        array(&[[0; 4].as_slice(), &n.to_be_bytes()].concat())
    }

    /// `EncryptWithAd`.
    pub fn encrypt(&mut self, ad: &[u8], text: &[u8]) -> Vec<u8> {
        let Some(k) = &self.k else { return text.to_vec() };
        let sealed = gcm_seal(k, Self::nonce(self.n), ad, text);
        self.n += 1;
        sealed
    }

    /// `DecryptWithAd`.
    pub fn decrypt(&mut self, ad: &[u8], text: &[u8]) -> Result<Vec<u8>, Reject> {
        let Some(k) = &self.k else { return Ok(text.to_vec()) };
        let plain = gcm_open(k, Self::nonce(self.n), ad, text).ok_or(Reject::Noise)?;
        self.n += 1;
        Ok(plain)
    }
}

/// Noise §4.3, two outputs.
fn hkdf2(ck: &[u8; 32], ikm: &[u8]) -> ([u8; 32], [u8; 32]) {
    let temp = hmac(ck, &[ikm]);
    let first = hmac(&temp, &[&[1]]);
    (first, hmac(&temp, &[&first, &[2]]))
}

/// Noise §5.2.
#[derive(Debug, Clone)]
pub struct SymmetricState {
    cipher: CipherState,
    ck: [u8; 32],
    h: [u8; 32],
}

impl SymmetricState {
    /// `InitializeSymmetric`: the name is shorter than a hash and so padded.
    pub fn new(name: &[u8]) -> Self {
        let mut h = [0; 32];
        h[..name.len()].copy_from_slice(name);
        Self { cipher: CipherState::default(), ck: h, h }
    }

    /// `MixKey`.
    pub fn mix_key(&mut self, ikm: &[u8]) {
        let (ck, k) = hkdf2(&self.ck, ikm);
        self.ck = ck;
        self.cipher = CipherState::new(k);
    }

    /// `MixHash`.
    pub fn mix_hash(&mut self, data: &[u8]) {
        self.h = sha256(&[self.h.as_slice(), data].concat());
    }

    /// `EncryptAndHash`.
    pub fn encrypt_and_hash(&mut self, text: &[u8]) -> Vec<u8> {
        let sealed = self.cipher.encrypt(&self.h, text);
        self.mix_hash(&sealed);
        sealed
    }

    /// `DecryptAndHash`.
    pub fn decrypt_and_hash(&mut self, text: &[u8]) -> Result<Vec<u8>, Reject> {
        let plain = self.cipher.decrypt(&self.h, text)?;
        self.mix_hash(text);
        Ok(plain)
    }

    /// `GetHandshakeHash` with `Split`: h, k1, k2.
    pub fn finish(&self) -> ([u8; 32], [u8; 32], [u8; 32]) {
        let (k1, k2) = hkdf2(&self.ck, &[]);
        (self.h, k1, k2)
    }
}

#[derive(Debug, Clone, Copy)]
enum Token {
    E,
    S,
    Ee,
    Es,
    Se,
    Ss,
}

const IK: [&[Token]; 2] = [&[Token::E, Token::Es, Token::S, Token::Ss], &[Token::E, Token::Ee, Token::Se]];

/// Noise §5.3, for IK.
#[derive(Debug, Clone)]
pub struct HandshakeState {
    symmetric: SymmetricState,
    s: KeyPair,
    e: KeyPair,
    rs: Option<[u8; 32]>,
    re: Option<[u8; 32]>,
    initiator: bool,
    message: usize,
}

impl HandshakeState {
    /// `Initialize` of the initiator, who knows the responder's public key `rs`.
    pub fn initiator(prologue: &[u8], s: KeyPair, e: KeyPair, rs: [u8; 32]) -> Self {
        Self::new(prologue, s, e, Some(rs), &rs)
    }

    /// `Initialize` of the responder.
    pub fn responder(prologue: &[u8], s: KeyPair, e: KeyPair) -> Self {
        Self::new(prologue, s, e, None, &s.public)
    }

    fn new(prologue: &[u8], s: KeyPair, e: KeyPair, rs: Option<[u8; 32]>, pre: &[u8; 32]) -> Self {
        let mut symmetric = SymmetricState::new(NAME);
        symmetric.mix_hash(prologue);
        symmetric.mix_hash(pre);
        Self { symmetric, s, e, rs, re: None, initiator: rs.is_some(), message: 0 }
    }

    /// The static public key of the other side, once known.
    pub fn remote_static(&self) -> Option<[u8; 32]> {
        self.rs
    }

    /// h, k1, k2 after message 2.
    pub fn finish(&self) -> ([u8; 32], [u8; 32], [u8; 32]) {
        assert_eq!(self.message, 2, "the handshake has two messages");
        self.symmetric.finish()
    }

    fn mix_dh(&mut self, token: Token) -> Result<(), Reject> {
        // The first letter is the initiator's key, the second the responder's.
        let (own, remote) = match (token, self.initiator) {
            (Token::Ee, _) => (self.e, self.re),
            (Token::Ss, _) => (self.s, self.rs),
            (Token::Es, true) | (Token::Se, false) => (self.e, self.rs),
            (Token::Es, false) | (Token::Se, true) => (self.s, self.re),
            (Token::E | Token::S, _) => unreachable!("not a Diffie-Hellman token"),
        };
        let shared = own.dh(&remote.expect("IK knows the key by now"));
        // §10.3.1 of SPEC.md.
        if shared == [0; 32] {
            return Err(Reject::Noise);
        }
        self.symmetric.mix_key(&shared);
        Ok(())
    }

    /// `WriteMessage`.
    pub fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, Reject> {
        let mut out = Vec::new();
        for token in IK[self.message] {
            match token {
                Token::E => {
                    out.extend_from_slice(&self.e.public);
                    self.symmetric.mix_hash(&self.e.public);
                }
                Token::S => out.extend(self.symmetric.encrypt_and_hash(&self.s.public)),
                dh => self.mix_dh(*dh)?,
            }
        }
        out.extend(self.symmetric.encrypt_and_hash(payload));
        self.message += 1;
        Ok(out)
    }

    /// `ReadMessage`: the payload.
    pub fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, Reject> {
        let mut rest = message;
        let mut take = |n: usize| -> Result<&[u8], Reject> {
            let (head, tail) = rest.split_at_checked(n).ok_or(Reject::Noise)?;
            rest = tail;
            Ok(head)
        };
        for token in IK[self.message] {
            match token {
                Token::E => {
                    let re = array(take(32)?);
                    self.symmetric.mix_hash(&re);
                    self.re = Some(re);
                }
                Token::S => self.rs = Some(array(&self.symmetric.decrypt_and_hash(take(48)?)?)),
                dh => self.mix_dh(*dh)?,
            }
        }
        let payload = self.symmetric.decrypt_and_hash(rest)?;
        self.message += 1;
        Ok(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::{decode, encode};

    fn pair(private: &str) -> KeyPair {
        KeyPair::new(array(&decode(private).unwrap()))
    }

    /// The published vector `Noise_IK_25519_AESGCM_SHA256` of cacophony
    /// (github.com/haskell-cryptography/cacophony, vectors/cacophony.txt): prologue "John Galt", two
    /// handshake messages, two transport messages.
    #[test]
    fn noise_ik_agrees_with_the_cacophony_vector() {
        let init_s = pair("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1");
        let init_e = pair("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a");
        let resp_s = pair("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893");
        let resp_e = pair("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b");
        assert_eq!(
            encode(&resp_s.public),
            "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62"
        );
        let mut initiator = HandshakeState::initiator(b"John Galt", init_s, init_e, resp_s.public);
        let mut responder = HandshakeState::responder(b"John Galt", resp_s, resp_e);

        let first = initiator.write(b"Ludwig von Mises").unwrap();
        assert_eq!(
            encode(&first),
            "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444e417bc55c7a8166c993356c1be4\
             1ef67818a292426f301556c7f26b21d25ddb097153891a9a956cff47b83e63ad8d701c1342c209cff1ca5ecd4340\
             2762ac249e3bd3a4c0a145fe07cb5dae28ea13a3"
        );
        assert_eq!(responder.read(&first).unwrap(), b"Ludwig von Mises");
        assert_eq!(responder.remote_static(), Some(init_s.public));

        let second = responder.write(b"Murray Rothbard").unwrap();
        assert_eq!(
            encode(&second),
            "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843af2ccf9972e22afc67aeafcd2516\
             2f7f98c363b7762e3e4cb7d272e39f27a5"
        );
        assert_eq!(initiator.read(&second).unwrap(), b"Murray Rothbard");
        assert_eq!(initiator.finish(), responder.finish());

        let (_, k1, k2) = initiator.finish();
        assert_eq!(
            encode(&CipherState::new(k1).encrypt(&[], b"F. A. Hayek")),
            "66acfc92e3197de166809e6d4d5d003dcc819a84bc3522ca53c9d9"
        );
        assert_eq!(
            encode(&CipherState::new(k2).encrypt(&[], b"Carl Menger")),
            "71f89aa6533a6de70b0826864dd75f60806ee40170c16290189eb3"
        );
    }
}
