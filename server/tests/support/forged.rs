//! Packets of an established QUIC connection made by hand, with the keys of its client: what no library would say.

use std::sync::{Arc, Mutex};

use rustls::{
    KeyLog,
    crypto::{
        cipher::{AeadKey, Iv},
        ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
        tls13::OkmBlock,
    },
    quic::{HeaderProtectionKey, PacketKey},
};

/// Bytes of the packet number we write.
const NUMBER_BYTES: usize = 4;

/// Takes the secret of what a client sends.
#[derive(Debug, Default)]
pub struct Overheard(Mutex<Vec<u8>>);

impl KeyLog for Overheard {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == "CLIENT_TRAFFIC_SECRET_0" {
            *self.0.lock().expect("no panic") = secret.to_vec();
        }
    }
}

/// Says what it likes in the name of a client.
pub struct Forger {
    packet: Box<dyn PacketKey>,
    header: Box<dyn HeaderProtectionKey>,
    server_id: Vec<u8>,
    number: u32,
}

impl Forger {
    /// For the client whose TLS had `overheard` as its key log, to a server's connection of this id.
    pub fn new(overheard: &Arc<Overheard>, server_id: &[u8]) -> Self {
        let suite = TLS13_AES_256_GCM_SHA384.tls13().expect("it is of TLS 1.3");
        let secret = overheard.0.lock().expect("no panic").clone();
        assert_eq!(secret.len(), 48, "of the suite that is preferred");
        let expander = suite.hkdf_provider.expander_for_okm(&OkmBlock::new(&secret));
        // RFC 8446 §7.1, RFC 9001 §5.1.
        let expand = |label: &str, output: &mut [u8]| {
            let label = format!("tls13 quic {label}");
            let head = [0, output.len() as u8, label.len() as u8];
            expander.expand_slice(&[&head, label.as_bytes(), &[0]], output).expect("short");
        };
        let (mut key, mut iv, mut header) = ([0; 32], [0; 12], [0; 32]);
        expand("key", &mut key);
        expand("iv", &mut iv);
        expand("hp", &mut header);
        let quic = suite.quic.expect("of QUIC");
        Self {
            packet: quic.packet_key(AeadKey::from(key), Iv::from(iv)),
            header: quic.header_protection_key(AeadKey::from(header)),
            server_id: server_id.to_vec(),
            // Later than any that the client itself has sent.
            number: 100_000,
        }
    }

    /// A packet of these frames.
    pub fn packet(&mut self, frames: &[u8]) -> Vec<u8> {
        self.number += 1;
        let head =
            [&[0x40 | (NUMBER_BYTES - 1) as u8][..], &self.server_id, &self.number.to_be_bytes()].concat();
        let mut payload = frames.to_vec();
        // Long enough for the sample.
        payload.resize(payload.len().max(4), 0);
        let tag = self.packet.encrypt_in_place(self.number.into(), &head, &mut payload).expect("sealed");
        let mut packet = [&head[..], &payload, tag.as_ref()].concat();
        let number_at = head.len() - NUMBER_BYTES;
        let (front, sample) = packet.split_at_mut(head.len());
        let (first, rest) = front.split_at_mut(1);
        let sample = &sample[..self.header.sample_len()];
        self.header.encrypt_in_place(sample, &mut first[0], &mut rest[number_at - 1..]).expect("protected");
        packet
    }
}
